// The Profiler of the real Env. Processor: a timer on each thread's own time (timer_create), SIGPROF, and a walk over the
// frame pointers where it hits; threads that begin later are not seen, nor those that block the signal. Memory:
// heap_samples.h. At most some 20,000 samples; what comes after is counted as one line.
#pragma once

#include <functional>
#include <string>

#include "runtime/coro/sync.h"
#include "runtime/env/env.h"
#include "runtime/env/profiler.h"

namespace hongyan::runtime {

class KernelProfiler : public Profiler {
 public:
  explicit KernelProfiler(Env& env) : env_(env) {}
  Result<std::string> cpu(Call& call, Duration time) override;
  Result<std::string> heap(Call& call, Duration time) override;
  void end_early() override { early_.wake_all(); }
  Memory memory() override;

 private:
  Status wait(Call& call, Duration time);
  Env& env_;
  WaitList early_;
};

}  // namespace hongyan::runtime
