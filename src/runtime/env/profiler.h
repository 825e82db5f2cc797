// Where a process spends its processor's time and its memory, found by sampling while it runs, told as collapsed stacks: a
// line a stack, `thread;outermost;...;innermost WEIGHT`, as flame graphs and pprof's converters read them. Costs nothing
// while nobody asks. One at a time.
//
// From a coroutine, which waits; everything else goes on.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/time.h"

namespace hongyan::runtime {

class Profiler {
 public:
  static constexpr Duration k_cpu_time_max = std::chrono::seconds(60);
  static constexpr Duration k_heap_time_max = std::chrono::seconds(600);

  virtual ~Profiler() = default;
  // All threads, for so long. The weight is samples, one for each 10 ms of a thread's own processor time. Code::busy:
  // another one is under way. Code::invalid: no such time. Code::cancelled.
  virtual Result<std::string> cpu(Call& call, Duration time) = 0;
  // What is allocated (operator new) from now on and still there after so long: the weight is bytes, each sample standing
  // for about 512 KiB. Errors as above; Code::unsupported: this program has another allocator (sanitizers).
  virtual Result<std::string> heap(Call& call, Duration time) = 0;
  // What is under way ends now, with what it has: before the end of a process.
  virtual void end_early() = 0;
  // What the allocator says now: of the thread that asks where each has a heap of its own (mimalloc), which is the loop's;
  // else of the whole process.
  struct Memory {
    uint64_t in_use_bytes = 0;
    uint64_t free_bytes = 0;    // That it has and does not use.
    uint64_t mapped_bytes = 0;  // In use, of large pieces.
  };
  virtual Memory memory() = 0;
};

}  // namespace hongyan::runtime
