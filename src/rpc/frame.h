// The frames that services exchange over a byte stream: requests and answers of many calls mixed on one connection.
// No I/O here: bytes are written into the parser's own buffer and whole frames are taken out of it in place.
//
// Layout, all integers little-endian; never renumber:
//    0 magic "HYfr" · 4 version u8 = 1 · 5 kind u8 · 6 head bytes u16 (at least 56; later versions append, readers skip)
//    8 body bytes u32 · 12 text bytes u16 · 14 business priority u8 · 15 user priority u8
//   16 call id u64 · 24 method id or status code u32 · 28 flags u32 (unknown ones are ignored)
//   32 remaining time u64, microseconds, all ones: for ever · 40 trace id u64, its low half · 48 trace parent u64
//   Heads of 72 bytes: 56 routing key u64, 0: none · 64 trace id u64, its high half
//   Flags of a request: 1 the trace is sampled. Of an answer: 1 a level is given; it stands at 40, its low 32 bits.
//   then the text (a request's ticket, an answer's error detail), then the body (a protobuf message).
// Time travels as what remains, since the clocks of two machines differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/ticket.h"
#include "runtime/call.h"

namespace hongyan::rpc {

// The largest thing that travels is a row's worth of media or an answer of 1 MiB of rows; this leaves room for eight.
inline constexpr size_t k_frame_body_bytes_max = 8 * 1024 * 1024;
// A sentence for developers.
inline constexpr size_t k_frame_detail_bytes_max = 1024;
inline constexpr size_t k_frame_head_bytes = 72;
// Of the first writers; shorter ones are refused.
inline constexpr size_t k_frame_head_bytes_min = 56;
// Room for fields of later versions.
inline constexpr size_t k_frame_head_bytes_max = 256;

enum class FrameKind : uint8_t {
  request = 1,
  answer = 2,
  // The server takes no more requests on this connection: those with a call id above this frame's were not started.
  goodbye = 3,
  // A client with nothing to hear asks whether the server is there; a pong at once. Both keep a connection alive.
  ping = 4,
  pong = 5,
};

struct Frame {
  FrameKind kind = FrameKind::request;
  uint64_t call_id = 0;
  uint32_t method = 0;                                      // request
  Code code = Code::ok;                                     // answer
  std::optional<runtime::Duration> remaining = {};          // request; none: for ever
  runtime::Priority priority = {};                          // request
  runtime::Trace trace = {};                                // request
  uint64_t routing_key = 0;                                 // request; 0: none
  std::optional<uint32_t> level = {};                       // answer: the server's admission level
  std::string_view text = {};                               // request: the ticket; answer: the detail
  std::string_view body = {};
};

// Writes head and text to where there is room for frame_head_bytes(); exactly `body_bytes` must follow. Gives the end.
// What is over a limit is the caller's bug: CHECK.
inline size_t frame_head_bytes(const Frame& frame) { return k_frame_head_bytes + frame.text.size(); }
char* write_frame_head(char* to, const Frame& frame, size_t body_bytes);
void put_frame_head(std::string& out, const Frame& frame, size_t body_bytes);
void put_frame(std::string& out, const Frame& frame);

// Memory: at most twice the bytes that have really come for a frame, whatever its head announces; nothing at all
// between frames. Bytes come into space(), or are lent from a buffer that many connections share.
class FrameParser {
 public:
  // Where the next bytes of the stream go: never empty. Frames taken before are invalid from here on.
  std::span<char> space();
  void filled(size_t bytes);
  // Parses `bytes` where they are, after keep() was given nothing: a rest must be copied in front of them with
  // take_rest().
  void lend(std::string_view bytes);
  // Copies what is left of the lent bytes; gives back memory when nothing is left.
  void keep();
  // Moves the bytes of an unfinished frame to `to`, which has room for rest_bytes() and may be what was lent.
  size_t rest_bytes() const { return end_ - begin_; }
  size_t take_rest(char* to);
  void drop() {
    begin_ = end_ = 0;
    keep();
  }
  std::string_view rest() const { return {(lent_ != nullptr ? lent_ : buffer_.get()) + begin_, end_ - begin_}; }
  // The next whole frame, in place. broken: not our frames or over a limit; the stream cannot be understood from there
  // on, and every later call says so too.
  enum class Taken { frame, more_bytes_needed, broken };
  Taken take(Frame& frame);
  // The same for who has time: Code::invalid says why.
  Result<std::optional<Frame>> next();
  size_t capacity() const { return capacity_; }

 private:
  Taken refuse(const char* why);

  std::unique_ptr<char[]> buffer_;
  const char* lent_ = nullptr;  // Instead of the buffer.
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  const char* broken_ = nullptr;  // Why.
};

}  // namespace hongyan::rpc
