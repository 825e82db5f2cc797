// Says who held a loop up. A thread of its own looks every few milliseconds whether the loop has
// begun another slice; one that takes longer than the limit is counted and logged, with the name of
// the coroutine, how long it has been and where its thread stands (asked for by SIGURG). Its time
// is what it used of a processor or was blocked in the kernel; a slice that is late only because
// the machine ran something else (thread_meter.h) is counted apart and not logged. While the loop
// waits for events the detector sleeps too: an idle process is not woken.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/coro/scheduler.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"
#include "runtime/os/thread_meter.h"

namespace hongyan::runtime {

inline constexpr Duration k_stall_limit = 10ms;

class StallDetector : public LoopWatch {
 public:
  StallDetector(Scheduler& scheduler, Counters& counters, Log& log, Duration limit = k_stall_limit,
                std::unique_ptr<ThreadMeter> meter = make_kernel_thread_meter());
  ~StallDetector() override;
  void wake() override;
  void on_loop_start() override;

 private:
  // The slice that was under way at the last look.
  struct Slice {
    uint64_t beat = 0;
    Time since{};
    Time looked{};
    ThreadUse use = {};
    Duration own{};      // Of the time since: see own_time().
    bool late = false;   // It has lasted longer than the limit, by the clock,
    bool stall = false;  // and of its own doing.
  };
  void watch_loop();
  void begin(Slice& slice, uint64_t beat);
  void look_again(Slice& slice);
  void report(Duration so_far, bool again);

  Scheduler& scheduler_;
  Log& log_;
  Duration limit_;
  Counter& stalls_;
  Counter& descheduled_;
  std::unique_ptr<ThreadMeter> meter_;
  Time logged_{};
  std::mutex mutex_;
  std::condition_variable news_;
  bool closing_ = false;
  bool loop_known_ = false;
  pthread_t loop_{};
  std::thread thread_;
};

}  // namespace hongyan::runtime
