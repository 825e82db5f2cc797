// What opening and closing sessions does to a user's devices: decisions without the store. An epoch is never used
// twice for a device, not even for one that was forgotten and comes back, nor for one whose sessions a restore has undone: the
// first opening after a restore lifts all epochs of the user by a step that depends on the restore, so that tickets of the
// lost time never name a session of the new one.
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
  uint32_t first_floor = 0;     // Of a user who has no devices yet; by chance, since a restore may have undone such a user.
};

Status check_info(const client::DeviceInfo& info);  // invalid, too_large
Decision open_session(const Devices& devices, const Opening& opening);
Decision close_session(const std::string& device_id, const DeviceRow& row);

}  // namespace hongyan::device
