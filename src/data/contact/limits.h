// Limits of data/contact, each with its reason. What the client contract promises stands in model/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hongyan::contact {

inline constexpr int k_peers_max = 500;                    // All members of the largest group in one question.
inline constexpr int k_peers_at_once_max = 100;            // Of those, how many are read together.
inline constexpr size_t k_pending_at_once_max = 100;       // Pending actions read in one turn; the rest keep the mark.
inline constexpr int64_t k_grant_ms = 60'000;              // As long as a call ticket lives: a removal counts soon.
inline constexpr int64_t k_grant_again_ms = 1'000;         // The same grant is given again: most of its life is left.
inline constexpr size_t k_grants_kept = 4'096;             // To be given again: of those who write now, a megabyte.
inline constexpr int k_commit_tries_max = 8;               // Read, decide, commit: then Code::conflict.

}  // namespace hongyan::contact
