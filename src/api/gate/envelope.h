// The body of a long-link frame, of a short-link POST and of a binary WebSocket message:
//   u8 format (1) · u8 seal · protobuf
// Seal 0 is none; 1, a session key, exists on the long link only, which opens it before anything comes here. Pure. Every
// other shape is ErrorCode::bad_frame. Never renumber.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hongyan::api {

inline constexpr uint8_t k_envelope_format = 1;

enum class Seal : uint8_t { none = 0, session_key = 1 };

struct Envelope {
  Seal seal = Seal::none;
  std::string_view protobuf;  // Into the bytes that were parsed.
};

Result<Envelope> parse_envelope(std::string_view bytes);
std::string make_envelope(std::string_view protobuf);

}  // namespace hongyan::api
