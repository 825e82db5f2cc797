// Goal: waiting with an OS mutex is found, waiting after one is not. Method: a build with
// HONGYAN_CHECK_LOCKS.
#include "runtime/coro/lock_check.h"

#include <gtest/gtest.h>

#include <mutex>

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

TEST(LockCheckDeathTest, a_coroutine_that_waits_with_an_os_mutex_stops_the_process) {
  EXPECT_DEATH(
      {
        ManualPoller poller;
        Scheduler scheduler(poller);
        std::mutex mutex;
        scheduler.spawn("x", [&] {
          std::lock_guard lock(mutex);
          scheduler.yield();
        });
        scheduler.run_until_idle();
      },
      "holds_an_os_mutex_while_it_waits");
}

}  // namespace
}  // namespace hongyan::runtime

#endif
