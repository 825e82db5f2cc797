// Business priorities of calls that no client command names (the others stand in api/client/*.proto); lower is more
// important. The order: one-to-one send, sync and ack, then login and resume, then group send and its fan-out.
#pragma once

#include <cstdint>

namespace hongyan::model {

inline constexpr uint8_t k_priority_send = 20;
inline constexpr uint8_t k_priority_login = 30;
inline constexpr uint8_t k_priority_group_send = 50;  // As group/send.

}  // namespace hongyan::model
