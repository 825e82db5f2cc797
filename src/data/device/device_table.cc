#include "data/device/device_table.h"

#include <algorithm>

#include "base/bytes.h"
#include "model/tables.h"

namespace hongyan::device {

namespace {

constexpr char k_kind_cursor = 'c';
constexpr char k_kind_device = 'd';
constexpr char k_kind_ticket = 't';

Status corrupt() { return Status(Code::corrupt, "a device row does not parse"); }

}  // namespace

store::EntityId device_entity(uint64_t uin) {
  std::string id;
  put_u64(id, uin);
  return {.table = model::k_table_device, .id = std::move(id)};
}

std::string device_key(std::string_view device_id) { return k_kind_device + std::string(device_id); }
std::string cursor_key(std::string_view device_id) { return k_kind_cursor + std::string(device_id); }

std::string ticket_key(std::string_view secret_hash) { return k_kind_ticket + std::string(secret_hash); }

const DeviceRow* Devices::find(const std::string& device_id) const {
  const auto found = rows.find(device_id);
  return found == rows.end() ? nullptr : &found->second;
}

int64_t Devices::seen_ms(const std::string& device_id) const {
  const DeviceRow* row = find(device_id);
  const auto cursor = cursors.find(device_id);
  const int64_t by_cursor = cursor == cursors.end() ? 0 : cursor->second.seen_ms();
  return std::max(row == nullptr ? 0 : row->seen_ms(), by_cursor);
}

Result<Devices> read_devices(Call& call, store::Store& store, uint64_t uin) {
  const store::ReadReply reply = TRY(store.read(call, {.entity = device_entity(uin)}));
  ENSURE(!reply.more);
  Devices out;
  out.header = reply.header;
  for (const store::Row& row : reply.rows) {
    const std::string id = row.key.substr(1);
    if (row.key[0] == k_kind_device) {
      if (!out.rows[id].ParseFromString(row.value)) return corrupt();
      out.versions[id] = row.version;
    } else if (row.key[0] == k_kind_cursor) {
      if (!out.cursors[id].ParseFromString(row.value)) return corrupt();
    } else if (row.key[0] == k_kind_ticket) {
      if (!out.tickets[id].ParseFromString(row.value)) return corrupt();
    } else if (row.key == k_row_meta) {
      if (!out.meta.ParseFromString(row.value)) return corrupt();
    }
  }
  return out;
}

Result<StoredDevice> read_device(Call& call, store::Store& store, uint64_t uin, std::string_view device_id) {
  const std::string key = device_key(device_id);
  const store::ReadReply reply =
      TRY(store.read(call, {.entity = device_entity(uin), .from = key, .to = key + '\0', .rows_max = 1}));
  StoredDevice out;
  if (reply.rows.empty()) return out;
  if (!out.row.ParseFromString(reply.rows[0].value)) return corrupt();
  out.version = reply.rows[0].version;
  return out;
}

}  // namespace hongyan::device
