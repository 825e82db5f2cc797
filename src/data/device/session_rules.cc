#include "data/device/session_rules.h"

#include <algorithm>
#include <tuple>

#include "api/client/checks.h"
#include "base/check.h"
#include "data/device/limits.h"
#include "model/limits.h"

namespace hongyan::device {

namespace {

using store::erase;
using store::put;

Status check_text(const std::string& text, const char* what) {
  if (text.size() > k_info_text_bytes_max) {
    return Status(Code::too_large, std::string(what) + " has more than 128 bytes");
  }
  if (!api::is_utf8(text)) return Status(Code::invalid, std::string(what) + " is not UTF-8");
  return {};
}

DeviceRow closed_row(DeviceRow row) {
  row.set_epoch(row.epoch() + 1);
  row.set_open(false);
  row.clear_refresh_hash();
  row.clear_previous_refresh_hash();
  row.mutable_info()->clear_push();
  return row;
}

// The device to forget: the closed one not seen for longest, else the open one not seen for longest.
std::string oldest(const Devices& devices, const std::string& but) {
  std::tuple<bool, int64_t, std::string> best{true, INT64_MAX, ""};
  for (const auto& [id, row] : devices.rows) {
    if (id != but) best = std::min(best, std::tuple(row.open(), devices.seen_ms(id), id));
  }
  CHECK(!std::get<2>(best).empty());
  return std::get<2>(best);
}

// Further than a user logs in between a backup and its restore, and for each restore another: how far follows from the
// incarnation, which is random. Near the end of the numbers the steps become smaller, so that there are always some left.
uint32_t step_of(uint64_t incarnation, uint32_t from) {
  return std::min<uint32_t>(k_restore_step_least + incarnation % k_restore_steps, (UINT32_MAX - from) / 2);
}

MetaRow lift_after_restore(const Devices& devices, uint32_t first_floor) {
  MetaRow meta = devices.meta;
  if (devices.header.incarnation == 0) {  // No entity yet: what it will be called is not known before.
    meta.set_epoch_floor(first_floor);
    return meta;
  }
  if (meta.incarnation() == devices.header.incarnation) return meta;
  uint32_t highest = meta.epoch_floor();
  for (const auto& [id, row] : devices.rows) highest = std::max(highest, row.epoch());
  meta.set_epoch_floor(highest + step_of(devices.header.incarnation, highest));
  meta.set_incarnation(devices.header.incarnation);
  return meta;
}

// `lifted`: the floor is to be written anyway.
void forget_surplus(Devices devices, const std::string& but, bool lifted, Decision& decision) {
  uint32_t epoch_max = devices.meta.epoch_floor();
  while (devices.rows.size() > model::k_devices_max) {
    const std::string id = oldest(devices, but);
    const DeviceRow& row = devices.rows.at(id);
    epoch_max = std::max(epoch_max, row.epoch());
    if (row.open()) decision.closed.push_back({.device_id = id, .epoch_lowest = row.epoch() + 1});
    decision.mutations.push_back(erase(device_key(id)));
    decision.mutations.push_back(erase(cursor_key(id)));
    devices.rows.erase(id);
    ++decision.forgotten;
  }
  if (decision.forgotten == 0 && !lifted) return;
  devices.meta.set_epoch_floor(epoch_max);
  decision.mutations.push_back(put(std::string(k_row_meta), devices.meta));
}

}  // namespace

Status check_info(const client::DeviceInfo& info) {
  if (info.id().size() != k_device_id_bytes) return Status(Code::invalid, "device.id is not 16 bytes");
  TRY(check_text(info.model(), "device.model"));
  TRY(check_text(info.os(), "device.os"));
  TRY(check_text(info.app_version(), "device.app_version"));
  TRY(check_text(info.locale(), "device.locale"));
  TRY(check_text(info.time_zone(), "device.time_zone"));
  if (info.kinds_size() > k_info_kinds_max) return Status(Code::too_large, "device.kinds has more than 64");
  if (info.push_size() > k_info_push_max) return Status(Code::too_large, "device.push has more than 4");
  for (const client::PushToken& push : info.push()) {
    if (push.token().size() > k_push_token_bytes_max) {
      return Status(Code::too_large, "a push token has more than 2048 bytes");
    }
    if (!api::is_utf8(push.token())) return Status(Code::invalid, "a push token is not UTF-8");
  }
  return {};
}

Decision open_session(const Devices& devices, const Opening& opening) {
  const std::string& id = opening.info.id();
  const DeviceRow* before = devices.find(id);
  Decision out;
  DeviceRow row;
  const MetaRow meta = lift_after_restore(devices, opening.first_floor);
  out.epoch = std::max(meta.epoch_floor(), before == nullptr ? 0 : before->epoch()) + 1;
  row.set_epoch(out.epoch);
  row.set_open(true);
  *row.mutable_info() = opening.info;
  row.set_feature_level(opening.feature_level);
  row.set_refresh_hash(opening.refresh_hash);
  row.set_created_ms(before == nullptr ? opening.now_ms : before->created_ms());
  row.set_seen_ms(opening.now_ms);
  out.mutations.push_back(put(device_key(id), row));

  Devices now = devices;
  now.meta = meta;
  now.rows[id] = row;
  if (opening.end_others) {
    for (auto& [other_id, other] : now.rows) {
      if (other_id == id || !other.open()) continue;
      other = closed_row(other);
      out.mutations.push_back(put(device_key(other_id), other));
      out.closed.push_back({.device_id = other_id, .epoch_lowest = other.epoch()});
    }
  }
  const bool lifted = meta.epoch_floor() != devices.meta.epoch_floor() || meta.incarnation() != devices.meta.incarnation();
  forget_surplus(std::move(now), id, lifted, out);
  return out;
}

Decision close_session(const std::string& device_id, const DeviceRow& row) {
  const DeviceRow closed = closed_row(row);
  Decision out;
  out.epoch = closed.epoch();
  out.mutations.push_back(put(device_key(device_id), closed));
  out.closed.push_back({.device_id = device_id, .epoch_lowest = closed.epoch()});
  return out;
}

}  // namespace hongyan::device
