// Goal: a loop asks before it sleeps only while that pays and nobody else wants its processor.
// Method: the policy is told waits by hand.
#include "runtime/os/idle_spin.h"

#include <gtest/gtest.h>

namespace hongyan::runtime {
namespace {

using namespace std::chrono_literals;

constexpr Duration k_short = 10us;
constexpr Duration k_long = 500us;

struct IdleSpinTest : testing::Test {
  // A window of waits, of which so many are short.
  void window(int short_waits) {
    for (int i = 0; i < IdleSpin::k_waits; ++i) {
      const Duration took = i < short_waits ? k_short : k_long;
      now += took;
      spin.waited(took, now);
    }
  }
  bool asks() const { return spin.limit() > Duration(0); }
  // How long it is left alone from now on, in steps of a window of short waits.
  Duration pause() {
    const Time start = now;
    while (!asks() && now - start < 10s) window(IdleSpin::k_waits);
    return now - start;
  }

  IdleSpin spin;
  Time now{1h};
};

TEST_F(IdleSpinTest, who_waits_for_long_sleeps_at_once) {
  EXPECT_FALSE(asks());
  for (int i = 0; i < 10; ++i) window(IdleSpin::k_short_min - 1);
  EXPECT_FALSE(asks());
}

TEST_F(IdleSpinTest, short_waits_are_asked_through_and_no_longer_than_a_wake_up_takes) {
  window(IdleSpin::k_short_min);
  EXPECT_EQ(spin.limit(), IdleSpin::k_ask);
  for (int i = 0; i < 10; ++i) window(IdleSpin::k_short_min);
  EXPECT_TRUE(asks());
}

TEST_F(IdleSpinTest, when_news_stays_away_it_is_left_for_longer_each_time_up_to_a_second) {
  Duration before{};
  for (int i = 0; i < 10; ++i) {
    (void)pause();
    window(0);
    ASSERT_FALSE(asks());
    const Duration length = pause();
    EXPECT_GE(length, std::min(before, IdleSpin::k_pause_max));
    EXPECT_GE(length, IdleSpin::k_pause_min);
    EXPECT_LT(length, IdleSpin::k_pause_max + 100ms);
    before = length;
  }
  EXPECT_GE(before, IdleSpin::k_pause_max);
  // It pays again: the next pause is short.
  window(IdleSpin::k_waits);
  window(0);
  EXPECT_LT(pause(), 2 * IdleSpin::k_pause_min);
}

TEST_F(IdleSpinTest, it_is_left_at_once_when_others_take_the_processor) {
  window(IdleSpin::k_waits);
  EXPECT_TRUE(spin.taken_away(IdleSpin::k_taken_max / 2, now));
  EXPECT_TRUE(asks());
  EXPECT_FALSE(spin.taken_away(IdleSpin::k_taken_max, now));
  EXPECT_FALSE(asks());
  EXPECT_GE(pause(), IdleSpin::k_pause_min);
}

TEST_F(IdleSpinTest, a_little_taken_now_and_then_is_forgiven) {
  window(IdleSpin::k_waits);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(spin.taken_away(IdleSpin::k_taken_max / 2, now));
    window(IdleSpin::k_waits);
  }
  EXPECT_TRUE(asks());
}

}  // namespace
}  // namespace hongyan::runtime
