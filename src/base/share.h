// One of `count` equal parts of something, such as the entities that one of several workers looks after. Every hash is
// in exactly one of them.
#pragma once

#include <cstdint>

namespace hongyan {

struct Share {
  uint32_t index = 0;
  uint32_t count = 1;
  bool holds(uint64_t hash) const { return count <= 1 || hash % count == index; }
};

}  // namespace hongyan
