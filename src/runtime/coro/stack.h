// Stacks of coroutines: mapped in regions, touched lazily, an inaccessible page below each so that
// an overflow stops the process instead of corrupting a neighbour. Taken last in, first out: the
// hottest is used again. One thread.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace hongyan::runtime {

struct Stack {
  char* low = nullptr;  // The lowest usable byte; stacks grow down from low + bytes.
  size_t bytes = 0;
  bool canary = false;  // No guard page could be had: a word at `low` is checked instead.
};

class StackPool {
 public:
  // Canaries come of themselves where the kernel grants no more guard pages.
  enum class Guards { pages, canaries };
  explicit StackPool(size_t stack_bytes, Guards guards = Guards::pages);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  Stack take();
  void give_back(const Stack& stack);
  // CHECKs what a guard page would have caught.
  static void check(const Stack& stack);
  size_t mapped() const { return mapped_; }  // Stacks that exist, in use or not.

 private:
  void map_region();

  size_t stack_bytes_;
  Guards guards_;
  size_t guard_bytes_;
  size_t mapped_ = 0;
  std::vector<Stack> free_;
  std::vector<std::pair<void*, size_t>> regions_;
};

}  // namespace hongyan::runtime
