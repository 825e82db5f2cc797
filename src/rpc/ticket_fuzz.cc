// Any bytes as a ticket or a grant of any kind: as they are, and signed, so that what lies beyond the MAC is reached.
// What is taken of a client ticket is minted again and taken again; nothing signed by others is ever taken.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "rpc/ticket.h"

using namespace hongyan;

namespace {

constexpr int64_t k_now_ms = 1'700'000'000'000;

void read(const rpc::KeyRing& keys, std::string_view bytes) {
  if (const auto identity = rpc::check_client_ticket(keys, bytes, k_now_ms); identity.ok()) {
    const auto again = rpc::check_client_ticket(keys, rpc::make_client_ticket(keys, *identity), k_now_ms);
    if (!again.ok() || again->uin != identity->uin || again->device != identity->device) std::abort();
    if (identity->expires_ms <= k_now_ms) std::abort();
  }
  if (const auto grant = rpc::check_grant(keys, bytes, k_now_ms); grant.ok()) {
    const auto again = rpc::check_grant(keys, rpc::make_grant(keys, *grant), k_now_ms);
    if (!again.ok() || again->object != grant->object || again->right != grant->right) std::abort();
  }
  (void)rpc::check_call_ticket(keys, "inbox", bytes, k_now_ms).ok();
  Call call;
  call.ticket = std::make_shared<const std::string>(bytes);
  (void)rpc::caller_of(call).ok();
}

// A call ticket whose body is `bytes`, for the audience "inbox".
std::string for_inbox(const rpc::KeyRing& keys, std::string_view bytes) {
  std::string out(bytes);
  put_u8(out, 1);
  put_u32(out, static_cast<uint32_t>(stable_hash("inbox") >> 32));
  return out + keys.sign("call to inbox", bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const rpc::KeyRing keys({{.id = 1, .bytes = std::string(32, 'k')}});
  const rpc::KeyRing others({{.id = 1, .bytes = std::string(32, 'o')}});
  read(keys, bytes);
  for (const char* purpose : {"client", "grant", "job grant"}) {
    read(keys, std::string(bytes) + keys.sign(purpose, bytes));
    const std::string forged = std::string(bytes) + others.sign(purpose, bytes);
    if (rpc::check_client_ticket(keys, forged, k_now_ms).ok() || rpc::check_grant(keys, forged, k_now_ms).ok()) std::abort();
  }
  read(keys, for_inbox(keys, bytes));
  if (rpc::check_call_ticket(keys, "inbox", for_inbox(others, bytes), k_now_ms).ok()) std::abort();
  return 0;
}
