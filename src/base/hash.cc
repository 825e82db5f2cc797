#include "base/hash.h"

#include <array>
#include <cstring>

namespace hongyan {

namespace {

constexpr uint64_t mix(uint64_t x) {  // The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    table[i] = crc;
  }
  return table;
}
constexpr auto k_crc_table = make_crc_table();

}  // namespace

uint64_t stable_hash(std::string_view bytes, uint64_t seed) {
  uint64_t state = mix(seed + 0x9e3779b97f4a7c15 + bytes.size());
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), 8);
    state = mix(state ^ word) + 0x9e3779b97f4a7c15;
    bytes.remove_prefix(8);
  }
  uint64_t tail = 0;
  for (size_t i = 0; i < bytes.size(); ++i) tail |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return mix(state ^ tail);
}

uint32_t crc32c(std::string_view bytes, uint32_t start) {
  uint32_t crc = ~start;
  for (unsigned char byte : bytes) crc = crc >> 8 ^ k_crc_table[(crc ^ byte) & 0xff];
  return ~crc;
}

}  // namespace hongyan
