// Any bytes as a refresh token and as an integrator's ticket, both of which clients hold: what is taken is written as
// exactly those bytes, so there is one form of each.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "data/device/tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::device;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto token = decode_refresh_token(bytes)) CHECK(encode(*token) == bytes);
  if (const auto ticket = decode_login_ticket(bytes)) CHECK(encode(*ticket) == bytes);
  return 0;
}
