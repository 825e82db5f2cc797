#include "logic/message_sync/snapshot.h"

#include "base/bytes.h"
#include "model/error_code.h"
#include "model/kinds.h"

namespace hongyan::logic {

namespace {
constexpr uint8_t k_format = 1;
constexpr std::string_view k_purpose = "snapshot";
constexpr size_t k_body_bytes_min = 1 + 8 + 16 + 1;
constexpr size_t k_key_bytes = 1 + 8 + 8;
constexpr size_t k_signature_bytes = 1 + 16;

Status bad(const char* why) { return model::error(model::ErrorCode::bad_snapshot, why); }

void put_position(std::string& out, uint32_t key, const Position& position) {
  put_u8(out, static_cast<uint8_t>(key));
  put_u64(out, position.incarnation);
  put_u64(out, position.version);
}
}  // namespace

std::string encode_snapshot(const rpc::KeyRing& keys, const Snapshot& snapshot) {
  std::string out;
  put_u8(out, k_format);
  put_u64(out, snapshot.uin);
  CHECK(snapshot.device.size() == 16);
  out.append(snapshot.device);
  put_u8(out, 3);
  put_position(out, model::k_ring_account, snapshot.account);
  put_position(out, model::k_ring_contacts, snapshot.contacts);
  put_position(out, model::k_ring_messages, snapshot.messages);
  out.append(keys.sign(k_purpose, out));
  return out;
}

Result<Snapshot> decode_snapshot(const rpc::KeyRing& keys, std::string_view bytes, uint64_t uin,
                                 std::string_view device) {
  Snapshot snapshot;
  snapshot.uin = uin;
  snapshot.device = device;
  if (bytes.empty()) return snapshot;
  if (bytes.size() < k_body_bytes_min + k_signature_bytes || bytes.size() > k_snapshot_bytes_max) return bad("its length");
  const std::string_view body = bytes.substr(0, bytes.size() - k_signature_bytes);
  if (!keys.verify(k_purpose, body, bytes.substr(body.size()))) return bad("its MAC");
  Reader reader(body);
  if (reader.u8() != k_format) return bad("its format");
  if (reader.u64() != uin) return bad("it is of another account");
  if (reader.bytes(16) != device) return bad("it is of another device");
  const uint8_t count = reader.u8().value();
  if (reader.rest().size() != count * k_key_bytes) return bad("its keys");
  for (int i = 0; i < count; ++i) {
    const uint8_t key = *reader.u8();
    const Position position{.incarnation = *reader.u64(), .version = *reader.u64()};
    if (key == model::k_ring_account) snapshot.account = position;
    if (key == model::k_ring_contacts) snapshot.contacts = position;
    if (key == model::k_ring_messages) snapshot.messages = position;
  }
  return snapshot;
}

}  // namespace hongyan::logic
