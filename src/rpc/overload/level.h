// Compound levels (DAGOR, SoCC 2018): a business priority and one of 128 user levels, compared in this order. Lower is
// more important. A server's level is the last one that it still takes; it travels as this number: never renumber.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/call.h"

namespace hongyan::rpc {

inline constexpr uint32_t k_user_levels = 128;
inline constexpr uint32_t k_business_levels = 256;
inline constexpr uint32_t k_levels = k_business_levels * k_user_levels;
inline constexpr uint32_t k_level_open = k_levels - 1;  // Everything is taken.

// Of calls that nobody vouches for.
inline constexpr runtime::Priority k_priority_lowest{.business = 255, .user = k_user_levels - 1};

inline uint32_t level_of(runtime::Priority priority) {
  return priority.business * k_user_levels + std::min<uint32_t>(priority.user, k_user_levels - 1);
}
inline runtime::Priority priority_of(uint32_t level) {
  level = std::min(level, k_level_open);
  return {.business = static_cast<uint8_t>(level / k_user_levels), .user = static_cast<uint8_t>(level % k_user_levels)};
}
// The less important of the two: what a caller asks for, within what its ticket allows.
inline runtime::Priority no_better_than(runtime::Priority asked, runtime::Priority allowed) {
  return priority_of(std::max(level_of(asked), level_of(allowed)));
}

}  // namespace hongyan::rpc
