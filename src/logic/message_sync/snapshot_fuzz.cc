// Any bytes as a snapshot: as they are, and with a good MAC behind them, so that what lies beyond the MAC is reached.
// What is taken is written again and read as the same; nothing unsigned is ever taken.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "logic/message_sync/snapshot.h"

using namespace hongyan;

namespace {

// Whoever the bytes say that they belong to: the owner's check is not what is searched here.
void read(const rpc::KeyRing& keys, std::string_view bytes) {
  Reader reader(bytes);
  reader.u8();
  const uint64_t uin = reader.u64().value_or(10001);
  const std::string device(reader.bytes(16).value_or("0123456789abcdef"));
  const auto snapshot = logic::decode_snapshot(keys, bytes, uin, device);
  if (!snapshot.ok() || bytes.empty()) return;
  const auto again = logic::decode_snapshot(keys, logic::encode_snapshot(keys, *snapshot), uin, device);
  if (!again.ok() || again->account != snapshot->account || again->contacts != snapshot->contacts ||
      again->messages != snapshot->messages) {
    std::abort();
  }
  if (logic::decode_snapshot(keys, bytes, uin + 1, device).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const rpc::KeyRing keys({{.id = 1, .bytes = std::string(32, 'k')}});
  const rpc::KeyRing others({{.id = 1, .bytes = std::string(32, 'o')}});
  read(keys, bytes);
  read(keys, std::string(bytes) + keys.sign("snapshot", bytes));
  const std::string forged = std::string(bytes) + others.sign("snapshot", bytes);
  if (logic::decode_snapshot(keys, forged, 10001, "0123456789abcdef").ok()) std::abort();
  return 0;
}
