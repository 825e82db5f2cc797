// Says who held a loop up. A thread of its own looks every few milliseconds whether the loop has begun
// another slice; one that lasts longer than the limit is counted and logged, with the name of the
// coroutine, how long it has been and where its thread stands (asked for by SIGURG). While the loop
// waits for events the detector sleeps too: an idle process is not woken.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/coro/scheduler.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"

namespace hongyan::runtime {

inline constexpr Duration k_stall_limit = 10ms;

class StallDetector : public LoopWatch {
 public:
  StallDetector(Scheduler& scheduler, Counters& counters, Log& log,
                Duration limit = k_stall_limit);
  ~StallDetector() override;
  void wake() override;
  void on_loop_start() override;

 private:
  void watch_loop();
  void report(Duration so_far, bool again);

  Scheduler& scheduler_;
  Log& log_;
  Duration limit_;
  Counter& stalls_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool closing_ = false;
  bool loop_known_ = false;
  pthread_t loop_{};
  std::thread thread_;
};

}  // namespace hongyan::runtime
