// Virtual time for unit tests: when every coroutine waits, time jumps to the next timer. Nothing
// ever arrives from outside; a scheduler that would wait for ever has deadlocked, and that is a
// CHECK.
#pragma once

#include <atomic>

#include "base/check.h"
#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

class ManualPoller : public Poller {
 public:
  static constexpr Time k_birth{1'000s};  // Not zero, so that a time in the past is a time.

  Time now() override { return now_; }
  void poll(Time limit) override {
    if (interrupted_.exchange(false)) return;
    const bool something_can_still_happen = limit != k_never;
    CHECK(something_can_still_happen);
    if (limit > now_) now_ = limit;
  }
  void interrupt() override { interrupted_.store(true); }

  void advance(Duration duration) { now_ = after(now_, duration); }

 private:
  Time now_ = k_birth;
  std::atomic<bool> interrupted_{false};
};

}  // namespace hongyan::runtime
