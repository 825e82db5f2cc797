// Limits of data/group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/time.h"

namespace hongyan::group {

// One round of fan-out: well below one commit's limits in every member's inbox.
inline constexpr size_t k_fan_out_rows_max = 64;
inline constexpr size_t k_fan_out_bytes_max = 192 * 1024;
// Members served at a time; their commits share syncs.
inline constexpr int k_fan_out_parallel = 32;
// What one member's inbox may take. A member that takes longer is behind: the others do not wait for it.
inline constexpr runtime::Duration k_member_limit = std::chrono::seconds(3);
// Served by markers: at most one in this time per member and group, and one round of them reads so many rows at most.
inline constexpr int64_t k_marker_interval_ms = 5000;
inline constexpr size_t k_marker_rows_max = 4096;
// A backlog older than this goes before the group sends that come in: it rises by one class (model/priority.h).
inline constexpr int64_t k_backlog_rises_ms = 30'000;
// Members that fall behind in one round; more is no trouble of single members.
inline constexpr size_t k_behind_max = 500;
// Ids taken at once: a crash skips them.
inline constexpr uint32_t k_ids_leased = 16;
// A change that lost against others' is decided again this often before the caller hears of it.
inline constexpr int k_tries_max = 8;
// How often one person may come and go: each time is a span of their row, which every change of the group reads.
inline constexpr int k_spans_max = 100;
// Members and those who left: their rows are read by every change.
inline constexpr size_t k_member_rows_max = 5000;

}  // namespace hongyan::group
