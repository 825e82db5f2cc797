#include "rpc/frame.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>

#include "base/check.h"

namespace hongyan::rpc {

namespace {

constexpr std::string_view k_magic = "HYfr";
constexpr uint8_t k_version = 1;
constexpr uint32_t k_flag_1 = 1;
constexpr uint64_t k_for_ever = ~uint64_t{0};
// One read; most frames are far smaller.
constexpr size_t k_read_bytes = 16 * 1024;
// A buffer that a large frame made larger than this is given back when it is empty.
constexpr size_t k_kept_bytes_max = 64 * 1024;
// Longer than anybody waits, and far from overflow when added to a clock.
constexpr auto k_remaining_max = std::chrono::hours(24);

// Little-endian, whatever the machine is. One move each where it is the machine's own order: a loop over the bytes, which
// the compiler does not see through, is felt with many calls in a read.
template <std::unsigned_integral T>
T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::little || sizeof(T) == 1) return value;
  T swapped = 0;
  for (size_t i = 0; i < sizeof(T); ++i) swapped = static_cast<T>(swapped << 8 | (value >> (8 * i) & 0xff));
  return swapped;
}

template <std::unsigned_integral T>
void put(char*& to, T value) {
  value = little_endian(value);
  std::memcpy(to, &value, sizeof value);
  to += sizeof value;
}

template <std::unsigned_integral T>
T get(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return little_endian(value);
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

}  // namespace

char* write_frame_head(char* to, const Frame& frame, size_t body_bytes) {
  CHECK(frame.text.size() <= text_bytes_max(frame.kind));
  CHECK(body_bytes <= k_frame_body_bytes_max);
  const bool answer = frame.kind == FrameKind::answer;
  uint32_t flags = 0;
  if (answer ? frame.level.has_value() : frame.trace.sampled) flags |= k_flag_1;
  to = std::copy(k_magic.begin(), k_magic.end(), to);
  put<uint8_t>(to, k_version);
  put<uint8_t>(to, static_cast<uint8_t>(frame.kind));
  put<uint16_t>(to, k_frame_head_bytes);
  put<uint32_t>(to, static_cast<uint32_t>(body_bytes));
  put<uint16_t>(to, static_cast<uint16_t>(frame.text.size()));
  put<uint8_t>(to, frame.priority.business);
  put<uint8_t>(to, frame.priority.user);
  put<uint64_t>(to, frame.call_id);
  put<uint32_t>(to, answer ? static_cast<uint32_t>(frame.code) : frame.method);
  put<uint32_t>(to, flags);
  put<uint64_t>(to, to_wire(frame.remaining));
  put<uint64_t>(to, answer ? frame.level.value_or(0) : frame.trace.id);
  put<uint64_t>(to, frame.trace.parent);
  put<uint64_t>(to, frame.routing_key);
  put<uint64_t>(to, frame.trace.id_high);
  return std::copy(frame.text.begin(), frame.text.end(), to);
}

void put_frame_head(std::string& out, const Frame& frame, size_t body_bytes) {
  const size_t before = out.size();
  out.resize(before + frame_head_bytes(frame));
  write_frame_head(out.data() + before, frame, body_bytes);
}

void put_frame(std::string& out, const Frame& frame) {
  put_frame_head(out, frame, frame.body.size());
  out.append(frame.body);
}

std::span<char> FrameParser::space() {
  if (lent_ != nullptr) keep();
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

void FrameParser::lend(std::string_view bytes) {
  CHECK(begin_ == end_);
  lent_ = bytes.data();
  begin_ = 0;
  end_ = bytes.size();
}

void FrameParser::keep() {
  const size_t rest = end_ - begin_;
  if (rest == 0) {
    buffer_.reset();
    capacity_ = begin_ = end_ = 0;
  } else if (lent_ != nullptr) {
    if (capacity_ < rest) {
      capacity_ = rest;
      buffer_ = std::make_unique_for_overwrite<char[]>(capacity_);
    }
    std::memcpy(buffer_.get(), lent_ + begin_, rest);
    begin_ = 0;
    end_ = rest;
  }
  lent_ = nullptr;
}

size_t FrameParser::take_rest(char* to) {
  const size_t rest = end_ - begin_;
  if (rest > 0) std::memmove(to, (lent_ != nullptr ? lent_ : buffer_.get()) + begin_, rest);
  begin_ = end_ = 0;
  return rest;
}

Result<std::optional<Frame>> FrameParser::next() {
  Frame frame;
  switch (take(frame)) {
    case Taken::frame: return std::optional<Frame>(frame);
    case Taken::more_bytes_needed: return std::optional<Frame>();
    case Taken::broken: break;
  }
  return Status(Code::invalid, std::string("rpc frame: ") + broken_);
}

FrameParser::Taken FrameParser::refuse(const char* why) {
  broken_ = why;
  return Taken::broken;
}

FrameParser::Taken FrameParser::take(Frame& frame) {
  if (broken_ != nullptr) return Taken::broken;
  const std::string_view have((lent_ != nullptr ? lent_ : buffer_.get()) + begin_, end_ - begin_);
  if (have.size() < k_frame_head_bytes_min) {
    const bool begins_well = have.substr(0, k_magic.size()) == k_magic.substr(0, have.size());
    return begins_well ? Taken::more_bytes_needed : refuse("wrong magic");
  }
  const char* head = have.data();
  if (std::memcmp(head, k_magic.data(), k_magic.size()) != 0) return refuse("wrong magic");
  if (get<uint8_t>(head + 4) != k_version) return refuse("unknown version");
  const auto kind = get<uint8_t>(head + 5);
  if (kind < static_cast<uint8_t>(FrameKind::request) || kind > static_cast<uint8_t>(FrameKind::pong)) {
    return refuse("unknown kind");
  }
  const size_t head_bytes = get<uint16_t>(head + 6);
  const size_t body_bytes = get<uint32_t>(head + 8);
  const size_t text_bytes = get<uint16_t>(head + 12);
  if (head_bytes < k_frame_head_bytes_min || head_bytes > k_frame_head_bytes_max) return refuse("wrong size of the head");
  if (body_bytes > k_frame_body_bytes_max) return refuse("the body is too large");
  if (text_bytes > text_bytes_max(static_cast<FrameKind>(kind))) return refuse("the ticket or detail is too long");
  const size_t total = head_bytes + text_bytes + body_bytes;
  if (have.size() < total) return Taken::more_bytes_needed;

  frame = Frame{.kind = static_cast<FrameKind>(kind)};
  frame.priority = {.business = get<uint8_t>(head + 14), .user = get<uint8_t>(head + 15)};
  frame.call_id = get<uint64_t>(head + 16);
  const auto method_or_code = get<uint32_t>(head + 24);
  const bool flag_1 = (get<uint32_t>(head + 28) & k_flag_1) != 0;
  frame.remaining = from_wire(get<uint64_t>(head + 32));
  if (frame.kind == FrameKind::answer) {
    frame.code = static_cast<Code>(method_or_code);
    if (flag_1) frame.level = static_cast<uint32_t>(get<uint64_t>(head + 40));
  } else if (frame.kind == FrameKind::request) {
    frame.method = method_or_code;
    frame.trace = {.id = get<uint64_t>(head + 40), .parent = get<uint64_t>(head + 48), .sampled = flag_1};
    if (head_bytes >= k_frame_head_bytes) {
      frame.routing_key = get<uint64_t>(head + 56);
      frame.trace.id_high = get<uint64_t>(head + 64);
    }
  }
  frame.text = have.substr(head_bytes, text_bytes);
  frame.body = have.substr(head_bytes + text_bytes, body_bytes);
  begin_ += total;
  return Taken::frame;
}

}  // namespace hongyan::rpc
