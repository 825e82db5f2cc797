// Limits of data/account, each with its reason. What the client contract promises stands in model/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/time.h"

namespace hongyan::account {

using namespace std::chrono_literals;

inline constexpr int64_t k_uin_block = 1000;                 // A commit for a thousand accounts; a restart skips fewer.
inline constexpr uint32_t k_lease_ids_max = 10'000;          // One careless caller can't use up a region's ids.
inline constexpr size_t k_profiles_max = 500;                // All members of the largest group in one call.
inline constexpr size_t k_reads_at_once_max = 100;           // Of those, how many reads wait in the store together.
inline constexpr size_t k_signature_bytes_max = 256;         // Two lines under a name.
inline constexpr size_t k_external_name_bytes_max = 128;     // Integrators' ids are UUIDs, mail addresses or URLs.
inline constexpr size_t k_address_bytes_max = 64;            // The longest IPv6 address with a zone has 61.
inline constexpr size_t k_attempt_bytes = 16;
inline constexpr int k_hashes_running_max = 2;               // Two cores; each takes tens of MiB while it runs.
inline constexpr size_t k_hashes_waiting_max = 64;           // About a second and a half of work in front of the last.
inline constexpr int k_failures_max = 10;                    // Guesses per name, ...
inline constexpr int k_address_failures_max = 50;            // ... per address, which may be that of a whole office or of
                                                             // many phones, ...
inline constexpr runtime::Duration k_failure_window = 10min; // ... in this time (OWASP, authentication cheat sheet).
inline constexpr size_t k_failure_keys_max = 20'000;         // About 3 MiB when full; the oldest are forgotten first.
inline constexpr int64_t k_password_retry_ms = 10 * 60 * 1000; // A change is known again: clients repeat within seconds.
inline constexpr int k_commit_tries_max = 8;                 // Read, decide, commit: then Code::conflict.

}  // namespace hongyan::account
