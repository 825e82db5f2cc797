// Stacks of coroutines, pooled. One pool has stacks of one size, in one region of reserved addresses,
// touched lazily, an inaccessible page below each so that an overflow stops the process instead of
// corrupting a neighbour. Taken last in, first out: the hottest is used again. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/coro/sanitizers.h"

namespace hongyan::runtime {

// k16 for masses of coroutines that only wait; k64 for whatever handles a request (protobuf JSON of
// the largest body needs 20 KiB); k256 for deep recursion. The sanitizers' frames are larger.
enum class StackSize : uint8_t { k16, k32, k64, k256 };
inline constexpr int k_stack_sizes = 4;
constexpr uint32_t bytes_of(StackSize size) {
#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
  constexpr uint32_t k_unit = 4 * 1024;
#else
  constexpr uint32_t k_unit = 1024;
#endif
  constexpr uint32_t k_units[k_stack_sizes] = {16, 32, 64, 256};
  return k_units[static_cast<int>(size)] * k_unit;
}

struct Stack {
  char* low = nullptr;  // The lowest usable byte; stacks grow down from low + bytes.
  uint32_t bytes = 0;
  bool canary = false;  // No guard page could be had: a word at `low` is checked instead.
  bool contains(const void* address) const {
    return address >= low && address < low + bytes;
  }
};

struct StackStats {
  uint32_t bytes = 0;      // Of one.
  size_t made = 0;         // That exist, in use or not.
  size_t in_use = 0;
  size_t in_use_max = 0;   // Ever.
  uint32_t depth_max = 0;  // Bytes the deepest one touched; found by sampling.
  uint64_t trimmed = 0;    // Times one's pages were given back to the kernel.
};

class StackPool {
 public:
  // The best the kernel grants unless told: markers in the page table, which cost no mapping (Linux
  // 6.13); protected mappings for the first thousands, where mappings are limited; a canary for the
  // others.
  enum class Guards { markers, mappings, canaries };
  explicit StackPool(size_t stack_bytes, Guards guards = Guards::markers);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  Stack take() {
    if (free_.empty()) make();
    const Stack stack = free_.back();
    free_.pop_back();
    if (trimmed_free_ > free_.size()) trimmed_free_ = free_.size();
    if (++in_use_ > stats_.in_use_max) stats_.in_use_max = in_use_;
    return stack;
  }
  void give_back(const Stack& stack);
  // CHECKs what a guard page would have caught.
  static void check(const Stack& stack) {
    if (stack.canary) [[unlikely]] check_canary(stack);
  }

  // After a burst free stacks hold pages: gives those of up to `stacks_max` cold ones back. False:
  // there was nothing to do. For an idle moment: 1.5 us each, and a page fault when used again.
  bool trim(int stacks_max);

  // Gives the pages of a stack in use back, and makes touching it fatal where guards are markers.
  void seal(const Stack& stack);
  void unseal(const Stack& stack);  // Its content is not what it was.

  StackStats stats() const;
  size_t mapped() const { return made_; }

 private:
  void make();
  void reserve();
  bool guard(char* page);
  void sample_depth(const Stack& stack);
  static void check_canary(const Stack& stack);

  size_t stack_bytes_;
  Guards guards_;
  size_t guard_bytes_;
  size_t made_ = 0;
  size_t in_use_ = 0;
  size_t trimmed_free_ = 0;  // So many of the coldest have no pages.
  uint32_t until_sample_ = 1;
  StackStats stats_;
  std::vector<Stack> free_;
  char* next_ = nullptr;  // Where the next one is made, in the last region.
  char* usable_end_ = nullptr;
  char* region_end_ = nullptr;
  std::vector<std::pair<char*, size_t>> regions_;
};

}  // namespace hongyan::runtime
