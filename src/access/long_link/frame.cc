#include "access/long_link/frame.h"

#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace hongyan::access {

namespace {

constexpr uint32_t k_minor_link = 0xFF000000;  // mars marks the identify of its second link so.
constexpr uint32_t k_identify_command = 110;   // api/client/sync.proto

}  // namespace

std::optional<Frame> FrameParser::take(std::string_view& bytes) {
  const auto next = [&bytes](size_t wanted) {
    const std::string_view piece = bytes.substr(0, wanted);
    bytes.remove_prefix(piece.size());
    return piece;
  };
  if (broken_) return std::nullopt;
  if (head_.size() < k_frame_head_bytes) {
    head_.append(next(k_frame_head_bytes - head_.size()));
    if (head_.size() < k_frame_head_bytes || !read_head()) return std::nullopt;
  }
  options_left_ -= next(options_left_).size();
  if (options_left_ > 0) return std::nullopt;
  frame_.body.append(next(body_bytes_ - frame_.body.size()));
  if (frame_.body.size() < body_bytes_) return std::nullopt;
  head_.clear();
  return std::exchange(frame_, Frame());
}

bool FrameParser::read_head() {
  Reader reader(head_);
  const uint64_t head_length = *reader.u32();
  frame_.client_version = *reader.u32();
  frame_.cmdid = *reader.u32();
  frame_.seq = *reader.u32();
  const uint64_t body_length = *reader.u32();
  if (head_length < k_frame_head_bytes || head_length + body_length > k_frame_bytes_max) {
    broken_ = true;
    head_.clear();
    return false;
  }
  options_left_ = head_length - k_frame_head_bytes;
  body_bytes_ = body_length;
  return true;
}

void append_frame(std::string& out, uint32_t client_version, uint32_t cmdid, uint32_t seq, std::string_view body) {
  CHECK(body.size() + k_frame_head_bytes <= k_frame_bytes_max);
  for (uint32_t value : {static_cast<uint32_t>(k_frame_head_bytes), client_version, cmdid, seq, static_cast<uint32_t>(body.size())}) {
    put_u32(out, value);
  }
  out.append(body);
}

FrameKind kind_of(const Frame& frame) {
  if (frame.cmdid == k_cmdid_noop) return FrameKind::noop;
  const uint32_t command = frame.cmdid & ~k_minor_link;
  if (command == k_cmdid_seal) return frame.seq == k_seq_push ? FrameKind::broken : FrameKind::seal;
  if (frame.seq == k_seq_identify || command == k_cmdid_identify || command == k_identify_command) return FrameKind::identify;
  return frame.seq == k_seq_push ? FrameKind::broken : FrameKind::command;
}

}  // namespace hongyan::access
