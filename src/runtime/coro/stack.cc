#include "runtime/coro/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "base/check.h"
#include "runtime/coro/sanitizers.h"

#ifdef HONGYAN_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace hongyan::runtime {
namespace {

// Mapped at once: few mappings, and page tables of neighbours are shared.
constexpr size_t k_region_stacks = 64;
// Free stacks beyond these give their pages back to the kernel (1.5 us each), so a burst does not
// hold memory.
constexpr size_t k_warm_stacks = 512;
constexpr uint64_t k_canary = 0x6f6e6779616e2d21;
// MADV_GUARD_INSTALL of Linux 6.13: a guard that needs no mapping of its own. mprotect ends at
// 32,739 stacks, where vm.max_map_count is reached.
constexpr int k_madvise_guard = 102;

bool guard(char* page, size_t bytes) {
  return madvise(page, bytes, k_madvise_guard) == 0 || mprotect(page, bytes, PROT_NONE) == 0;
}

}  // namespace

StackPool::StackPool(size_t stack_bytes, Guards guards)
    : stack_bytes_(stack_bytes),
      guards_(guards),
      guard_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  CHECK(stack_bytes % guard_bytes_ == 0);
}

StackPool::~StackPool() {
  CHECK(free_.size() == mapped_);
  for (const auto& [start, bytes] : regions_) munmap(start, bytes);
}

Stack StackPool::take() {
  if (free_.empty()) map_region();
  const Stack stack = free_.back();
  free_.pop_back();
  return stack;
}

void StackPool::give_back(const Stack& stack) {
  check(stack);
#ifdef HONGYAN_ASAN
  // Frames that were never left, as those of a killed coroutine, have poisoned it.
  __asan_unpoison_memory_region(stack.low, stack.bytes);
#endif
  if (free_.size() >= k_warm_stacks && !stack.canary)
    madvise(stack.low, stack.bytes, MADV_DONTNEED);
  free_.push_back(stack);
}

void StackPool::check(const Stack& stack) {
  if (!stack.canary) return;
  uint64_t word = 0;
  std::memcpy(&word, stack.low, sizeof(word));
  CHECK(word == k_canary);
}

void StackPool::map_region() {
  const size_t spacing = stack_bytes_ + guard_bytes_;
  const size_t bytes = k_region_stacks * spacing;
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  const bool memory_for_stacks = start != MAP_FAILED;
  CHECK(memory_for_stacks);
  madvise(start, bytes, MADV_NOHUGEPAGE);  // One touched page must not cost 2 MiB.
  regions_.emplace_back(start, bytes);
  for (size_t i = k_region_stacks; i-- > 0;) {  // The lowest address is taken first.
    char* page = static_cast<char*>(start) + i * spacing;
    const bool guarded = guards_ == Guards::pages && guard(page, guard_bytes_);
    const Stack stack{.low = page + guard_bytes_, .bytes = stack_bytes_, .canary = !guarded};
    if (stack.canary) std::memcpy(stack.low, &k_canary, sizeof(k_canary));
    free_.push_back(stack);
  }
  mapped_ += k_region_stacks;
}

}  // namespace hongyan::runtime
