// Limits of one shard.
#pragma once

#include <cstddef>

namespace hongyan::store {

// Commits that may wait. At 20,000 commits/s this is 200 ms of work: whoever comes later would only time out.
inline constexpr size_t k_queued_commits_max = 4096;
// One batch: one sync is spread over many, and still none waits long for its neighbours.
inline constexpr size_t k_batch_commits_max = 1024;
inline constexpr size_t k_batch_bytes_max = 8 * 1024 * 1024;
// Threads for reads that miss the cache; a disk serves several at once.
inline constexpr int k_read_threads = 2;

}  // namespace hongyan::store
