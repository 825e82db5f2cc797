#include "runtime/coro/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

#ifdef HONGYAN_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace hongyan::runtime {
namespace {

// Addresses reserved at once, which cost nothing until used. Halved where the process may not.
#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
constexpr size_t k_reserve_bytes = size_t{1} << 30;
#else
constexpr size_t k_reserve_bytes = size_t{256} << 30;
#endif
// Made usable at once: few system calls, and page tables of neighbours are shared.
constexpr size_t k_step_stacks = 64;
// Free stacks up to here keep their pages whatever happens.
constexpr size_t k_warm_stacks = 512;
// The kernel splits a mapping for each, and a process may have 65,530 unless told otherwise.
constexpr size_t k_mapping_guards_max = 8 * 1024;
constexpr uint64_t k_canary = 0x6f6e6779616e2d21;
// One in so many stacks that are given back is looked at.
constexpr uint32_t k_sample_every = 4096;

constexpr int k_madvise_guard_install = 102;  // MADV_GUARD_INSTALL of Linux 6.13.
constexpr int k_madvise_guard_remove = 103;

}  // namespace

StackPool::StackPool(size_t stack_bytes, Guards guards)
    : stack_bytes_(stack_bytes),
      guards_(guards),
      guard_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  CHECK(stack_bytes % guard_bytes_ == 0);
  stats_.bytes = static_cast<uint32_t>(stack_bytes);
}

StackPool::~StackPool() {
  CHECK(in_use_ == 0);
  for (const auto& [start, bytes] : regions_) munmap(start, bytes);
}

void StackPool::give_back(const Stack& stack) {
  check(stack);
#ifdef HONGYAN_ASAN
  // Frames that were never left, as those of a killed coroutine, have poisoned it.
  __asan_unpoison_memory_region(stack.low, stack.bytes);
#endif
  if (--until_sample_ == 0) sample_depth(stack);
  --in_use_;
  free_.push_back(stack);
}

void StackPool::check_canary(const Stack& stack) {
  uint64_t word = 0;
  std::memcpy(&word, stack.low, sizeof(word));
  CHECK(word == k_canary);
}

bool StackPool::trim(int stacks_max) {
  int done = 0;
  while (done < stacks_max && free_.size() > k_warm_stacks + trimmed_free_) {
    const Stack& stack = free_[trimmed_free_++];
    if (stack.canary) continue;  // Its page would be touched again for the canary.
    madvise(stack.low, stack.bytes, MADV_DONTNEED);
    ++stats_.trimmed;
    ++done;
  }
  return done > 0;
}

void StackPool::seal(const Stack& stack) {
  if (guards_ == Guards::markers && !stack.canary) {
    CHECK(madvise(stack.low, stack.bytes, k_madvise_guard_install) == 0);
  } else {
    CHECK(madvise(stack.low, stack.bytes, MADV_DONTNEED) == 0);
  }
}

void StackPool::unseal(const Stack& stack) {
  if (guards_ == Guards::markers && !stack.canary) {
    CHECK(madvise(stack.low, stack.bytes, k_madvise_guard_remove) == 0);
  } else if (stack.canary) {
    std::memcpy(stack.low, &k_canary, sizeof(k_canary));
  }
}

StackStats StackPool::stats() const {
  StackStats stats = stats_;
  stats.made = made_;
  stats.in_use = in_use_;
  return stats;
}

// How many pages from the top down were touched since it last had none.
void StackPool::sample_depth(const Stack& stack) {
  until_sample_ = k_sample_every;
  unsigned char resident[1024] = {};
  const size_t pages = std::min(stack.bytes / guard_bytes_, sizeof(resident));
  char* const start = stack.low + stack.bytes - pages * guard_bytes_;
  if (mincore(start, pages * guard_bytes_, resident) != 0) return;
  size_t touched = 0;
  while (touched < pages && (resident[pages - 1 - touched] & 1) != 0) ++touched;
  stats_.depth_max = std::max(stats_.depth_max, static_cast<uint32_t>(touched * guard_bytes_));
}

bool StackPool::guard(char* page) {
  if (guards_ == Guards::markers) {
    if (madvise(page, guard_bytes_, k_madvise_guard_install) == 0) return true;
    guards_ = Guards::mappings;
  }
  if (guards_ == Guards::mappings) {
    if (made_ < k_mapping_guards_max && mprotect(page, guard_bytes_, PROT_NONE) == 0) return true;
    guards_ = Guards::canaries;
  }
  return false;
}

void StackPool::reserve() {
  const size_t step = k_step_stacks * (stack_bytes_ + guard_bytes_);
  for (size_t bytes = k_reserve_bytes / step * step; bytes >= step; bytes = bytes / 2 / step * step) {
    void* start = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) continue;
    madvise(start, bytes, MADV_NOHUGEPAGE);  // One touched page must not cost 2 MiB.
    next_ = usable_end_ = static_cast<char*>(start);
    region_end_ = next_ + bytes;
    regions_.emplace_back(next_, bytes);
    return;
  }
  const bool addresses_for_stacks = false;
  CHECK(addresses_for_stacks);
}

void StackPool::make() {
  const size_t spacing = stack_bytes_ + guard_bytes_;
  if (next_ == usable_end_) {
    if (usable_end_ == region_end_) reserve();
    const size_t step = k_step_stacks * spacing;
    const bool memory_for_stacks = mprotect(usable_end_, step, PROT_READ | PROT_WRITE) == 0;
    CHECK(memory_for_stacks);
    usable_end_ += step;
  }
  const bool guarded = guard(next_);
  const Stack stack{.low = next_ + guard_bytes_,
                    .bytes = static_cast<uint32_t>(stack_bytes_),
                    .canary = !guarded};
  if (stack.canary) std::memcpy(stack.low, &k_canary, sizeof(k_canary));
  free_.push_back(stack);
  next_ += spacing;
  ++made_;
}

}  // namespace hongyan::runtime
