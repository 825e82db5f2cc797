// Goal: order, waking and killing of coroutines are what scheduler.h promises. Method: scripts in
// virtual time that write down what happened.
#include "runtime/coro/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"

namespace hongyan::runtime {
namespace {

struct SchedulerTest : testing::Test {
  ManualPoller poller;
  Scheduler scheduler{poller};
  std::string seen;
  Time in(Duration duration) { return scheduler.now() + duration; }
};

TEST_F(SchedulerTest, coroutines_run_first_come_first_served_and_yield_goes_to_the_back) {
  for (char name : {'a', 'b', 'c'}) {
    scheduler.spawn("x", [this, name] {
      seen += name;
      scheduler.yield();
      seen += name;
    });
  }
  EXPECT_EQ(seen, "");
  EXPECT_EQ(scheduler.live(), 3u);
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "abcabc");
  EXPECT_EQ(scheduler.live(), 0u);
}

TEST_F(SchedulerTest, one_spawned_now_runs_at_once_until_it_first_waits) {
  scheduler.spawn("parent", [&] {
    Coroutine* child = scheduler.spawn_now("child", [&] {
      seen += "a";
      EXPECT_EQ(scheduler.spawn_now("grandchild", [&] { seen += "b"; }), nullptr);
      scheduler.run_on_thread_stack([&] {
        EXPECT_FALSE(Scheduler::in_coroutine());
        seen += "c";
      });
      seen += "d";
      scheduler.yield();
      seen += "f";
    });
    EXPECT_NE(child, nullptr);
    EXPECT_STREQ(seen.c_str(), "abcd");
    seen += "e";
    scheduler.yield();
    seen += "g";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "abcdefg");
  EXPECT_EQ(scheduler.live(), 0u);
}

TEST_F(SchedulerTest, one_spawned_now_by_a_callback_comes_back_to_it_before_others_run) {
  scheduler.spawn("before", [&] {
    scheduler.post([&] {
      scheduler.spawn("other", [&] { seen += "other"; });
      scheduler.spawn_now("now", [&] {
        seen += "now ";
        scheduler.yield();
        seen += " again";
      });
      seen += "callback ";
    });
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "now callback other again");
}

TEST_F(SchedulerTest, a_callback_of_the_loop_may_spawn_now) {
  scheduler.post([&] {
    scheduler.spawn_now("x", [&] {
      seen += "1";
      (void)scheduler.park(in(1ms));
      seen += "3";
    });
    seen += "2";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "123");
}

struct Flush : TurnEnd {
  explicit Flush(std::function<void()> work) : work(std::move(work)) {}
  void on_turn_end() override { work(); }
  std::function<void()> work;
};

TEST_F(SchedulerTest, the_end_of_a_turn_comes_once_after_all_that_is_ready_and_before_time_passes) {
  const Time start = scheduler.now();
  Flush second([&] { seen += " second"; });
  Flush first([&] {
    EXPECT_FALSE(Scheduler::in_coroutine());
    EXPECT_EQ(scheduler.now(), start);
    seen += " first";
    if (seen.size() < 10) scheduler.at_turn_end(first);  // In the next turn.
    scheduler.spawn("z", [&] { seen += " z"; });
  });
  scheduler.spawn("a", [&] {
    scheduler.at_turn_end(first);
    scheduler.at_turn_end(second);
    scheduler.at_turn_end(first);
    {
      Flush taken_out([&] { seen += "?"; });
      scheduler.at_turn_end(taken_out);
    }
    seen += "a";
    (void)scheduler.park(in(1ms));
    seen += " end";
  });
  scheduler.spawn("b", [&] {
    scheduler.yield();
    seen += "b";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "ab first second z first z end");
}

class Start : public TurnStart {
 public:
  explicit Start(std::function<void()> work) : work(std::move(work)) {}
  void on_turn_start() override { work(); }
  std::function<void()> work;
};

TEST_F(SchedulerTest, the_start_of_a_turn_comes_before_what_it_wakes_and_before_its_end) {
  std::string seen;
  Coroutine* sleeper = nullptr;
  int starts = 0;
  Flush end([&] { seen += "e"; });
  Start start([&] {
    EXPECT_FALSE(Scheduler::in_coroutine());
    seen += "s";
    scheduler.wake(sleeper);
    scheduler.spawn_now("at once", [&] { seen += "n"; });
    scheduler.at_turn_end(end);
    if (++starts < 2) scheduler.at_turn_start(start);  // In the next turn.
  });
  scheduler.spawn("sleeper", [&] {
    sleeper = scheduler.running();
    scheduler.at_turn_start(start);
    scheduler.at_turn_start(start);
    EXPECT_TRUE(scheduler.park(k_never).ok());
    seen += "w";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "snwesne");
  Start never([] { FAIL(); });
  scheduler.spawn_in(1, "asks", [&] { scheduler.at_turn_start(never); });
  scheduler.spawn_in(2, "kills", [&] { scheduler.kill(1); });
  scheduler.run_until_idle();
}

TEST_F(SchedulerTest, a_dead_domain_has_no_turn_end) {
  Flush dead([&] { seen += "?"; });
  Flush living([&] { seen += "x"; });
  scheduler.spawn_in(1, "a", [&] { scheduler.at_turn_end(dead); });
  scheduler.spawn_in(2, "b", [&] {
    scheduler.at_turn_end(living);
    scheduler.kill(1);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "x");
}

TEST_F(SchedulerTest, timers_fire_by_time_and_then_in_the_order_they_were_set) {
  const Time start = scheduler.now();
  const std::pair<char, Duration> sleepers[] = {
      {'a', 30ms}, {'b', 10ms}, {'c', 20ms}, {'d', 10ms}, {'e', 10ms}};
  for (const auto& sleeper : sleepers) {
    scheduler.spawn("x", [this, sleeper] {
      EXPECT_EQ(scheduler.park(in(sleeper.second)).code(), Code::deadline);
      seen += sleeper.first;
    });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "bdeca");
  EXPECT_EQ(scheduler.now() - start, 30ms);
}

TEST_F(SchedulerTest, many_timers_fire_in_order_whichever_are_removed) {
  std::vector<Coroutine*> sleepers;
  std::vector<int> fired;
  for (int i = 0; i < 1000; ++i) {
    const Duration duration = std::chrono::milliseconds(1 + i * 7919 % 500);
    sleepers.push_back(scheduler.spawn("x", [this, i, duration, &fired] {
      if (scheduler.park(in(duration)).code() == Code::deadline)
        fired.push_back(1 + i * 7919 % 500);
    }));
  }
  scheduler.spawn("waker", [&] {
    for (int i = 0; i < 1000; i += 3) scheduler.wake(sleepers[i]);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(fired.size(), 666u);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST_F(SchedulerTest, a_wake_before_the_deadline_wins) {
  Coroutine* sleeper = scheduler.spawn("sleeper", [&] {
    const Time start = scheduler.now();
    EXPECT_TRUE(scheduler.park(in(1s)).ok());
    EXPECT_EQ(scheduler.now() - start, 10ms);
    seen += "woken";
  });
  scheduler.spawn("waker", [&] {
    EXPECT_EQ(scheduler.park(in(10ms)).code(), Code::deadline);
    scheduler.wake(sleeper);
    scheduler.wake(sleeper);    // Already runnable: no effect.
    scheduler.cancel(sleeper);  // Too late for this wait.
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "woken");
}

TEST_F(SchedulerTest, a_wake_of_a_running_or_runnable_coroutine_is_not_remembered) {
  scheduler.spawn("x", [&] {
    scheduler.wake(scheduler.running());
    EXPECT_EQ(scheduler.park(in(1ms)).code(), Code::deadline);
  });
  Coroutine* late =
      scheduler.spawn("late", [&] { EXPECT_EQ(scheduler.park(in(1ms)).code(), Code::deadline); });
  scheduler.wake(late);  // Not started yet.
  scheduler.run_until_idle();
}

TEST_F(SchedulerTest, a_deadline_in_the_past_fails_without_waiting) {
  scheduler.spawn("x", [&] {
    EXPECT_EQ(scheduler.park(scheduler.now()).code(), Code::deadline);
    EXPECT_EQ(scheduler.park(Time::min()).code(), Code::deadline);
    seen += "a";
  });
  scheduler.spawn("y", [&] { seen += "b"; });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "ab");
}

TEST_F(SchedulerTest, cancel_ends_the_wait_and_every_later_one) {
  Coroutine* victim = scheduler.spawn("victim", [&] {
    EXPECT_EQ(scheduler.park(k_never).code(), Code::cancelled);
    EXPECT_EQ(scheduler.park(k_never).code(), Code::cancelled);
    EXPECT_TRUE(scheduler.cancelled(scheduler.running()));
    scheduler.yield();
    seen += "ended";
  });
  Coroutine* unborn = scheduler.spawn(
      "unborn", [&] { EXPECT_EQ(scheduler.park(k_never).code(), Code::cancelled); });
  scheduler.spawn("canceller", [&] { scheduler.cancel(victim); });
  scheduler.cancel(unborn);
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "ended");
}

TEST_F(SchedulerTest, an_uncancellable_wait_outlasts_cancel) {
  Coroutine* worker = scheduler.spawn("worker", [&] {
    scheduler.park_uncancellable();
    seen += "b";
  });
  scheduler.spawn("x", [&] {
    scheduler.cancel(worker);
    scheduler.yield();
    seen += "a";
    scheduler.wake(worker);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "ab");
}

TEST_F(SchedulerTest, posted_callbacks_run_outside_coroutines_in_order) {
  scheduler.spawn("x", [&] {
    scheduler.post([&] { seen += Scheduler::in_coroutine() ? "?" : "1"; });
    scheduler.post([&] {
      seen += "2";
      scheduler.spawn("y", [&] { seen += "3"; });
    });
    seen += "0";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "0123");
}

TEST_F(SchedulerTest, coroutines_that_are_always_ready_do_not_keep_events_out) {
  bool arrived = false;
  int turns = 0;
  scheduler.spawn("spinner", [&] {
    scheduler.post([&] { arrived = true; });
    for (; !arrived && turns < 10'000; ++turns) scheduler.yield();
  });
  scheduler.run_until_idle();
  EXPECT_TRUE(arrived);
  EXPECT_LT(turns, 1'000);
}

TEST_F(SchedulerTest, run_ends_at_stop_and_goes_on_where_it_was) {
  for (char name : {'a', 'b', 'c'}) {
    scheduler.spawn("x", [this, name] {
      seen += name;
      if (name == 'b') scheduler.stop();
    });
  }
  scheduler.run();
  EXPECT_EQ(seen, "ab");
  scheduler.run_ready();
  EXPECT_EQ(seen, "abc");
  scheduler.stop();
  scheduler.run();  // The stop that came before ends it.
}

TEST_F(SchedulerTest, run_ready_lets_no_time_pass) {
  Coroutine* sleeper =
      scheduler.spawn("x", [&] { seen += scheduler.park(in(1ms)).ok() ? "woken" : "late"; });
  scheduler.run_ready();
  EXPECT_EQ(seen, "");
  EXPECT_EQ(scheduler.live(), 1u);
  scheduler.wake(sleeper);
  scheduler.run_ready();
  EXPECT_EQ(seen, "woken");
}

#ifdef HONGYAN_TSAN
constexpr int k_many = 5'000;  // It cannot count more.
#else
constexpr int k_many = 10'000;
#endif

TEST_F(SchedulerTest, ten_thousand_coroutines_wait_at_once_with_whole_stacks) {
  WaitList start;
  int sum = 0;
  for (int i = 0; i < k_many; ++i) {
    scheduler.spawn("x", [&, i] {
      volatile int mine[256];
      for (int k = 0; k < 256; ++k) mine[k] = i + k;
      EXPECT_TRUE(start.wait(k_never).ok());
      for (int k = 0; k < 256; ++k) sum += mine[k] == i + k ? 0 : 1;
      ++sum;
    });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(scheduler.live(), size_t{k_many});
  start.wake_all();
  scheduler.run_until_idle();
  EXPECT_EQ(sum, k_many);
  EXPECT_EQ(scheduler.live(), 0u);
}

TEST_F(SchedulerTest, the_stacks_of_those_that_ended_serve_again) {
  std::set<const void*> places;
  int ran = 0;
  for (int i = 0; i < 100; ++i) {
    scheduler.spawn("x", [&] {
      places.insert(__builtin_frame_address(0));
      ++ran;
    });
  }
  scheduler.run_until_idle();
  EXPECT_EQ(ran, 100);
  EXPECT_LE(places.size(), 2u);  // One ends and starts the next, which needs another.
}

TEST_F(SchedulerTest, exceptions_caught_inside_a_coroutine_survive_a_switch) {
  const auto body = [this](char name) {
    try {
      throw std::string(1, name);
    } catch (const std::string& caught) {
      scheduler.yield();  // The other one throws and catches meanwhile.
      seen += caught;
      try {
        throw;
      } catch (const std::string& again) {
        seen += again;
      }
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  };
  scheduler.spawn("a", [&] { body('a'); });
  scheduler.spawn("b", [&] { body('b'); });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "aabb");
}

TEST_F(SchedulerTest, work_on_the_thread_stack_may_be_deep_and_comes_back) {
  scheduler.spawn("x", [&] {
    scheduler.run_on_thread_stack([&] {
      volatile char deep[2 * 1024 * 1024];
      for (size_t i = 0; i < sizeof(deep); i += 1024) deep[i] = 1;
      EXPECT_FALSE(Scheduler::in_coroutine());
      seen += "deep";
      scheduler.spawn("y", [&] { seen += " other"; });
    });
    EXPECT_TRUE(Scheduler::in_coroutine());
    seen += " back";
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "deep back other");
}

TEST_F(SchedulerTest, a_dump_says_what_everyone_does) {
  Coroutine* sleeper = scheduler.spawn("sleeper", [&] { (void)scheduler.park(in(1s)); });
  scheduler.run_ready();
  scheduler.spawn_in(3, "new", [&] {
    EXPECT_EQ(scheduler.dump(), "sleeper (domain 0) waits for 1000 ms more\nnew (domain 3) runs\n");
    scheduler.cancel(sleeper);
    EXPECT_EQ(scheduler.dump(), "sleeper (domain 0) is ready, cancelled\nnew (domain 3) runs\n");
  });
  scheduler.run_until_idle();
  EXPECT_EQ(scheduler.dump(), "");
}

TEST_F(SchedulerTest, run_to_end_is_not_cut_short_by_a_stop_but_keeps_it_for_the_next_run) {
  scheduler.spawn("background", [&] {
    scheduler.stop();
    (void)scheduler.park(in(1h));
    seen += "?";
  });
  run_to_end(scheduler, "main", [&] {
    EXPECT_EQ(scheduler.park(in(1s)).code(), Code::deadline);
    seen += "main";
  });
  EXPECT_EQ(seen, "main");
  scheduler.run();  // Ends at once.
  EXPECT_EQ(seen, "main");
  seen.clear();
  scheduler.run_until_idle();
}

TEST_F(SchedulerTest, children_are_born_into_the_domain_of_their_parent) {
  scheduler.spawn_in(7, "parent", [&] {
    EXPECT_EQ(scheduler.running_domain(), 7u);
    scheduler.spawn("child", [&] { EXPECT_EQ(scheduler.running_domain(), 7u); });
  });
  scheduler.spawn("other", [&] { EXPECT_EQ(scheduler.running_domain(), 0u); });
  scheduler.run_until_idle();
}

struct CountsItsEnd {
  explicit CountsItsEnd(int* ended) : ended(ended) {}
  ~CountsItsEnd() { ++*ended; }
  int* ended;
};

TEST_F(SchedulerTest, killed_coroutines_neither_run_nor_unwind_and_the_living_are_not_disturbed) {
  int unwound = 0;
  auto& dead_list = *new WaitList;  // Dies with its process: leaks.
  WaitList living_list;
  std::vector<Coroutine*> killed;
  const auto waits_in = [&](WaitList& list, const char* mark) {
    return [&list, &unwound, this, mark] {
      CountsItsEnd end(&unwound);
      if (list.wait(k_never).ok()) seen += mark;
    };
  };
  killed.push_back(scheduler.spawn_in(1, "in own list", waits_in(dead_list, "x")));
  killed.push_back(scheduler.spawn_in(1, "in living list", waits_in(living_list, "x")));
  killed.push_back(scheduler.spawn_in(1, "sleeper", [&] {
    CountsItsEnd end(&unwound);
    (void)scheduler.park(in(1s));
    seen += "x";
  }));
  scheduler.spawn_in(2, "survivor", waits_in(living_list, "survived"));
  scheduler.run_ready();
  killed.push_back(scheduler.spawn_in(1, "not started", [&] { seen += "x"; }));
  const Time start = scheduler.now();

  scheduler.kill(1);

  EXPECT_EQ(scheduler.live(), 1u);
  for (Coroutine* dead : killed) {
    scheduler.wake(dead);
    scheduler.cancel(dead);
  }
  living_list.wake_one();  // Not spent on the dead.
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "survived");
  EXPECT_EQ(unwound, 1);
  EXPECT_EQ(scheduler.now(), start);  // Its timers are gone.
}

TEST_F(SchedulerTest, stacks_of_the_killed_serve_again) {
  const void* first = nullptr;
  const void* second = nullptr;
  scheduler.spawn_in(1, "x", [&] {
    first = __builtin_frame_address(0);
    (void)scheduler.park(k_never);
  });
  scheduler.run_ready();
  scheduler.kill(1);
  scheduler.spawn_in(2, "x", [&] { second = __builtin_frame_address(0); });
  scheduler.run_until_idle();
  EXPECT_EQ(first, second);
}

// Eats that much of the stack; true, so that nothing of it is optimised away.
template <size_t bytes>
bool eat_stack() {
  volatile char frame[bytes];
  for (size_t i = 0; i < bytes; i += 512) frame[i] = 1;
  return frame[bytes / 2 / 512 * 512] == 1;
}

TEST_F(SchedulerTest, a_large_stack_holds_what_a_normal_one_could_not) {
  constexpr size_t bytes = bytes_of(StackSize::k256) / 4 * 3;
  static_assert(bytes > k_stack_bytes);
  bool held = false;
  for (int i = 0; i < 2; ++i) {  // The second has the control block of the first, and a normal stack.
    scheduler.spawn("large", [&] { held = eat_stack<bytes>(); }, StackSize::k256);
    scheduler.run_until_idle();
    scheduler.spawn("normal", [] { (void)eat_stack<k_stack_bytes / 4>(); });
    scheduler.run_until_idle();
  }
  EXPECT_TRUE(held);
}

TEST_F(SchedulerTest, a_coroutine_is_born_with_an_empty_word_of_its_own) {
  EXPECT_EQ(Scheduler::hook_word(), nullptr);
  int marks[2] = {};
  for (int i = 0; i < 2; ++i) {
    scheduler.spawn("x", [&, i] {
      EXPECT_EQ(*Scheduler::hook_word(), nullptr);
      *Scheduler::hook_word() = &marks[i];
      scheduler.yield();
      EXPECT_EQ(*Scheduler::hook_word(), &marks[i]);
    });
  }
  scheduler.run_until_idle();
  scheduler.spawn("again", [&] { EXPECT_EQ(*Scheduler::hook_word(), nullptr); });
  scheduler.run_until_idle();
}

#if !defined(HONGYAN_ASAN) && !defined(HONGYAN_TSAN)
int overflow(int depth) {
  volatile char frame[1024];
  frame[depth % 1024] = 1;
  return depth > 1'000'000 ? 0 : overflow(depth + 1) + frame[0];
}

using SchedulerDeathTest = SchedulerTest;
TEST_F(SchedulerDeathTest, overflowing_a_stack_stops_the_process) {
  EXPECT_DEATH(
      {
        scheduler.spawn("x", [] { overflow(0); });
        scheduler.run_until_idle();
      },
      "");
}
#endif

}  // namespace
}  // namespace hongyan::runtime
