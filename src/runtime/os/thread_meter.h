// What one thread did with the time that passed: it used a processor, it was blocked in the kernel,
// or it was ready and the machine had no processor for it. Only the first two are its own doing.
#pragma once

#include <memory>

#include "runtime/time.h"

namespace hongyan::runtime {

// Sums since the thread's birth; `blocked` is of this moment.
struct ThreadUse {
  Duration on_cpu{};
  Duration kept_waiting{};  // Ready, without a processor. What has not ended yet may be missing.
  bool blocked = false;     // In the kernel, and not ready.
};

// Of `wall`, what passed between the two looks, the part that was the thread's own doing. A wait
// for a processor that lasts is not in the sums yet, so of a thread that is ready only its
// processor time is taken: what it was blocked before that, since the last look, is forgotten.
Duration own_time(const ThreadUse& before, const ThreadUse& now, Duration wall);

class ThreadMeter {
 public:
  virtual ~ThreadMeter() = default;
  virtual void attach() = 0;     // The calling thread is the one to read from now on.
  virtual ThreadUse read() = 0;  // From any thread, while the attached one lives.
};

// By the thread's clock and /proc. Where these can't be had (no /proc, no descriptors left) a
// thread that does not use its processor counts as blocked.
std::unique_ptr<ThreadMeter> make_kernel_thread_meter();

}  // namespace hongyan::runtime
