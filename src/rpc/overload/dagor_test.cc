// Goal: which calls are taken follows from queueing times and priorities alone, as the header says. Method: a load is
// played on a clock of the test's own, window by window; one whole overload is a golden trace.
#include "rpc/overload/dagor.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Priority;
using runtime::Time;
using namespace std::chrono_literals;

// One second of `calls`, evenly; priorities by number of the call; each has queued for as long as `wait` says.
struct Second {
  int calls = 1000;
  std::function<Priority(int)> priority = [](int i) { return Priority{.business = 20, .user = static_cast<uint8_t>(i * 37 % 128)}; };
  std::function<Duration(int)> wait = [](int) { return Duration(1ms); };
};

class DagorTest : public ::testing::Test {
 protected:
  int play(const Second& second) {
    int taken = 0;
    for (int i = 0; i < second.calls; ++i) {
      const bool yes = dagor_.admit(second.priority(i), second.wait(i), now_);
      dagor_.waited(second.wait(i), now_);
      taken += yes;
      now_ += Duration(1s) / second.calls;
    }
    return taken;
  }
  int play_bad(int seconds, Second second = {}) {
    second.wait = [](int) { return Duration(30ms); };
    int taken = 0;
    for (int i = 0; i < seconds; ++i) taken = play(second);
    return taken;
  }
  int play_good(int seconds, const Second& second = {}) {
    int taken = 0;
    for (int i = 0; i < seconds; ++i) taken = play(second);
    return taken;
  }
  void close_window() { (void)dagor_.admit({.business = 20, .user = 0}, {}, now_); }

  Dagor dagor_;
  Time now_{};
};

TEST_F(DagorTest, without_queueing_everything_is_taken) {
  EXPECT_EQ(play_good(5), 1000);
  EXPECT_TRUE(dagor_.open());
}

TEST_F(DagorTest, twenty_milliseconds_are_no_overload_and_more_are) {
  Second second;
  second.wait = [](int) { return Duration(20ms); };
  play(second);
  close_window();
  EXPECT_FALSE(dagor_.last().overloaded);
  EXPECT_EQ(dagor_.last().queue_wait, 20ms);
  second.wait = [](int) { return Duration(20ms + 1us); };
  play(second);
  close_window();
  EXPECT_TRUE(dagor_.last().overloaded);
  EXPECT_FALSE(dagor_.open());
}

TEST_F(DagorTest, a_bad_window_costs_five_percent_of_what_is_taken) {
  play_bad(1);
  EXPECT_NEAR(play_bad(1), 950, 1);
  EXPECT_NEAR(play_bad(1), 902, 2);
  EXPECT_NEAR(play_bad(1), 857, 3);
}

TEST_F(DagorTest, a_good_window_gives_back_one_percent_of_what_arrives) {
  play_bad(10);
  const int before = play_good(1);
  EXPECT_NEAR(play_good(1), before + 10, 2);
  EXPECT_NEAR(play_good(1), before + 20, 3);
}

TEST_F(DagorTest, growing_queueing_time_cuts_to_what_the_server_can_do_at_once) {
  // What arrives in a second takes 1.08: each call waits 80 us longer than the one before.
  Second second;
  second.wait = [](int i) { return Duration(10ms) + i * Duration(80us); };
  play(second);
  EXPECT_NEAR(play({}), 926, 5);

}

TEST_F(DagorTest, what_is_left_of_a_queue_that_shrinks_costs_nobody_his_place) {
  play_bad(3);
  const uint32_t level = dagor_.level();
  Second second;
  second.wait = [](int i) { return Duration(400ms) - i * Duration(200us); };
  play(second);
  close_window();
  EXPECT_TRUE(dagor_.last().overloaded);
  // The window before was bad and stood still; this one shrank.
  const uint32_t now = dagor_.level();
  play(second);
  close_window();
  EXPECT_EQ(dagor_.level(), now);
  EXPECT_LE(now, level);
}

TEST_F(DagorTest, the_less_important_business_goes_first_and_within_it_the_higher_user_levels) {
  Second mixed;
  mixed.priority = [](int i) { return Priority{.business = static_cast<uint8_t>(i % 2 == 0 ? 20 : 50), .user = static_cast<uint8_t>(i / 2 * 37 % 128)}; };
  play_bad(1, mixed);
  close_window();
  EXPECT_EQ(dagor_.level() / k_user_levels, 50u);
  EXPECT_TRUE(dagor_.admit({.business = 20, .user = 127}, {}, now_));
  EXPECT_TRUE(dagor_.admit({.business = 50, .user = 0}, {}, now_));
  EXPECT_FALSE(dagor_.admit({.business = 50, .user = 127}, {}, now_));
  EXPECT_FALSE(dagor_.admit({.business = 51, .user = 0}, {}, now_));
}

TEST_F(DagorTest, the_more_important_never_pay_while_the_others_are_taken) {
  Second mixed;
  int important = 0;
  mixed.priority = [](int i) { return Priority{.business = static_cast<uint8_t>(i % 10 == 0 ? 20 : 90), .user = static_cast<uint8_t>(i / 10 % 128)}; };
  play_bad(20, mixed);
  for (int i = 0; i < 1000; ++i) {
    const bool yes = dagor_.admit(mixed.priority(i), {}, now_);
    if (i % 10 == 0) important += yes;
    now_ += 1ms;
  }
  EXPECT_EQ(important, 100);
}

TEST_F(DagorTest, calls_that_are_all_of_one_level_are_thinned_not_cut_off) {
  Second one;
  one.priority = [](int) { return Priority{.business = 20, .user = 5}; };
  play_bad(1, one);
  EXPECT_NEAR(play_bad(1, one), 950, 1);
  const int later = play_bad(8, one);
  EXPECT_NEAR(later, 630, 10);
  EXPECT_EQ(dagor_.level(), 20u * 128 + 5);
  EXPECT_NEAR(play_good(2, one), later - 32 + 10, 5);
}

TEST_F(DagorTest, a_window_ends_after_two_thousand_calls) {
  Second second{.calls = 10'000};
  second.wait = [](int) { return Duration(30ms); };
  play(second);
  EXPECT_EQ(dagor_.last().number, 4u);  // The fifth is closed by the next call.
  EXPECT_EQ(dagor_.last().arrived, 2000u);
}

TEST_F(DagorTest, few_late_calls_are_no_overload) {
  Second few{.calls = 4};
  few.wait = [](int) { return Duration(2s); };
  play(few);
  close_window();
  EXPECT_EQ(dagor_.last().number, 0u);  // Goes on until it has enough to judge by.
  EXPECT_TRUE(dagor_.open());
}

TEST_F(DagorTest, after_five_seconds_without_a_call_everything_is_open) {
  play_bad(20);
  EXPECT_FALSE(dagor_.open());
  now_ += 4s;
  EXPECT_FALSE(dagor_.admit({.business = 255, .user = 127}, {}, now_));
  now_ += 5s;
  EXPECT_TRUE(dagor_.admit({.business = 255, .user = 127}, {}, now_));
  EXPECT_TRUE(dagor_.open());
}

TEST_F(DagorTest, the_level_opens_within_half_a_minute_when_the_load_has_gone) {
  play_bad(40);
  int seconds = 0;
  for (; !dagor_.open() && seconds < 60; ++seconds) play({.calls = 100});
  EXPECT_GT(seconds, 5);
  EXPECT_LE(seconds, 30);
}

// Callers that honour the level send next to nothing below it.
TEST_F(DagorTest, the_cursor_does_not_leap_over_levels_that_only_look_empty) {
  play_bad(20);
  const uint32_t closed = dagor_.level();
  for (int second = 0; second < 8; ++second) {
    for (int i = 0; i < 1000; ++i) {
      const Priority priority{.business = 20, .user = static_cast<uint8_t>(i * 37 % 128)};
      const bool probe = i % 64 == 0;
      now_ += 1ms;
      if (level_of(priority) > dagor_.level() && !probe) continue;
      (void)dagor_.admit(priority, {}, now_);
      dagor_.waited(1ms, now_);
    }
  }
  EXPECT_GT(dagor_.level(), closed);
  EXPECT_LE(dagor_.level(), closed + 12);  // A level is 0.8 % of what arrives.
}

TEST_F(DagorTest, an_important_load_that_comes_back_is_taken_whatever_the_level) {
  Second low;
  low.priority = [](int i) { return Priority{.business = 90, .user = static_cast<uint8_t>(i % 128)}; };
  play_bad(20, low);
  EXPECT_EQ(play_good(1), 1000);
}

TEST_F(DagorTest, a_whole_overload) {
  // The server takes 500 of 1500 calls a second: sends, group sends and searches, a third each. Its queue is simulated:
  // what is taken beyond 500 waits.
  double backlog = 0;
  std::string trace;
  for (int second = 0; second < 14; ++second) {
    const int arriving = second < 10 ? 1500 : 300;
    Second load{.calls = arriving};
    load.priority = [](int i) {
      constexpr uint8_t k_business[] = {20, 50, 110};
      return Priority{.business = k_business[i % 3], .user = static_cast<uint8_t>(i / 3 * 37 % 128)};
    };
    int taken = 0;
    for (int i = 0; i < arriving; ++i) {
      const auto wait = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(backlog / 500));
      const bool yes = dagor_.admit(load.priority(i), wait, now_);
      dagor_.waited(wait, now_);
      backlog = std::max(0.0, backlog + (yes ? 1 : 0) - 500.0 / arriving);
      taken += yes;
      now_ += Duration(1s) / arriving;
    }
    trace += std::to_string(taken) + " at " + std::to_string(dagor_.level() / 128) + "/" + std::to_string(dagor_.level() % 128) + "\n";
  }
  EXPECT_EQ(trace,
            "544 at 20/126\n"
            "494 at 20/126\n"
            "471 at 20/119\n"
            "468 at 20/119\n"
            "486 at 20/124\n"
            "502 at 50/0\n"
            "513 at 50/3\n"
            "493 at 20/125\n"
            "467 at 20/118\n"
            "481 at 20/123\n"
            "100 at 50/0\n"
            "103 at 50/4\n"
            "107 at 50/7\n"
            "110 at 50/10\n");
}

TEST(InstanceLevels, user_levels_beyond_the_last_count_as_the_last) {
  EXPECT_EQ(level_of({.business = 3, .user = 255}), level_of({.business = 3, .user = 127}));
  EXPECT_EQ(level_of(priority_of(12345)), 12345u);
  EXPECT_EQ(level_of(priority_of(~0u)), k_level_open);
}

TEST(InstanceLevels, a_caller_gets_no_more_than_its_ticket_allows) {
  const Priority allowed{.business = 50, .user = 60};
  EXPECT_EQ(level_of(no_better_than({.business = 20, .user = 0}, allowed)), level_of(allowed));
  EXPECT_EQ(level_of(no_better_than({.business = 50, .user = 3}, allowed)), level_of(allowed));
  EXPECT_EQ(level_of(no_better_than({.business = 90, .user = 3}, allowed)), 90u * 128 + 3);
}

}  // namespace
}  // namespace hongyan::rpc
