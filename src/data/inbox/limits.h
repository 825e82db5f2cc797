// Limits of the inbox beyond those of the contract (model/limits.h), each with its reason.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/time.h"

namespace hongyan::inbox {

inline constexpr size_t k_first_conversations = 200;      // What a list shows before anybody scrolls.
inline constexpr size_t k_first_pages = 20;               // Conversations that open without a round trip.
inline constexpr size_t k_first_page_messages = 20;       // One screen.
inline constexpr uint64_t k_first_whole_log_max = 200;     // Inboxes with at most so many versions are sent whole.
inline constexpr size_t k_conversations_scanned_max = 10'000;  // Friends and groups of the busiest person, twice over.
inline constexpr size_t k_unread_rows_max = 10'000;       // Rows looked at for one recount; 999+ shows long before.
inline constexpr size_t k_draft_bytes_max = 4096;         // A draft is synced to every device at every pause.
inline constexpr size_t k_group_commit_bytes_max = 48 * 1024;  // A commit is never cut by sync: far below one answer.
inline constexpr size_t k_group_commit_rows_max = 200;    // With its deletes still one commit in the purge.
inline constexpr size_t k_group_entries_max = 1000;       // One request of the fan-out.
inline constexpr size_t k_group_entry_bytes_max = 160 * 1024;  // An event with 500 members; below one row.
inline constexpr int k_conflict_retries_max = 8;          // Then the client is asked to send again.
inline constexpr size_t k_open_page_rows = 100;         // Open sends delivered in one round: 3.4 MB of bodies at worst.
inline constexpr size_t k_close_rows_max = 500;         // Open sends closed by one commit.
inline constexpr size_t k_delivered_senders_max = 20'000; // Remembered; forgetting costs one idempotent redelivery.
inline constexpr size_t k_scan_entities_max = 200;        // Marked inboxes in one batch of the worker.
inline constexpr size_t k_rings_waiting_max = 20'000;     // Beyond, rings are dropped: a lost ring is not an error.
inline constexpr size_t k_purge_rows_max = 200;           // Log rows of one purge commit.
inline constexpr size_t k_purge_mutations_max = 800;      // Below the store's 1,000 rows of one operation.
inline constexpr size_t k_purge_steps_max = 50;           // Of one inbox before the next one has its turn.
inline constexpr int64_t k_device_forgotten_ms = 30LL * 24 * 3600 * 1000;  // Not seen for so long: holds nothing back.

}  // namespace hongyan::inbox
