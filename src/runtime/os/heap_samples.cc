#include "runtime/os/heap_samples.h"

#include <sys/mman.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <new>

#include "base/random.h"
#include "runtime/coro/sanitizers.h"
#include "runtime/os/stack_walk.h"

namespace hongyan::runtime {
namespace {

// Addresses hash to a bucket, whose keys fill one cache line: a free looks at that alone. 8 GiB that were allocated and not
// freed are 16,384 samples, four of a bucket's eight.
constexpr size_t k_buckets = 4096;
constexpr size_t k_ways = 8;

struct alignas(64) Bucket {
  std::atomic<uintptr_t> key[k_ways];
};

struct Notes {
  Bucket buckets[k_buckets];
  HeapSample samples[k_buckets][k_ways];
};

// Trivial, so that they work before and after everything else in the program.
constinit std::atomic<bool> sampling{false};
constinit std::atomic<int64_t> bytes_left{0};
constinit std::atomic_flag busy{};
constinit std::atomic<Notes*> notes{nullptr};  // Never unmapped: a thread may be late.
constinit uint64_t state = 0;
constinit uint64_t dropped = 0;

class Busy {
 public:
  Busy() {
    while (busy.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~Busy() { busy.clear(std::memory_order_release); }
};

// Bytes to the next sample: exponential.
int64_t next_interval() {
  state += 0x9e3779b97f4a7c15;
  const double unit = static_cast<double>((Random(state).next() >> 11) + 1) * 0x1.0p-53;
  return static_cast<int64_t>(-std::log(unit) * k_heap_sample_bytes) + 1;
}

Bucket& bucket_of(Notes& all, uintptr_t key, size_t& index) {
  index = (key >> 4) * 0x9e3779b97f4a7c15 >> 52;
  static_assert(k_buckets == 1 << 12);
  return all.buckets[index];
}

[[maybe_unused, gnu::noinline]] void note_new(void* piece, size_t bytes, const void* frame) {
  if (bytes_left.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed) > static_cast<int64_t>(bytes)) return;
  const Busy alone;
  Notes* const all = notes.load(std::memory_order_acquire);
  if (all == nullptr || !sampling.load(std::memory_order_relaxed) || bytes_left.load(std::memory_order_relaxed) > 0) return;
  bytes_left.store(next_interval(), std::memory_order_relaxed);
  const auto key = reinterpret_cast<uintptr_t>(piece);
  size_t index = 0;
  Bucket& bucket = bucket_of(*all, key, index);
  for (size_t way = 0; way < k_ways; ++way) {
    if (bucket.key[way].load(std::memory_order_relaxed) != 0) continue;
    HeapSample& sample = all->samples[index][way];
    sample.bytes = bytes;
    sample.frames = static_cast<uint32_t>(walk_stack(frame, sample.frame));
    bucket.key[way].store(key, std::memory_order_release);
    return;
  }
  ++dropped;
}

[[maybe_unused, gnu::noinline]] void note_delete(void* piece) {
  Notes* const all = notes.load(std::memory_order_acquire);
  if (all == nullptr) return;
  const auto key = reinterpret_cast<uintptr_t>(piece);
  size_t index = 0;
  Bucket& bucket = bucket_of(*all, key, index);
  for (std::atomic<uintptr_t>& one : bucket.key) {
    if (one.load(std::memory_order_relaxed) != key) continue;
    const Busy alone;
    if (one.load(std::memory_order_relaxed) == key) one.store(0, std::memory_order_relaxed);
    return;
  }
}

}  // namespace

bool start_heap_samples([[maybe_unused]] uint64_t seed) {
#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
  return false;
#else
  if (notes.load() == nullptr) {
    void* const memory = mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    notes.store(static_cast<Notes*>(memory), std::memory_order_release);
  }
  const Busy alone;
  state = seed;
  dropped = 0;
  bytes_left.store(next_interval(), std::memory_order_relaxed);
  sampling.store(true, std::memory_order_relaxed);
  return true;
#endif
}

void end_heap_samples() {
  const Busy alone;
  sampling.store(false, std::memory_order_relaxed);
}

uint64_t take_heap_samples(const std::function<void(const HeapSample&)>& visit) {
  Notes& all = *notes.load();
  for (size_t index = 0; index < k_buckets; ++index) {
    for (size_t way = 0; way < k_ways; ++way) {
      if (all.buckets[index].key[way].load(std::memory_order_acquire) != 0) visit(all.samples[index][way]);
    }
  }
  madvise(&all, sizeof(all), MADV_DONTNEED);  // And zeroes.
  return dropped;
}

}  // namespace hongyan::runtime

#if !defined(HONGYAN_ASAN) && !defined(HONGYAN_TSAN)
// The other forms, but those with an alignment, call these two.
void* operator new(size_t bytes) {
  for (;;) {
    void* const piece = std::malloc(bytes == 0 ? 1 : bytes);
    if (piece != nullptr) [[likely]] {
      if (hongyan::runtime::sampling.load(std::memory_order_relaxed)) [[unlikely]] {
        hongyan::runtime::note_new(piece, bytes, __builtin_frame_address(0));
      }
      return piece;
    }
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) std::__throw_bad_alloc();
    handler();
  }
}

void operator delete(void* piece) noexcept {
  if (hongyan::runtime::sampling.load(std::memory_order_relaxed)) [[unlikely]] hongyan::runtime::note_delete(piece);
  std::free(piece);
}

void operator delete(void* piece, size_t) noexcept { operator delete(piece); }
#endif
