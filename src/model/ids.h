// Ids of users and groups: below 2^53, so that JSON numbers carry them. region (10 bits) · counter (43 bits); the
// counter's top bit tells groups from users. Never renumber.
#pragma once

#include <cstdint>

namespace hongyan::model {

inline constexpr int k_counter_bits = 43;
inline constexpr uint64_t k_group_bit = uint64_t{1} << (k_counter_bits - 1);
inline constexpr uint64_t k_id_end = uint64_t{1} << 53;
inline constexpr uint64_t k_first_uin = 10'001;  // Below: the system's own accounts.
inline constexpr uint64_t k_system_uin = 1'000;  // "Hongyan" itself: integrators' system messages.

constexpr bool is_group(uint64_t id) { return (id & k_group_bit) != 0; }
constexpr bool is_user(uint64_t id) { return id != 0 && id < k_id_end && !is_group(id); }
constexpr uint32_t region_of(uint64_t id) { return static_cast<uint32_t>(id >> k_counter_bits); }

}  // namespace hongyan::model
