// Goal: a loop that is held up is noticed and named; an idle one, and one that only waits for a
// processor, are left alone. Method: coroutines that hold their thread until they were noticed; a
// meter by hand where the machine would have to be busy.
#include "runtime/os/stall_detector.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
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
    if (when_written && lines_.size() == 1) when_written();
  }
  std::function<void()> when_written;  // With the first line.
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

// Not inlined, so that it has a name in the backtrace; and nearly always here, since what the kernel and libc bring
// for reading a clock keeps no frame that could be followed.
__attribute__((noinline)) void hold_the_thread_up(KeepsLines& log) {
  const Time limit = monotonic_now() + 20s;
  while (log.lines().empty() && monotonic_now() < limit) {
    for (int i = 0; i < 1'000'000; ++i) asm volatile("");
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

// Until there is something to read nobody wakes the thread: it blocks in the kernel.
TEST_F(StallTest, a_coroutine_that_blocks_in_a_system_call_is_a_stall) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  log.when_written = [&] { EXPECT_EQ(write(ends[1], "x", 1), 1); };
  run_to_end(scheduler, "reader", [&] {
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
  });
  EXPECT_GE(stalls.value(), 1);
  ASSERT_FALSE(log.lines().empty());
  EXPECT_NE(log.lines()[0].find("coroutine=\"reader\""), std::string::npos) << log.lines()[0];
  close(ends[0]);
  close(ends[1]);
}

// What the machine says of the loop's thread, whatever it does.
class SaidMeter : public ThreadMeter {
 public:
  explicit SaidMeter(std::function<ThreadUse()> say) : say_(std::move(say)) {}
  void attach() override {}
  ThreadUse read() override { return say_(); }

 private:
  std::function<ThreadUse()> say_;
};

struct SaidStallTest : testing::Test {
  // Holds the thread until the detector has looked so often, and for as long as a stall lasts.
  void run(std::function<ThreadUse()> say) {
    StallDetector detector(scheduler, counters, log, k_stall_limit,
                           std::make_unique<SaidMeter>([&, say] {
                             ++looks;
                             return say();
                           }));
    run_to_end(scheduler, "late", [&] {
      const Time enough = monotonic_now() + 3 * k_stall_limit, limit = monotonic_now() + 20s;
      while ((monotonic_now() < enough || looks < 6) && monotonic_now() < limit) {
      }
      // The detector counts such a slice when it has seen its end.
      while (stalls.value() + descheduled.value() == 0 && monotonic_now() < limit)
        (void)scheduler.park(scheduler.now() + 1ms);
    });
  }
  EpollPoller poller;
  Scheduler scheduler{poller};
  Counters counters;
  KeepsLines log;
  std::atomic<int64_t> looks{0};
  Counter& stalls = counters.counter("hongyan_runtime_stalls", "");
  Counter& descheduled = counters.counter("hongyan_runtime_descheduled", "");
};

TEST_F(SaidStallTest, a_slice_that_waits_for_a_processor_is_no_stall) {
  run([] { return ThreadUse{.on_cpu = 1s, .kept_waiting = 1s}; });
  EXPECT_EQ(stalls.value(), 0);
  EXPECT_GE(descheduled.value(), 1);
  EXPECT_TRUE(log.lines().empty()) << log.lines()[0];
}

TEST_F(SaidStallTest, of_a_blocked_slice_the_wait_for_a_processor_is_not_counted) {
  run([waited = Duration(0)]() mutable {
    return ThreadUse{.kept_waiting = waited += 1h, .blocked = true};
  });
  EXPECT_EQ(stalls.value(), 0);
  EXPECT_GE(descheduled.value(), 1);
}

TEST_F(SaidStallTest, a_slice_that_uses_its_processor_is_a_stall_and_not_descheduled) {
  run([used = Duration(0)]() mutable { return ThreadUse{.on_cpu = used += 1h}; });
  EXPECT_GE(stalls.value(), 1);
  EXPECT_EQ(descheduled.value(), 0);
}

}  // namespace
}  // namespace hongyan::runtime
