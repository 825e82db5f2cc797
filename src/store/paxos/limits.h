// Limits of the protocol of one entity.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hongyan::store::paxos {

// Callers that wait at one entity: as many as the store queues for a whole shard's batch. Who comes later is refused.
inline constexpr size_t k_waiting_max = 1024;
// A body holds one batch of commits; the store's batches have the same limit.
inline constexpr size_t k_body_bytes_max = 8 * 1024 * 1024;
// Entries of one message: a replica that missed a few is taught in one, one that missed more takes a snapshot or pages.
inline constexpr size_t k_entries_max = 64;
// Rounds of one entry: a number that no contest reaches (a new round needs a refusal), so that what claims more is damaged
// and can't push the ballots to their end.
inline constexpr uint32_t k_round_max = 1u << 30;

}  // namespace hongyan::store::paxos
