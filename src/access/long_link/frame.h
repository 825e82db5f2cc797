// The frames of the long link, byte-compatible with Tencent mars' default packer: five big-endian u32 (head_length,
// client_version, cmdid, seq, body_length), head_length - 20 bytes of options, then the body. No I/O, never waits.
//
// Both lengths are checked before anything is kept: head and body together are at most 1 MiB, as mars' own decoder has
// it; options are skipped, not stored; a body grows with the bytes that are really there. Wire format: never change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hongyan::access {

inline constexpr size_t k_frame_head_bytes = 20;
inline constexpr size_t k_frame_bytes_max = 1024 * 1024;
inline constexpr uint32_t k_seq_push = 0;                  // From the server only.
inline constexpr uint32_t k_seq_identify = 0xFFFFFFFE;
inline constexpr uint32_t k_seq_noop = 0xFFFFFFFF;
inline constexpr uint32_t k_cmdid_noop = 6;
inline constexpr uint32_t k_cmdid_identify = 237;          // What mars clients use; the command's own id works too.
inline constexpr uint32_t k_cmdid_push = 10001;
inline constexpr uint32_t k_cmdid_seal = 10002;           // Agrees on a session key (seal.h).

struct Frame {
  uint32_t client_version = 0;
  uint32_t cmdid = 0;
  uint32_t seq = 0;
  std::string body;
};

class FrameParser {
 public:
  // Takes bytes off the front of `bytes` until one frame is complete or none are left. After a broken frame it takes
  // nothing any more: where the next one starts is unknown.
  std::optional<Frame> take(std::string_view& bytes);

  bool broken() const { return broken_; }
  bool between_frames() const { return head_.empty(); }
  size_t unfinished_bytes() const { return head_.size() + frame_.body.size(); }

 private:
  bool read_head();

  bool broken_ = false;
  std::string head_;
  size_t options_left_ = 0;
  size_t body_bytes_ = 0;
  Frame frame_;
};

// CHECKs that the frame is within its limit.
void append_frame(std::string& out, uint32_t client_version, uint32_t cmdid, uint32_t seq, std::string_view body);

enum class FrameKind {
  noop,      // Answered with an empty one: mars keeps the bodies of noops for as long as the link lives.
  seal,
  identify,
  command,
  broken,    // seq 0 is a push: nobody could be answered.
};
FrameKind kind_of(const Frame& frame);

}  // namespace hongyan::access
