// Where data/device keeps what: row keys and the devices of one user in memory. On disk: never change a key.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/device/device_rows.pb.h"
#include "store/table/table.h"

namespace hongyan::device {

store::EntityId device_entity(uint64_t uin);
std::string device_key(std::string_view device_id);
std::string cursor_key(std::string_view device_id);
std::string ticket_key(std::string_view secret_hash);
inline constexpr std::string_view k_row_meta = "m";

// All devices of one user: at most k_devices_max, as many cursors, and k_tickets_max, so they are read together.
struct Devices {
  store::Header header;
  std::map<std::string, DeviceRow> rows;        // by device id
  std::map<std::string, uint64_t> versions;     // of the rows
  std::map<std::string, CursorRow> cursors;
  std::map<std::string, TicketRow> tickets;     // by hash of their secret
  MetaRow meta;

  // Null when there is none.
  const DeviceRow* find(const std::string& device_id) const;
  int64_t seen_ms(const std::string& device_id) const;  // By login, refresh or cursor, whichever was last.
};
Result<Devices> read_devices(Call& call, store::Store& store, uint64_t uin);

struct StoredDevice {
  DeviceRow row;
  uint64_t version = 0;  // 0: absent
};
Result<StoredDevice> read_device(Call& call, store::Store& store, uint64_t uin, std::string_view device_id);

}  // namespace hongyan::device
