// Bytes as values: order-preserving big-endian integers and a bounded reader. Nothing here allocates by a length
// that was read from outside before that length is checked against what is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hongyan {

// Byte strings are std::string / std::string_view throughout: RocksDB, protobuf and the wire use the same.

inline void put_u8(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }
inline void put_u16(std::string& out, uint16_t value) {
  const char bytes[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, 2);
}
inline void put_u32(std::string& out, uint32_t value) {
  const uint32_t big = __builtin_bswap32(value);
  out.append(reinterpret_cast<const char*>(&big), 4);
}
inline void put_u64(std::string& out, uint64_t value) {
  const uint64_t big = __builtin_bswap64(value);
  out.append(reinterpret_cast<const char*>(&big), 8);
}
// LEB128, 1..10 bytes.
void put_varint(std::string& out, uint64_t value);
// varint length, then the bytes.
void put_sized(std::string& out, std::string_view bytes);

// Reads from the front of a view. A take that misses bytes returns nullopt and leaves the reader failed: nothing remains,
// and every later take returns nullopt too, so that checking the last of a row of takes is enough.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::optional<uint8_t> u8();
  std::optional<uint16_t> u16();
  std::optional<uint32_t> u32();
  std::optional<uint64_t> u64();
  std::optional<uint64_t> varint();
  std::optional<std::string_view> bytes(size_t count);
  std::optional<std::string_view> sized();  // As put_sized wrote it.
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::nullopt_t fail() {
    failed_ = true;
    rest_ = {};
    return std::nullopt;
  }

  std::string_view rest_;
  bool failed_ = false;
};

// Time depends on the length only.
bool equal_constant_time(std::string_view a, std::string_view b);

// Bytes of the UTF-8 character that `text`, which is not empty, begins with; 0: there is none.
size_t utf8_length(std::string_view text);

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view hex);
std::string to_base64(std::string_view bytes);                        // Standard alphabet with padding.
std::optional<std::string> from_base64(std::string_view text);        // Accepts standard and URL alphabets, padding optional.

}  // namespace hongyan
