#include "rpc/frame.h"

#include <algorithm>
#include <concepts>
#include <cstring>

#include "base/check.h"

namespace hongyan::rpc {

namespace {

constexpr std::string_view k_magic = "HYfr";
constexpr uint8_t k_version = 1;
constexpr uint64_t k_for_ever = ~uint64_t{0};
// One read; most frames are far smaller.
constexpr size_t k_read_bytes = 16 * 1024;
// A buffer that a large frame made larger than this is given back when it is empty.
constexpr size_t k_kept_bytes_max = 64 * 1024;
// Longer than anybody waits, and far from overflow when added to a clock.
constexpr auto k_remaining_max = std::chrono::hours(24);

template <std::unsigned_integral T>
void put(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <std::unsigned_integral T>
T get(const char* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<unsigned char>(from[i])) << (8 * i));
  }
  return value;
}

size_t text_bytes_max(FrameKind kind) {
  switch (kind) {
    case FrameKind::request: return k_ticket_bytes_max;
    case FrameKind::answer: return k_frame_detail_bytes_max;
    case FrameKind::goodbye:
    case FrameKind::ping:
    case FrameKind::pong: return 0;
  }
  return 0;
}

uint64_t to_wire(const std::optional<runtime::Duration>& remaining) {
  if (!remaining) return k_for_ever;
  const auto bounded = std::clamp<runtime::Duration>(*remaining, runtime::Duration(0), k_remaining_max);
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(bounded).count());
}
std::optional<runtime::Duration> from_wire(uint64_t remaining_us) {
  if (remaining_us == k_for_ever) return std::nullopt;
  const auto bound = static_cast<uint64_t>(std::chrono::microseconds(k_remaining_max).count());
  return std::chrono::microseconds(std::min(remaining_us, bound));
}

Status bad(std::string_view why) { return Status(Code::invalid, "rpc frame: " + std::string(why)); }

}  // namespace

void put_frame_head(std::string& out, const Frame& frame, size_t body_bytes) {
  CHECK(frame.text.size() <= text_bytes_max(frame.kind));
  CHECK(body_bytes <= k_frame_body_bytes_max);
  out.append(k_magic);
  put<uint8_t>(out, k_version);
  put<uint8_t>(out, static_cast<uint8_t>(frame.kind));
  put<uint16_t>(out, k_frame_head_bytes);
  put<uint32_t>(out, static_cast<uint32_t>(body_bytes));
  put<uint16_t>(out, static_cast<uint16_t>(frame.text.size()));
  put<uint8_t>(out, frame.priority.business);
  put<uint8_t>(out, frame.priority.user);
  put<uint64_t>(out, frame.call_id);
  put<uint32_t>(out, frame.kind == FrameKind::answer ? static_cast<uint32_t>(frame.code) : frame.method);
  put<uint32_t>(out, 0);
  put<uint64_t>(out, to_wire(frame.remaining));
  put<uint64_t>(out, frame.trace.id);
  put<uint64_t>(out, frame.trace.parent);
  out.append(frame.text);
}

void put_frame(std::string& out, const Frame& frame) {
  put_frame_head(out, frame, frame.body.size());
  out.append(frame.body);
}

std::span<char> FrameParser::space() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (capacity_ > k_kept_bytes_max) {
      buffer_.reset();
      capacity_ = 0;
    }
  }
  if (capacity_ - end_ < k_read_bytes) {
    const size_t kept = end_ - begin_;
    if (capacity_ < kept + k_read_bytes) {
      capacity_ = std::max(2 * k_read_bytes, kept * 2);
      auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
      if (kept > 0) std::memcpy(larger.get(), buffer_.get() + begin_, kept);
      buffer_ = std::move(larger);
    } else {
      std::memmove(buffer_.get(), buffer_.get() + begin_, kept);
    }
    begin_ = 0;
    end_ = kept;
  }
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameParser::filled(size_t bytes) {
  CHECK(bytes <= capacity_ - end_);
  end_ += bytes;
}

Result<std::optional<Frame>> FrameParser::next() {
  if (broken_) return bad("the stream is broken");
  auto frame = parse();
  if (!frame.ok()) broken_ = true;
  return frame;
}

Result<std::optional<Frame>> FrameParser::parse() {
  const std::string_view have(buffer_.get() + begin_, end_ - begin_);
  if (have.substr(0, k_magic.size()) != k_magic.substr(0, have.size())) return bad("wrong magic");
  if (have.size() < k_frame_head_bytes) return std::optional<Frame>();
  const char* head = have.data();
  if (get<uint8_t>(head + 4) != k_version) return bad("unknown version");
  const auto kind = get<uint8_t>(head + 5);
  if (kind < static_cast<uint8_t>(FrameKind::request) || kind > static_cast<uint8_t>(FrameKind::pong)) {
    return bad("unknown kind");
  }
  Frame frame;
  frame.kind = static_cast<FrameKind>(kind);
  const size_t head_bytes = get<uint16_t>(head + 6);
  const size_t body_bytes = get<uint32_t>(head + 8);
  const size_t text_bytes = get<uint16_t>(head + 12);
  if (head_bytes < k_frame_head_bytes || head_bytes > k_frame_head_bytes_max) return bad("wrong size of the head");
  if (body_bytes > k_frame_body_bytes_max) return bad("the body is too large");
  if (text_bytes > text_bytes_max(frame.kind)) return bad("the ticket or detail is too long");
  const size_t total = head_bytes + text_bytes + body_bytes;
  if (have.size() < total) return std::optional<Frame>();

  frame.priority = {.business = get<uint8_t>(head + 14), .user = get<uint8_t>(head + 15)};
  frame.call_id = get<uint64_t>(head + 16);
  const auto method_or_code = get<uint32_t>(head + 24);
  if (frame.kind == FrameKind::request) frame.method = method_or_code;
  if (frame.kind == FrameKind::answer) frame.code = static_cast<Code>(method_or_code);
  frame.remaining = from_wire(get<uint64_t>(head + 32));
  frame.trace = {.id = get<uint64_t>(head + 40), .parent = get<uint64_t>(head + 48)};
  frame.text = have.substr(head_bytes, text_bytes);
  frame.body = have.substr(head_bytes + text_bytes, body_bytes);
  begin_ += total;
  return std::optional<Frame>(frame);
}

}  // namespace hongyan::rpc
