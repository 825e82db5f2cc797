// Limits of data/device, each with its reason. How many devices a user has stands in model/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/time.h"

namespace hongyan::device {

using namespace std::chrono_literals;

inline constexpr size_t k_device_id_bytes = 16;
inline constexpr size_t k_secret_bytes = 32;                 // Nobody guesses 2^256.
inline constexpr size_t k_info_text_bytes_max = 128;         // Model, system, version, locale, zone: a line each.
inline constexpr int k_info_kinds_max = 64;
inline constexpr int k_info_push_max = 4;                    // APNs, VoIP, FCM, Web Push.
inline constexpr size_t k_push_token_bytes_max = 2048;       // A Web Push subscription with its keys.
inline constexpr size_t k_tickets_max = 16;                  // Integrators' tickets of one user that wait to be used.
inline constexpr uint32_t k_ticket_valid_ms = 5 * 60 * 1000;      // When the integrator does not say.
inline constexpr uint32_t k_ticket_valid_ms_max = 60 * 60 * 1000; // It goes through a page's address: not for long.
inline constexpr runtime::Duration k_cursor_interval = 30s;  // A cursor only lets a purge go on: early enough.
inline constexpr size_t k_cursor_times_max = 100'000;        // Devices whose last write is remembered; about 10 MiB.
inline constexpr uint32_t k_restore_step_least = 1 << 16;    // More logins than a user has between a backup and its restore.
inline constexpr uint32_t k_restore_steps = 1 << 24;         // Two restores of one backup agree once in so many; some 500 fit.
inline constexpr int k_commit_tries_max = 8;                 // Read, decide, commit: then Code::conflict.

}  // namespace hongyan::device
