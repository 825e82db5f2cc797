// Goal: a loop that is held up is noticed and named, an idle one is left alone. Method: coroutines that
// hold their thread until they were noticed.
#include "runtime/os/stall_detector.h"

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "runtime/coro/run.h"
#include "runtime/os/clock.h"
#include "runtime/os/epoll_poller.h"

namespace hongyan::runtime {
namespace {

class KeepsLines : public Log {
 public:
  void write(const LogEvent& event) override {
    fmt::memory_buffer text;
    put_text(text, event);
    std::lock_guard lock(mutex_);
    lines_.push_back(fmt::to_string(text));
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

struct StallTest : testing::Test {
  EpollPoller poller;
  Scheduler scheduler{poller};
  Counters counters;
  KeepsLines log;
  StallDetector detector{scheduler, counters, log};
  Counter& stalls = counters.counter("hongyan_runtime_stalls", "");
};

// Not inlined, so that it has a name in the backtrace.
__attribute__((noinline)) void hold_the_thread_up(KeepsLines& log) {
  const Time limit = monotonic_now() + 20s;
  while (log.lines().empty() && monotonic_now() < limit) {
  }
}

TEST_F(StallTest, a_coroutine_that_holds_its_thread_is_counted_and_named) {
  run_to_end(scheduler, "greedy", [&] { hold_the_thread_up(log); });
  EXPECT_GE(stalls.value(), 1);
  ASSERT_FALSE(log.lines().empty());
  const std::string line = log.lines()[0];
  EXPECT_NE(line.find("loop stalled ms="), std::string::npos) << line;
  EXPECT_NE(line.find("coroutine=\"greedy\""), std::string::npos) << line;
  EXPECT_NE(line.find(" < "), std::string::npos) << line;
}

TEST_F(StallTest, a_loop_that_waits_for_events_is_not_stalled) {
  run_to_end(scheduler, "sleeper", [&] {
    for (int i = 0; i < 3; ++i) (void)scheduler.park(scheduler.now() + 100ms);
  });
  EXPECT_EQ(stalls.value(), 0);
}

TEST_F(StallTest, after_a_long_idle_time_it_watches_again) {
  run_to_end(scheduler, "x", [&] {
    (void)scheduler.park(scheduler.now() + 500ms);  // Longer than the detector stays awake.
    EXPECT_TRUE(log.lines().empty());
    hold_the_thread_up(log);
  });
  EXPECT_GE(stalls.value(), 1);
}

}  // namespace
}  // namespace hongyan::runtime
