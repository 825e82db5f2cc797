// Limits of data/group.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hongyan::group {

// One round of fan-out: well below one commit's limits in every member's inbox.
inline constexpr size_t k_fan_out_rows_max = 64;
inline constexpr size_t k_fan_out_bytes_max = 192 * 1024;
// Members served at a time; their commits share syncs.
inline constexpr int k_fan_out_parallel = 32;
// Ids taken at once: a crash skips them.
inline constexpr uint32_t k_ids_leased = 16;
// A change that lost against others' is decided again this often before the caller hears of it.
inline constexpr int k_tries_max = 8;

}  // namespace hongyan::group
