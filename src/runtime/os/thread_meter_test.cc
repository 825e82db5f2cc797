// Goal: what a thread did is told from what was done to it. Method: the decision on values; the
// kernel's answer about threads that are known to work, to block, or to stand behind others.
#include "runtime/os/thread_meter.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

TEST(OwnTime, of_a_thread_that_is_ready_only_its_processor_time_counts) {
  const ThreadUse before{.on_cpu = 5s, .kept_waiting = 2s};
  EXPECT_EQ(own_time(before, {.on_cpu = 5s + 3ms, .kept_waiting = 2s}, 10ms), 3ms);
  EXPECT_EQ(own_time(before, {.on_cpu = 5s, .kept_waiting = 2s}, 10ms), 0ms);
  EXPECT_EQ(own_time(before, {.on_cpu = 5s + 11ms, .kept_waiting = 2s}, 10ms), 10ms);
}

TEST(OwnTime, of_a_blocked_thread_all_counts_but_the_wait_for_a_processor) {
  const ThreadUse before{.on_cpu = 5s, .kept_waiting = 2s};
  EXPECT_EQ(own_time(before, {.on_cpu = 5s, .kept_waiting = 2s, .blocked = true}, 10ms), 10ms);
  EXPECT_EQ(own_time(before, {.on_cpu = 5s, .kept_waiting = 2s + 7ms, .blocked = true}, 10ms), 3ms);
  EXPECT_EQ(own_time(before, {.on_cpu = 5s + 4ms, .kept_waiting = 2s + 9ms, .blocked = true}, 10ms),
            4ms);
  EXPECT_EQ(own_time(before, {.on_cpu = 5s, .kept_waiting = 3s, .blocked = true}, 10ms), 0ms);
}

TEST(OwnTime, sums_that_were_lost_do_no_harm) {
  const ThreadUse before{.on_cpu = 5s, .kept_waiting = 2s};
  EXPECT_EQ(own_time(before, {}, 10ms), 0ms);
  EXPECT_EQ(own_time(before, {.blocked = true}, 10ms), 10ms);
}

// A thread that does `work` until it is told to end, with a meter attached.
class Metered {
 public:
  explicit Metered(std::function<void(const std::atomic<bool>& ending)> work)
      : thread_([this, work = std::move(work)] {
          meter_->attach();
          attached_ = true;
          work(ending_);
        }) {
    while (!attached_) std::this_thread::yield();
  }
  ~Metered() {
    ending_ = true;
    thread_.join();
  }
  // Whether it becomes true within 30 s.
  bool shows(const std::function<bool(const ThreadUse&)>& wanted) {
    for (const Time limit = monotonic_now() + 30s; monotonic_now() < limit;
         std::this_thread::yield())
      if (wanted(meter_->read())) return true;
    return false;
  }

 private:
  std::unique_ptr<ThreadMeter> meter_ = make_kernel_thread_meter();
  std::atomic<bool> attached_{false}, ending_{false};
  std::thread thread_;
};

void spin(const std::atomic<bool>& ending) {
  while (!ending) {
  }
}

TEST(ThreadMeter, a_thread_that_works_is_seen_to_use_its_processor) {
  Metered thread(spin);
  EXPECT_TRUE(thread.shows([](const ThreadUse& use) { return use.on_cpu > 10ms && !use.blocked; }));
}

TEST(ThreadMeter, a_thread_in_a_system_call_is_seen_to_be_blocked) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Metered thread([&](const std::atomic<bool>&) {
      char byte = 0;
      EXPECT_EQ(read(ends[0], &byte, 1), 1);
    });
    EXPECT_TRUE(thread.shows([](const ThreadUse& use) { return use.blocked; }));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
  }
  close(ends[0]);
  close(ends[1]);
}

// The first processor the process may use, for the calling thread alone.
void stay_on_one_processor() {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

TEST(ThreadMeter, a_thread_that_stands_behind_another_is_seen_to_wait) {
  if (access("/proc/self/schedstat", R_OK) != 0) GTEST_SKIP() << "this kernel does not say";
  Metered other([](const std::atomic<bool>& ending) {
    stay_on_one_processor();
    spin(ending);
  });
  Metered idle([](const std::atomic<bool>& ending) {
    stay_on_one_processor();
    const sched_param none{};
    EXPECT_EQ(pthread_setschedparam(pthread_self(), SCHED_IDLE, &none), 0);
    spin(ending);
  });
  EXPECT_TRUE(
      idle.shows([](const ThreadUse& use) { return use.kept_waiting > 10ms && !use.blocked; }));
}

}  // namespace
}  // namespace hongyan::runtime
