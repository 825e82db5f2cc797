// What the generator knows of a method for people: what it is for and its request's fields, as command-line flags
// (process/caller.h) show and take them. Apart from service.h, as no service needs it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace hongyan::rpc {

struct Flag {
  std::string_view name;   // As in the .proto: "client_msg_id".
  std::string_view type;   // "uint64"; of a message or an enum its full name.
  bool scalar = false;     // Can be given as a word; others in JSON only.
  bool repeated = false;
  std::string_view help;   // The .proto's comment; may be empty.
};

struct MethodFlags {
  uint32_t method = 0;     // MethodInfo::id
  std::string_view help;
  std::span<const Flag> flags;
};

}  // namespace hongyan::rpc
