// What a loop and its coroutines cost and hold, as counters: how long its turns last (whatever became ready meanwhile waited
// as long), the run queue, timers, coroutines and parked ones, and of each size of stack how many are used and how deep the
// deepest went. The gauges are refreshed at most once a second, in a turn that happens anyway: an idle loop is not woken,
// and who asks it for a page sees the values of that turn.
//
// On the loop's thread.
#pragma once

#include "runtime/coro/scheduler.h"
#include "runtime/counters/counters.h"

namespace hongyan::runtime {

class LoopCounters {
 public:
  LoopCounters(Counters& counters, const Scheduler& scheduler);
  // At the end of a turn.
  void turn(Duration took, Time now) {
    turns_.record(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    if (now >= due_) [[unlikely]] refresh(now);
  }
  void refresh(Time now);

 private:
  struct OfStacks {
    Counter* in_use;
    Counter* in_use_max;
    Counter* made;
    Counter* depth_max;
  };
  const Scheduler& scheduler_;
  Time due_{};
  Histogram& turns_;
  Counter& ready_;
  Counter& timers_;
  Counter& coroutines_;
  Counter& spawned_;
  Counter& parked_;
  Counter& parked_bytes_;
  OfStacks stacks_[k_stack_sizes];
};

}  // namespace hongyan::runtime
