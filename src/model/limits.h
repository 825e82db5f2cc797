// What the contract accepts. Each limit has its reason; docs/protocol.md lists them from here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hongyan::model {

inline constexpr size_t k_content_bytes_max = 32 * 1024;      // Longer things are media: a reference in the content.
inline constexpr size_t k_digest_bytes_max = 256;             // One line of a list; APNs takes 4 KiB in all.
inline constexpr size_t k_ext_bytes_max = 1024;               // Integrators' own marks, not a second content.
inline constexpr size_t k_client_msg_id_bytes_max = 64;       // A UUID in any spelling.
inline constexpr size_t k_mentions_max = 50;                  // More people than this are mention_scope 1.
inline constexpr size_t k_batch_messages_max = 16;            // One request stays below its size limit.
inline constexpr size_t k_request_bytes_max = 1024 * 1024;    // mars closes a link above 1 MiB.
inline constexpr size_t k_sync_bytes_max = 256 * 1024;        // One answer of sync.
inline constexpr size_t k_history_rows_max = 100;             // A screen or two; more is another request.
inline constexpr size_t k_conversations_page_max = 200;       // What a first screen and some scrolling show.
inline constexpr size_t k_contacts_page_max = 500;            // About 100 KiB with profiles.
inline constexpr size_t k_contacts_max = 5000;                // Friends and requests of one user.
inline constexpr size_t k_name_bytes_max = 128;               // Nicknames, remarks, group names.
inline constexpr size_t k_greeting_bytes_max = 256;           // A line or two.
inline constexpr size_t k_user_name_bytes_min = 3;            // Short names are guessed.
inline constexpr size_t k_user_name_bytes_max = 32;           // It is read aloud and typed.
inline constexpr size_t k_password_bytes_min = 8;             // Shorter ones are guessed.
inline constexpr size_t k_password_bytes_max = 128;           // argon2 hashes it all; more only costs time.
inline constexpr size_t k_devices_max = 20;                   // Per user; the oldest logged-out one is forgotten first.
inline constexpr size_t k_group_members_max = 500;            // Write fan-out stays affordable (INV-36).
inline constexpr size_t k_group_row_members_max = 100;        // Above, one message would cost more than 100 commits: markers.
inline constexpr uint32_t k_unread_shown_max = 1000;          // Shown as 999+ from here; not counted further.
inline constexpr int64_t k_dedup_days = 30;                   // Clients resend for 7 days, then ask the person.

}  // namespace hongyan::model
