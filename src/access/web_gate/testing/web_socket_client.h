// The client's half of WebSocket framing, as far as tests need it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hongyan::access::testing {

// A masked frame: opcode 1 text, 2 binary, 8 close, 9 ping, 10 pong, 0 continuation.
inline std::string client_frame(uint8_t opcode, std::string_view payload, bool fin = true) {
  std::string frame(1, static_cast<char>((fin ? 0x80 : 0) | opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    frame += static_cast<char>(0x80 | 126);
    for (int shift : {8, 0}) frame += static_cast<char>(payload.size() >> shift);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(static_cast<uint64_t>(payload.size()) >> shift);
  }
  constexpr std::string_view k_mask = "\x11\x22\x33\x44";
  frame += k_mask;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ k_mask[i % 4]);
  return frame;
}

struct ServerFrame {
  uint8_t opcode = 0;
  std::string payload;
};

// Takes whole frames off the front of `bytes`.
inline std::vector<ServerFrame> server_frames(std::string& bytes) {
  std::vector<ServerFrame> frames;
  for (;;) {
    if (bytes.size() < 2) return frames;
    uint64_t size = static_cast<uint8_t>(bytes[1]) & 0x7f;
    size_t start = 2;
    const int length_bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (bytes.size() < start + static_cast<size_t>(length_bytes)) return frames;
    if (length_bytes > 0) size = 0;
    for (int i = 0; i < length_bytes; ++i) size = size << 8 | static_cast<uint8_t>(bytes[start++]);
    if (bytes.size() < start + size) return frames;
    frames.push_back({static_cast<uint8_t>(bytes[0] & 0x0f), bytes.substr(start, size)});
    bytes.erase(0, start + size);
  }
}

// Of the first close frame; 0 when there is none.
inline int close_code(std::string bytes) {
  for (const ServerFrame& frame : server_frames(bytes)) {
    if (frame.opcode != 8) continue;
    return frame.payload.size() < 2 ? 1005 : static_cast<uint8_t>(frame.payload[0]) << 8 | static_cast<uint8_t>(frame.payload[1]);
  }
  return 0;
}

}  // namespace hongyan::access::testing
