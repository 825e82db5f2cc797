// Goal: waiting with an OS mutex is found, waiting after one is not. Method: mutexes in coroutines;
// this program has the scheduler that looks (HONGYAN_CHECK_LOCKS).
#include "runtime/coro/lock_check.h"

#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <shared_mutex>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/scheduler.h"

#ifdef HONGYAN_CHECK_LOCKS

namespace hongyan::runtime {
namespace {

TEST(LockCheck, counts_what_this_thread_holds) {
  std::mutex first, second;
  {
    std::lock_guard one(first);
    EXPECT_EQ(os_mutexes_held(), 1);
    ASSERT_TRUE(second.try_lock());
    EXPECT_EQ(os_mutexes_held(), 2);
    second.unlock();
  }
  EXPECT_EQ(os_mutexes_held(), 0);
}

TEST(LockCheck, counts_every_kind) {
  using namespace std::chrono_literals;
  std::timed_mutex timed;
  std::recursive_mutex again;
  std::shared_timed_mutex shared;
  {
    std::lock_guard once(again), twice(again);
    std::unique_lock timed_lock(timed, 1s);
    std::shared_lock reader(shared, 1s);
    EXPECT_EQ(os_mutexes_held(), 4);
    EXPECT_FALSE(shared.try_lock());
    EXPECT_EQ(os_mutexes_held(), 4);
  }
  EXPECT_EQ(os_mutexes_held(), 0);
  std::lock_guard writer(shared);
  EXPECT_EQ(os_mutexes_held(), 1);
}

// Yields in the middle of what `Lock` does to a mutex.
template <typename Lock, typename Mutex>
void wait_under() {
  ManualPoller poller;
  Scheduler scheduler(poller);
  Mutex mutex;
  scheduler.spawn("x", [&] {
    Lock lock(mutex);
    scheduler.yield();
  });
  scheduler.run_until_idle();
}

TEST(LockCheckDeathTest, a_coroutine_that_waits_with_an_os_mutex_stops_the_process) {
  const char* const said = "holds_an_os_mutex_while_it_waits";
  EXPECT_DEATH((wait_under<std::lock_guard<std::mutex>, std::mutex>()), said);
  EXPECT_DEATH((wait_under<std::shared_lock<std::shared_mutex>, std::shared_mutex>()), said);
}

TEST(LockCheck, waiting_behind_a_lock_is_nothing) {
  ManualPoller poller;
  Scheduler scheduler(poller);
  std::mutex mutex;
  int turns = 0;
  for (int i = 0; i < 2; ++i) {
    scheduler.spawn("x", [&] {
      { std::lock_guard lock(mutex); }
      scheduler.yield();
      std::lock_guard lock(mutex);
      ++turns;
    });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(turns, 2);
}

}  // namespace
}  // namespace hongyan::runtime

#endif
