// Any bytes as a connection's input, whole and cut: both must give the same requests and the same end, and what the
// parser holds stays within its limits.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rpc/http/http.h"

namespace {

constexpr hongyan::rpc::HttpLimits k_limits = {.header_bytes = 1024, .fields = 20, .body_bytes = 2048};

std::string read(std::string_view bytes, size_t piece) {
  hongyan::rpc::HttpParser parser(k_limits);
  std::string seen;
  while (!bytes.empty() && parser.error() == 0) {
    parser.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (parser.complete()) {
      const hongyan::rpc::HttpRequest request = parser.take();
      if (request.body.size() > k_limits.body_bytes || request.fields.size() > k_limits.fields) std::abort();
      seen += request.method + request.target + "|" + request.body + "\n";
      if (request.has_token("connection", "upgrade")) return seen;
    }
  }
  return seen + std::to_string(parser.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = read(bytes, size + 1);
  // A header that is too long is refused at once or at its limit, so only texts without that end are compared.
  if (size < k_limits.header_bytes && read(bytes, 1) != whole) std::abort();
  return 0;
}
