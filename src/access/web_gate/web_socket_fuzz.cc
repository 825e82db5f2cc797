// Any bytes as a link's input, whole and byte by byte: the same texts, and nothing kept beyond the limit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "access/web_gate/web_socket.h"

namespace {

constexpr size_t k_message_bytes_max = 512;

std::string hear(std::string_view bytes, size_t piece) {
  hongyan::access::WebSocketCodec codec(k_message_bytes_max);
  std::string heard;
  while (!bytes.empty()) {
    codec.feed(bytes.substr(0, piece), [&](std::string text) { heard += text + "\n"; });
    if (codec.unfinished_bytes() > k_message_bytes_max) std::abort();
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return heard;  // Not whether it is closed: wslay sees bad UTF-8 in a half close frame only when it comes in one piece.
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (hear(bytes, size + 1) != hear(bytes, 1)) std::abort();
  return 0;
}
