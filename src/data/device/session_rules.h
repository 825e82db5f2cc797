// What opening and closing sessions does to a user's devices: decisions without the store. An epoch is never used
// twice for a device, not even for one that was forgotten and comes back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/client/login.pb.h"
#include "base/result.h"
#include "data/device/device_table.h"

namespace hongyan::device {

// A device whose tickets below `epoch_lowest` count no more.
struct Closed {
  std::string device_id;
  uint32_t epoch_lowest = 0;
};

struct Decision {
  std::vector<store::Mutation> mutations;
  std::vector<Closed> closed;   // Others that were open: they are told.
  uint32_t epoch = 0;           // open: of the new session
  size_t forgotten = 0;
};

struct Opening {
  client::DeviceInfo info;
  uint32_t feature_level = 0;
  std::string refresh_hash;
  bool end_others = false;
  int64_t now_ms = 0;
};

Status check_info(const client::DeviceInfo& info);  // invalid, too_large
Decision open_session(const Devices& devices, const Opening& opening);
Decision close_session(const std::string& device_id, const DeviceRow& row);

}  // namespace hongyan::device
