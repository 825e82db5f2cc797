#include "api/gate/envelope.h"

#include "base/bytes.h"
#include "model/error_code.h"
#include "model/limits.h"

namespace hongyan::api {

using model::ErrorCode;

Result<Envelope> parse_envelope(std::string_view bytes) {
  if (bytes.size() > model::k_request_bytes_max) return model::error(ErrorCode::too_large, "body over 1 MiB");
  if (bytes.size() < 2) return model::error(ErrorCode::bad_frame, "body shorter than its two leading bytes");
  if (static_cast<uint8_t>(bytes[0]) != k_envelope_format) return model::error(ErrorCode::bad_frame, "unknown body format");
  if (static_cast<uint8_t>(bytes[1]) != static_cast<uint8_t>(Seal::none)) {
    return model::error(ErrorCode::bad_frame, "unknown seal");
  }
  return Envelope{.seal = Seal::none, .protobuf = bytes.substr(2)};
}

std::string make_envelope(std::string_view protobuf) {
  std::string out;
  out.reserve(2 + protobuf.size());
  put_u8(out, k_envelope_format);
  put_u8(out, static_cast<uint8_t>(Seal::none));
  out.append(protobuf);
  return out;
}

}  // namespace hongyan::api
