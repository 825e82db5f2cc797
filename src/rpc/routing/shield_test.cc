// Goal: a shield opens, probes, closes and grows as its header draws it; the budget and the window
// of latencies keep their promises. Method: time by hand.
#include "rpc/routing/shield.h"

#include <gtest/gtest.h>

#include "rpc/routing/latency_window.h"
#include "rpc/routing/retry_budget.h"

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

class ShieldTest : public ::testing::Test {
 protected:
  bool call(Outcome outcome) {
    const bool probe = shield_.started(now_);
    return shield_.ended(now_, probe, outcome, random_);
  }
  void fail(int times) {
    for (int i = 0; i < times; ++i) call(Outcome::bad);
  }
  Duration isolation() const { return shield_.open_until() - now_; }
  void wait_until_half_open() {
    now_ = shield_.open_until();
    ASSERT_EQ(shield_.state(now_), ShieldState::half_open);
  }
  Random random_{1};
  Time now_{1000s};
  Shield shield_;
};

TEST_F(ShieldTest, five_failures_in_a_row_open_it) {
  fail(4);
  EXPECT_TRUE(shield_.allows(now_));
  call(Outcome::good);
  fail(4);
  EXPECT_TRUE(shield_.allows(now_));
  EXPECT_TRUE(call(Outcome::bad));
  EXPECT_EQ(shield_.state(now_), ShieldState::open);
  EXPECT_FALSE(shield_.allows(now_));
  EXPECT_GE(isolation(), 750ms);
  EXPECT_LE(isolation(), 1250ms);
}

TEST_F(ShieldTest, half_of_twenty_calls_within_ten_seconds_open_it) {
  for (int i = 0; i < 9; ++i) {
    call(Outcome::bad);
    call(Outcome::good);
  }
  call(Outcome::good);
  EXPECT_TRUE(call(Outcome::bad));
  EXPECT_EQ(shield_.state(now_), ShieldState::open);
}

TEST_F(ShieldTest, old_failures_are_forgotten) {
  for (int i = 0; i < 9; ++i) {
    call(Outcome::bad);
    call(Outcome::good);
  }
  now_ += 11s;
  call(Outcome::good);
  call(Outcome::bad);
  call(Outcome::bad);
  EXPECT_EQ(shield_.state(now_), ShieldState::closed);
}

TEST_F(ShieldTest, overload_and_given_up_calls_never_open_it) {
  for (int i = 0; i < 1000; ++i) call(Outcome::neutral);
  EXPECT_EQ(shield_.state(now_), ShieldState::closed);
  fail(4);
  call(Outcome::neutral);  // Nor do they interrupt a row.
  EXPECT_TRUE(call(Outcome::bad));
}

TEST_F(ShieldTest, half_open_lets_one_probe_through_at_a_time_and_three_close_it) {
  fail(5);
  wait_until_half_open();
  EXPECT_TRUE(shield_.allows(now_));
  const bool probe = shield_.started(now_);
  EXPECT_TRUE(probe);
  EXPECT_FALSE(shield_.allows(now_));
  const bool in_panic = shield_.started(now_);
  EXPECT_FALSE(in_panic);
  shield_.ended(now_, in_panic, Outcome::good, random_);  // Says nothing.
  EXPECT_FALSE(shield_.ended(now_, probe, Outcome::good, random_));
  call(Outcome::good);
  EXPECT_EQ(shield_.state(now_), ShieldState::half_open);
  call(Outcome::good);
  EXPECT_EQ(shield_.state(now_), ShieldState::closed);
}

TEST_F(ShieldTest, a_probe_that_is_given_up_makes_room_for_the_next) {
  fail(5);
  wait_until_half_open();
  const bool probe = shield_.started(now_);
  shield_.ended(now_, probe, Outcome::neutral, random_);
  EXPECT_EQ(shield_.state(now_), ShieldState::half_open);
  EXPECT_TRUE(shield_.allows(now_));
}

TEST_F(ShieldTest, isolation_doubles_to_a_minute_and_starts_anew_after_a_good_one) {
  fail(5);
  Duration expected = 1s;
  for (int i = 0; i < 10; ++i) {
    EXPECT_GE(isolation(), expected * 3 / 4);
    EXPECT_LE(isolation(), expected * 5 / 4);
    expected = std::min<Duration>(expected * 2, 60s);
    wait_until_half_open();
    EXPECT_TRUE(call(Outcome::bad));
  }
  wait_until_half_open();
  for (int i = 0; i < 3; ++i) call(Outcome::good);
  now_ += 30s;  // Not good for long.
  fail(5);
  EXPECT_GE(isolation(), 45s);
  wait_until_half_open();
  for (int i = 0; i < 3; ++i) call(Outcome::good);
  now_ += 61s;
  fail(5);
  EXPECT_LE(isolation(), 1250ms);
}

TEST(RetryBudget, allows_a_tenth_and_a_burst) {
  RetryBudget budget(0.1, 10);
  int extra = 0;
  for (int i = 0; i < 10'000; ++i) {
    budget.called();
    extra += budget.take() + budget.take();
  }
  EXPECT_LE(extra, 1010);
  EXPECT_GE(extra, 1000);
  for (int i = 0; i < 10'000; ++i) budget.called();
  EXPECT_LE(budget.tokens(), 10);  // A quiet hour saves nothing up.
}

TEST(LatencyWindow, gives_the_recent_tail_within_a_tenth) {
  LatencyWindow window;
  for (int i = 1; i < 50; ++i) window.add(1ms);
  EXPECT_FALSE(window.known());
  for (int i = 1; i <= 400; ++i) window.add(i * 1ms);
  EXPECT_NEAR(static_cast<double>(window.quantile(0.95).count()), 378e6, 40e6);
  for (int i = 0; i < 2000; ++i) window.add(2ms);
  EXPECT_NEAR(static_cast<double>(window.quantile(0.99).count()), 2e6, 0.2e6);
  window.add(1h);
  window.add(0ms);
  EXPECT_LE(window.quantile(1), 100s);
}

}  // namespace
}  // namespace hongyan::rpc
