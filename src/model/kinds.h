// Numbers of the client contract that code decides by. Never renumber.
#pragma once

#include <cstdint>

namespace hongyan::model {

inline constexpr uint32_t k_conversation_direct = 1;
inline constexpr uint32_t k_conversation_group = 2;

inline constexpr uint32_t k_kind_text = 1;
inline constexpr uint32_t k_kind_system = 2;
inline constexpr uint32_t k_kind_transient_first = 900;
inline constexpr uint32_t k_kind_integrator_first = 1000;
inline constexpr uint32_t k_kind_max = 65535;

inline constexpr uint32_t k_flag_no_unread = 1;
inline constexpr uint32_t k_flag_no_push = 2;
inline constexpr uint32_t k_flag_no_list = 4;
inline constexpr uint32_t k_flag_no_sender_sync = 8;
inline constexpr uint32_t k_flag_transient = 16;

inline constexpr uint32_t k_edge_none = 0;
inline constexpr uint32_t k_edge_friend = 1;
inline constexpr uint32_t k_edge_asked = 2;    // by me, waiting
inline constexpr uint32_t k_edge_asks_me = 3;
inline constexpr uint32_t k_edge_stranger = 4;

inline constexpr uint32_t k_ring_account = 1;
inline constexpr uint32_t k_ring_contacts = 2;
inline constexpr uint32_t k_ring_messages = 3;

inline constexpr uint32_t k_ring_kind_new = 0;
inline constexpr uint32_t k_ring_kind_typing = 1;
inline constexpr uint32_t k_ring_kind_logged_out = 2;

}  // namespace hongyan::model
