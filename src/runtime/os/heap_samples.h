// Samples of what operator new gives out, while somebody wants them. The room defines operator new and delete for the whole
// program: malloc and free, and, while sampling, a note of about one in 512 KiB (as a Poisson process, so that every byte has
// the same chance) with the stack that asked, dropped again when the piece is freed. Off it costs a load and a branch.
// Pieces with an alignment of their own and malloc's callers are not seen. Any thread; start, end and read from one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace hongyan::runtime {

inline constexpr double k_heap_sample_bytes = 512 * 1024;

struct HeapSample {
  static constexpr size_t k_frames_max = 32;
  size_t bytes = 0;
  uint32_t frames = 0;
  uintptr_t frame[k_frames_max] = {};
};

// False: this program has another allocator (sanitizers), or there is no memory for the notes.
bool start_heap_samples(uint64_t seed);
void end_heap_samples();
// After the end: what was not freed. Gives the notes' memory back. The samples that found no room.
uint64_t take_heap_samples(const std::function<void(const HeapSample&)>& visit);

}  // namespace hongyan::runtime
