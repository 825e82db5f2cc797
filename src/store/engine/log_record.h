// The records of the log engine's files (log_backend.h says what they look like): making them, and reading them back
// from bytes that may be torn, damaged or hostile.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/engine/backend.h"

namespace hongyan::store {

inline constexpr std::string_view k_log_magic = "HYLOG001";
inline constexpr std::string_view k_checkpoint_magic = "HYCHK001";
inline constexpr size_t k_file_head_bytes = 20;

using Map = std::map<std::string, std::string, std::less<>>;
struct Maps {
  Map of[2];  // By Space.
};

std::string file_head(std::string_view magic, uint64_t salt);
void put_operation(std::string& payload, Space space, std::string_view key, const std::string* value);
void put_record(std::string& out, uint64_t salt, uint64_t sequence, std::string_view payload);
// False: bytes that no program of this format wrote; the maps may hold a part of them.
bool apply_payload(std::string_view payload, Maps& maps);

struct Replayed {
  size_t good_bytes = 0;  // Up to the end of the last whole record; 0: not even the head is whole.
  bool whole = true;      // Nothing stands after that.
  bool ended = false;     // The last record has an empty payload.
};
// Applies the records of a file. Code::corrupt for damage that no torn write leaves, unsupported for another format.
Result<Replayed> replay(const std::string& path, std::string_view content, std::string_view magic, Maps& maps);

}  // namespace hongyan::store
