// Limits of one shard.
#pragma once

#include <chrono>
#include <cstddef>

namespace hongyan::store {

// Commits that may wait. At 20,000 commits/s this is 200 ms of work: whoever comes later would only time out.
inline constexpr size_t k_queued_commits_max = 4096;
// What may wait: a limit of memory.
inline constexpr size_t k_queued_bytes_max = 64 * 1024 * 1024;
// Commits or reads of one call; a fan-out to more is several calls.
inline constexpr size_t k_many_max = 1000;
// One commit_many is one batch, so that a single sync covers it.
inline constexpr size_t k_many_bytes_max = 8 * 1024 * 1024;
// One batch: one sync is spread over many, and still none waits long for its neighbours.
inline constexpr size_t k_batch_commits_max = 1024;
inline constexpr size_t k_batch_bytes_max = 8 * 1024 * 1024;
// Rows a read may look at before it leaves the loop: about a millisecond. In the read lane it then looks at the clock.
inline constexpr size_t k_inline_rows_max = 4096;
inline constexpr size_t k_lane_rows_max = 65'536;
// Between two attempts to write to a disk that was full: each may flush what memory holds.
inline constexpr std::chrono::milliseconds k_resume_interval{250};
// What readers asked for lately (read_cache.h): entities, bytes in all, ranges of one entity, bytes of one range. Enough
// for the people who are writing now; a range is some screens of a conversation at most.
inline constexpr size_t k_cached_entities_max = 16'384;
inline constexpr size_t k_cached_bytes_max = 32 * 1024 * 1024;
inline constexpr size_t k_cached_ranges_max = 16;
inline constexpr size_t k_cached_range_bytes_max = 8 * 1024;
// What commits read again and again (commit_cache.h): a header and a number or two of whoever writes now.
inline constexpr size_t k_committer_rows_max = 16'384;
inline constexpr size_t k_committer_value_bytes_max = 128;
// Threads for reads that miss the cache; a disk serves several at once.
inline constexpr int k_read_threads = 4;

}  // namespace hongyan::store
