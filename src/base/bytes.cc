#include "base/bytes.h"

#include <array>

namespace hongyan {

void put_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    put_u8(out, static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  put_u8(out, static_cast<uint8_t>(value));
}

void put_sized(std::string& out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out.append(bytes);
}

std::optional<std::string_view> Reader::bytes(size_t count) {
  if (failed_ || count > rest_.size()) return fail();
  std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

std::optional<uint8_t> Reader::u8() {
  auto taken = bytes(1);
  if (!taken) return std::nullopt;
  return static_cast<uint8_t>((*taken)[0]);
}

std::optional<uint16_t> Reader::u16() {
  auto taken = bytes(2);
  if (!taken) return std::nullopt;
  uint16_t big;
  std::memcpy(&big, taken->data(), 2);
  return __builtin_bswap16(big);
}

std::optional<uint32_t> Reader::u32() {
  auto taken = bytes(4);
  if (!taken) return std::nullopt;
  uint32_t big;
  std::memcpy(&big, taken->data(), 4);
  return __builtin_bswap32(big);
}

std::optional<uint64_t> Reader::u64() {
  auto taken = bytes(8);
  if (!taken) return std::nullopt;
  uint64_t big;
  std::memcpy(&big, taken->data(), 8);
  return __builtin_bswap64(big);
}

std::optional<uint64_t> Reader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    auto byte = u8();
    if (!byte) return std::nullopt;
    if (shift == 63 && *byte > 1) return fail();
    value |= static_cast<uint64_t>(*byte & 0x7f) << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return fail();
}

std::optional<std::string_view> Reader::sized() {
  auto count = varint();
  if (!count || *count > rest_.size()) return fail();
  return bytes(static_cast<size_t>(*count));
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  }
  return difference == 0;
}

std::string to_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  out.reserve(hex.size() / 2);
  for (size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string to_base64(std::string_view bytes) {
  static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << 16;
    const size_t left = bytes.size() - i;
    if (left > 1) group |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[i + 1])) << 8;
    if (left > 2) group |= static_cast<unsigned char>(bytes[i + 2]);
    out.push_back(alphabet[group >> 18]);
    out.push_back(alphabet[group >> 12 & 63]);
    out.push_back(left > 1 ? alphabet[group >> 6 & 63] : '=');
    out.push_back(left > 2 ? alphabet[group & 63] : '=');
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t group = 0;
  int bits = 0;
  for (char c : text) {
    uint32_t value;
    if (c >= 'A' && c <= 'Z') value = static_cast<uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z') value = static_cast<uint32_t>(c - 'a' + 26);
    else if (c >= '0' && c <= '9') value = static_cast<uint32_t>(c - '0' + 52);
    else if (c == '+' || c == '-') value = 62;
    else if (c == '/' || c == '_') value = 63;
    else return std::nullopt;
    group = group << 6 | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(group >> bits));
    }
  }
  if ((group & ((1u << bits) - 1)) != 0) return std::nullopt;  // Two texts never mean the same bytes.
  return out;
}

size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (length == 3 && ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0))) return 0;
  if (length == 4 && ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90))) return 0;
  return length;
}

}  // namespace hongyan
