// Goal: the wheel is a sorted list of deadlines, only faster. Method: random schedules beside a
// multimap.
#include "runtime/coro/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "base/random.h"

namespace hongyan::runtime {
namespace {

constexpr Time k_start{1'000'000'123ns};

struct Numbered : Timer {
  int number = 0;
};

int fire(TimerWheel& wheel, Time now) {
  Timer* timer = wheel.fire_next(now);
  return timer == nullptr ? -1 : static_cast<Numbered*>(timer)->number;
}

TEST(TimerWheel, deadlines_within_one_tick_are_exact_and_equal_ones_keep_their_order) {
  TimerWheel wheel(k_start);
  Numbered timers[4];
  for (int i = 0; i < 4; ++i) timers[i].number = i;
  wheel.set(timers[0], k_start + 300us);
  wheel.set(timers[1], k_start + 100us);
  wheel.set(timers[2], k_start + 300us);
  wheel.set(timers[3], k_start + 200us);
  EXPECT_EQ(wheel.next_time(), k_start + 100us);
  EXPECT_EQ(fire(wheel, k_start + 100us - 1ns), -1);
  EXPECT_EQ(fire(wheel, k_start + 100us), 1);
  EXPECT_EQ(fire(wheel, k_start + 199us), -1);
  EXPECT_EQ(fire(wheel, k_start + 300us), 3);
  EXPECT_EQ(fire(wheel, k_start + 300us), 0);
  EXPECT_EQ(fire(wheel, k_start + 300us), 2);
  EXPECT_EQ(wheel.next_time(), k_never);
}

TEST(TimerWheel, one_in_the_past_fires_at_once_and_never_ever_does_not) {
  TimerWheel wheel(k_start);
  Numbered past, never;
  never.number = 1;
  wheel.set(past, Time(1ns));
  wheel.set(never, k_never);
  EXPECT_EQ(fire(wheel, k_start), 0);
  EXPECT_EQ(fire(wheel, k_start + 365 * 24h), -1);
  EXPECT_EQ(wheel.next_time(), k_never);
  EXPECT_EQ(wheel.size(), 1u);
  wheel.cancel(never);
  wheel.cancel(never);
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, a_crowd_far_away_is_not_searched_again_and_again_but_fires_in_order) {
  TimerWheel wheel(k_start);
  std::deque<Numbered> crowd(1000);
  for (int i = 0; i < 1000; ++i) {
    crowd[i].number = i;
    wheel.set(crowd[i], k_start + 1h + Duration(i * 7919 % 1000 * 1000));
  }
  int visits = 0;
  Time now = k_start;
  std::vector<Time> fired;
  while (!wheel.empty()) {
    const Time next = wheel.next_time();
    ASSERT_GE(next, now);
    now = next;
    ++visits;
    while (Timer* timer = wheel.fire_next(now)) fired.push_back(timer->deadline());
  }
  EXPECT_LE(visits, 1000 + 3);  // Spread at most three times.
  EXPECT_EQ(fired.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

// Sets, cancels and lets time pass at random; every step must agree with the model.
void compare(uint64_t seed, Duration span) {
  Random random(seed);
  TimerWheel wheel(k_start);
  std::multimap<Time, Numbered*> model;  // Equal ones in order of insertion.
  std::deque<Numbered> timers(300);
  for (size_t i = 0; i < timers.size(); ++i) timers[i].number = static_cast<int>(i);
  Time now = k_start;
  for (int step = 0; step < 3000; ++step) {
    Numbered& timer = timers[random.next() % timers.size()];
    if (timer.set()) {
      for (auto it = model.begin(); it != model.end(); ++it) {
        if (it->second != &timer) continue;
        model.erase(it);
        break;
      }
      wheel.cancel(timer);
    } else {
      const auto unit = random.next() % 3 == 0 ? 1'000'000 : 1;  // Many at one instant.
      const Time deadline =
          now + Duration(1 + static_cast<int64_t>(random.next() % span.count()) / unit * unit);
      wheel.set(timer, deadline);
      model.emplace(deadline, &timer);
    }
    if (random.next() % 4 != 0) continue;
    const Time next = wheel.next_time();
    ASSERT_LE(next, model.empty() ? k_never : model.begin()->first);
    const bool jump = random.next() % 2 == 0 && next != k_never;
    now = jump ? std::max(now, next)
               : now + Duration(random.next() % (static_cast<uint64_t>(span.count()) / 4));
    for (;;) {
      const int fired = fire(wheel, now);
      if (fired < 0) break;
      ASSERT_FALSE(model.empty());
      ASSERT_EQ(model.begin()->second->number, fired);
      ASSERT_LE(model.begin()->first, now);
      model.erase(model.begin());
    }
    ASSERT_TRUE(model.empty() || model.begin()->first > now);
    ASSERT_EQ(wheel.size(), model.size());
  }
}

TEST(TimerWheel, agrees_with_a_sorted_map_at_every_scale) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    for (Duration span : {Duration(5ms), Duration(300ms), Duration(100s), Duration(10h),
                          Duration(20 * 24h), Duration(100 * 24h)}) {
      compare(seed, span);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace hongyan::runtime
