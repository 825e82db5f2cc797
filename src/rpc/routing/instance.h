// One process that serves a name, as a directory lists it, and the text form of such a list:
//
//   10.0.0.1:7000 weight=2 zone=a segments=1000-1999,3000-3999 version=5-7 state=up
//
// One instance a line, attributes in any order, each at most once; `#` starts a comment. Absent:
// weight 1, no zone, any number, any version, up. Unknown attributes are errors: a misspelt
// "stat=down" must not send traffic to a machine that is being taken down. Values only, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hongyan::rpc {

// A directory of one name; a name with more instances is several names.
inline constexpr size_t k_instances_max = 4096;
// A full directory with long lines is half of that.
inline constexpr size_t k_instances_text_bytes_max = 1024 * 1024;
// A host name has at most 253 characters, a port five.
inline constexpr size_t k_instance_address_bytes_max = 260;
inline constexpr size_t k_zone_bytes_max = 32;
// A sandbox or a shard is a handful of ranges.
inline constexpr size_t k_segments_max = 64;
// The ring holds 128 points for each weight.
inline constexpr uint32_t k_weight_max = 100;

// Both ends included.
struct NumberRange {
  uint64_t first = 0;
  uint64_t last = 0;
  bool holds(uint64_t number) const { return first <= number && number <= last; }
  bool operator==(const NumberRange&) const = default;
};

// draining: calls under way go on, no new ones; down: the connection is closed as well.
enum class InstanceState { up, draining, down };

struct Instance {
  std::string address = {};
  uint32_t weight = 1;
  std::string zone = {};
  std::vector<NumberRange> segments = {};  // Of routing keys that only such instances serve.
  std::vector<NumberRange> versions = {};  // Of clients that only such instances serve.
  InstanceState state = InstanceState::up;
  bool operator==(const Instance&) const = default;
};

// Sorted by address. Code::invalid names the line and what is wrong with it; an address that comes
// twice is an error too.
Result<std::vector<Instance>> parse_instances(std::string_view text);

// "a:1,b:2" or "a:1,a:2": addresses only.
Result<std::vector<Instance>> parse_address_list(std::string_view text);

std::string_view name_of(InstanceState state);

}  // namespace hongyan::rpc
