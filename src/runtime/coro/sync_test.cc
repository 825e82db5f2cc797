// Goal: the waiting primitives keep their order and their limits. Method: scripts in virtual time.
#include "runtime/coro/sync.h"

#include <gtest/gtest.h>

#include <string>

#include "runtime/testing/test_env.h"

namespace hongyan::runtime {
namespace {

struct SyncTest : testing::Test {
  TestEnv env;
  Scheduler& scheduler = env.scheduler();
  std::string seen;
  Call call_for(Duration duration) { return background_call(env, duration); }
};

TEST_F(SyncTest, wake_one_is_not_spent_on_one_whose_time_ran_out_in_the_same_instant) {
  WaitList list;
  const Time deadline = scheduler.now() + 10ms;
  // Timers of one instant fire in the order they were set: first the waiter's, then the waker's.
  scheduler.spawn("early", [&] { seen += list.wait(deadline).ok() ? "?" : "timeout "; });
  scheduler.spawn("waker", [&] {
    (void)scheduler.park(deadline);
    EXPECT_TRUE(list.wake_one());
  });
  scheduler.spawn("late", [&] { seen += list.wait(k_never).ok() ? "woken" : "?"; });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "timeout woken");
  EXPECT_FALSE(list.wake_one());
}

TEST_F(SyncTest, a_wait_that_fails_at_once_leaves_the_list) {
  WaitList list;
  run_in_coroutine(env, [&] {
    EXPECT_EQ(list.wait(scheduler.now()).code(), Code::deadline);
    EXPECT_TRUE(list.empty());
  });
}

TEST_F(SyncTest, a_mutex_is_handed_over_in_order_and_nobody_overtakes) {
  Mutex mutex;
  for (char name : {'a', 'b', 'c'}) {
    scheduler.spawn("x", [this, name, &mutex] {
      Call call = call_for(1s);
      for (int i = 0; i < 2; ++i) {
        auto guard = mutex.lock(call);
        ASSERT_TRUE(guard.ok());
        seen += name;
        scheduler.yield();
        seen += name;
      }
    });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "aabbccaabbcc");
}

TEST_F(SyncTest, a_mutex_is_free_after_a_waiter_gave_up) {
  Mutex mutex;
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    {
      auto guard = mutex.lock(call);
      nursery.spawn("impatient", [&] {
        Call hasty = call_for(1ms);
        EXPECT_EQ(mutex.lock(hasty).code(), Code::deadline);
      });
      EXPECT_TRUE(sleep(call, 2ms).ok());
    }
    EXPECT_TRUE(mutex.lock(call).ok());
    EXPECT_TRUE(mutex.lock(call).ok());
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(SyncTest, a_channel_keeps_order_holds_its_sender_back_and_drains_after_close) {
  Channel<int> channel(2);
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    nursery.spawn("sender", [&] {
      Call sending = call_for(1s);
      for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(channel.send(sending, i).ok());
        EXPECT_LE(channel.size(), 2u);
      }
      channel.close();
      EXPECT_EQ(channel.send(sending, 9).code(), Code::closed);
      EXPECT_FALSE(channel.try_send(9));
    });
    for (int i = 0; i < 5; ++i) EXPECT_EQ(channel.receive(call).value(), i);
    EXPECT_EQ(channel.receive(call).code(), Code::closed);
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(SyncTest, a_full_channel_fails_at_the_deadline_and_keeps_nothing_of_it) {
  Channel<int> channel(1);
  run_in_coroutine(env, [&] {
    Call call = call_for(5ms);
    EXPECT_TRUE(channel.send(call, 1).ok());
    EXPECT_EQ(channel.send(call, 2).code(), Code::deadline);
    Call more = call_for(5ms);
    EXPECT_EQ(channel.receive(more).value(), 1);
    EXPECT_EQ(channel.receive(more).code(), Code::deadline);
  });
}

TEST_F(SyncTest, a_condition_wakes_one_or_all) {
  CondVar changed;
  for (char name : {'a', 'b', 'c'}) {
    scheduler.spawn("x", [this, name, &changed] {
      Call call = call_for(1s);
      EXPECT_TRUE(changed.wait(call).ok());
      seen += name;
    });
  }
  scheduler.run_ready();
  changed.notify_one();
  scheduler.run_ready();
  EXPECT_EQ(seen, "a");
  changed.notify_all();
  scheduler.run_ready();
  EXPECT_EQ(seen, "abc");
}

TEST_F(SyncTest, readers_share_and_a_writer_is_alone_and_neither_waits_for_ever) {
  SharedMutex mutex;
  int readers = 0;
  const auto read = [&](const char* mark) {
    return [this, &mutex, &readers, mark] {
      Call call = call_for(1s);
      auto guard = mutex.lock_shared(call);
      ASSERT_TRUE(guard.ok());
      ++readers;
      EXPECT_TRUE(sleep(call, 10ms).ok());
      --readers;
      seen += mark;
    };
  };
  const auto write = [&](const char* mark) {
    return [this, &mutex, &readers, mark] {
      Call call = call_for(1s);
      auto guard = mutex.lock(call);
      ASSERT_TRUE(guard.ok());
      EXPECT_EQ(readers, 0);
      EXPECT_TRUE(sleep(call, 10ms).ok());
      EXPECT_EQ(readers, 0);
      seen += mark;
    };
  };
  scheduler.spawn("r", read("r"));
  scheduler.spawn("r", read("r"));
  scheduler.spawn("w", write("W"));
  scheduler.spawn("w", write("V"));
  scheduler.spawn("r", read("s"));  // Behind the first writer, before the second.
  scheduler.spawn("r", read("s"));
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "rrWssV");
}

TEST_F(SyncTest, readers_go_on_when_the_writer_they_waited_for_gives_up) {
  SharedMutex mutex;
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    {
      auto guard = mutex.lock_shared(call);
      nursery.spawn("writer", [&] {
        Call hasty = call_for(5ms);
        EXPECT_EQ(mutex.lock(hasty).code(), Code::deadline);
      });
      nursery.spawn("reader", [&] {
        Call mine = call_for(1s);
        const Time start = scheduler.now();
        EXPECT_TRUE(mutex.lock_shared(mine).ok());
        EXPECT_EQ(scheduler.now() - start, 5ms);
      });
      EXPECT_TRUE(sleep(call, 50ms).ok());
    }
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_TRUE(mutex.lock(call).ok());
  });
}

TEST_F(SyncTest, a_semaphore_lets_so_many_in_and_hands_over_in_order) {
  Semaphore semaphore(2);
  int inside = 0;
  for (char name : {'a', 'b', 'c', 'd'}) {
    scheduler.spawn("x", [&, name] {
      Call call = call_for(1s);
      ASSERT_TRUE(semaphore.acquire(call).ok());
      EXPECT_LE(++inside, 2);
      seen += name;
      EXPECT_TRUE(sleep(call, 10ms).ok());
      --inside;
      semaphore.release();
    });
  }
  scheduler.spawn("hasty", [&] {
    Call hasty = call_for(5ms);
    EXPECT_FALSE(semaphore.try_acquire());
    EXPECT_EQ(semaphore.acquire(hasty).code(), Code::deadline);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "abcd");
  EXPECT_EQ(semaphore.free(), 2u);
}

TEST_F(SyncTest, a_condition_can_be_waited_for_itself) {
  CondVar changed;
  int value = 0;
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    nursery.spawn("counter", [&] {
      for (int i = 0; i < 3; ++i) {
        scheduler.yield();
        ++value;
        changed.notify_all();
      }
    });
    EXPECT_TRUE(changed.wait_until(call, [&] { return value == 3; }).ok());
    Call hasty = call_for(5ms);
    EXPECT_EQ(changed.wait_until(hasty, [&] { return value == 4; }).code(), Code::deadline);
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(SyncTest, a_child_spawned_now_has_begun_when_spawn_returns) {
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    nursery.spawn_now("short", [&] { seen += "a"; });
    EXPECT_EQ(nursery.live(), 0u);
    nursery.spawn_now("long", [&] {
      seen += "b";
      scheduler.yield();
      seen += "d";
    });
    seen += "c";
    EXPECT_EQ(nursery.live(), 1u);
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(seen, "abcd");
  });
}

TEST_F(SyncTest, a_dump_says_what_is_waited_in) {
  Mutex mutex;
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    auto guard = mutex.lock(call);
    nursery.spawn("waiter", [&] { (void)mutex.lock(call); });
    scheduler.yield();
    EXPECT_NE(scheduler.dump().find("waiter (domain 0) waits in mutex for 1000 ms more\n"),
              std::string::npos);
    nursery.cancel();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(SyncTest, join_waits_for_children_of_children) {
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    nursery.spawn("parent", [&] {
      Call mine = call_for(1s);
      EXPECT_TRUE(sleep(mine, 10ms).ok());
      nursery.spawn("child", [&] {
        Call own = call_for(1s);
        EXPECT_TRUE(sleep(own, 10ms).ok());
        seen += "child";
      });
    });
    Call hasty = call_for(5ms);
    EXPECT_EQ(nursery.join(hasty).code(), Code::deadline);
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(nursery.live(), 0u);
    EXPECT_EQ(seen, "child");
  });
}

TEST_F(SyncTest, a_cancelled_nursery_ends_its_children_and_bears_cancelled_ones) {
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    const auto wait_for_ever = [&] {
      Call endless;
      EXPECT_EQ(sleep(endless, 1h).code(), Code::cancelled);
    };
    nursery.spawn("x", wait_for_ever);
    scheduler.yield();
    nursery.cancel();
    nursery.spawn("y", wait_for_ever);
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(SyncTest, what_a_child_captured_is_gone_when_join_returns) {
  run_in_coroutine(env, [&] {
    Call call = call_for(1s);
    Nursery nursery(scheduler);
    auto shared = std::make_shared<int>(1);
    nursery.spawn("x", [shared] {});
    EXPECT_EQ(shared.use_count(), 2);
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(shared.use_count(), 1);
  });
}

TEST_F(SyncTest, a_cancelled_owner_can_still_clean_up) {
  Coroutine* owner = scheduler.spawn("owner", [&] {
    Nursery nursery(scheduler);
    nursery.spawn("child", [&] {
      Call call = call_for(1h);
      (void)sleep(call, 1h);
      scheduler.yield();
      seen += "child ";
    });
    Call call = call_for(1h);
    EXPECT_EQ(nursery.join(call).code(), Code::cancelled);
    nursery.cancel_and_join();
    seen += "owner";
  });
  scheduler.run_ready();
  scheduler.cancel(owner);
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "child owner");
}

TEST_F(SyncTest, sleep_is_ok_in_time_and_ends_at_the_calls_deadline_otherwise) {
  run_in_coroutine(env, [&] {
    const Time start = scheduler.now();
    Call call = call_for(10ms);
    EXPECT_TRUE(sleep(call, 4ms).ok());
    EXPECT_EQ(scheduler.now() - start, 4ms);
    EXPECT_EQ(sleep(call, 7ms).code(), Code::deadline);
    EXPECT_EQ(scheduler.now() - start, 10ms);
  });
}

}  // namespace
}  // namespace hongyan::runtime
