#include "runtime/trace/traceparent.h"

#include <fmt/format.h>

#include <charconv>

namespace hongyan::runtime {
namespace {

constexpr size_t k_bytes = 55;

template <typename T>
std::optional<T> hex(std::string_view text) {
  T value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Trace> parse_traceparent(std::string_view text) {
  if (text.size() < k_bytes || text.find_first_not_of("0123456789abcdef-") < k_bytes) return std::nullopt;
  if (text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  if (text.starts_with("ff")) return std::nullopt;
  if (text.size() > k_bytes && (text.starts_with("00") || text[k_bytes] != '-')) return std::nullopt;
  const auto high = hex<uint64_t>(text.substr(3, 16)), low = hex<uint64_t>(text.substr(19, 16));
  const auto parent = hex<uint64_t>(text.substr(36, 16));
  const auto flags = hex<uint8_t>(text.substr(53, 2));
  if (!high || !low || !parent || !flags || (*high == 0 && *low == 0) || *parent == 0) return std::nullopt;
  return Trace{.id = *low, .parent = *parent, .id_high = *high, .sampled = (*flags & 1) != 0};
}

std::string format_traceparent(const Trace& trace) {
  return fmt::format("00-{:016x}{:016x}-{:016x}-{:02x}", trace.id_high, trace.id, trace.parent, trace.sampled ? 1 : 0);
}

}  // namespace hongyan::runtime
