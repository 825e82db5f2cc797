// A stable 64-bit hash for slots, routing and checksums of small keys: the same on every machine and in every
// release, since stored rows are placed by it. Never change. Not for hostile keys in hash tables, not for secrets.
#pragma once

#include <cstdint>
#include <string_view>

namespace hongyan {

uint64_t stable_hash(std::string_view bytes, uint64_t seed = 0);

// CRC-32C (Castagnoli), as iSCSI and RocksDB use it; checksums of our own disk formats.
uint32_t crc32c(std::string_view bytes, uint32_t start = 0);

}  // namespace hongyan
