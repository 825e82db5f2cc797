// Goal: a caller keeps back what an instance would refuse, heals by itself, and a lying instance gains nothing.
#include "rpc/overload/instance_level.h"

#include <gtest/gtest.h>

namespace hongyan::rpc {
namespace {

using runtime::Priority;
using runtime::Time;
using namespace std::chrono_literals;

constexpr Priority k_high{.business = 20, .user = 3};
constexpr Priority k_low{.business = 50, .user = 100};

TEST(InstanceLevelTest, nothing_is_kept_back_before_a_level_was_heard) {
  InstanceLevel instance;
  EXPECT_TRUE(instance.may_leave(k_priority_lowest, Time{}));
}

TEST(InstanceLevelTest, what_is_below_the_level_stays_and_the_rest_leaves) {
  InstanceLevel instance;
  instance.heard(level_of(k_low) - 1, Time{});
  EXPECT_TRUE(instance.may_leave(k_low, Time{}));  // The first one asks.
  EXPECT_FALSE(instance.may_leave(k_low, Time{}));
  EXPECT_TRUE(instance.may_leave(k_high, Time{}));
  instance.heard(level_of(k_low), Time{});
  EXPECT_TRUE(instance.may_leave(k_low, Time{}));
}

TEST(InstanceLevelTest, one_in_64_goes_out_all_the_same) {
  InstanceLevel instance;
  instance.heard(0, Time{});
  int left = 0;
  for (int i = 0; i < 6400; ++i) left += instance.may_leave(k_low, Time{});
  EXPECT_EQ(left, 100);
  EXPECT_EQ(instance.kept_back(), 6300u);
  EXPECT_EQ(instance.probes(), 100u);
}

TEST(InstanceLevelTest, rare_calls_ask_ten_times_a_second) {
  InstanceLevel instance;
  Time now{};
  int left = 0;
  for (int i = 0; i < 100; ++i) {
    instance.heard(0, now);
    left += instance.may_leave(k_low, now);
    now += 20ms;
  }
  EXPECT_EQ(left, 20);
}

TEST(InstanceLevelTest, a_level_is_forgotten_after_a_second) {
  InstanceLevel instance;
  instance.heard(0, Time{});
  EXPECT_EQ(instance.level(Time{} + 999ms), 0u);
  EXPECT_EQ(instance.level(Time{} + 1s), k_level_open);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(instance.may_leave(k_low, Time{} + 1s));
}

TEST(InstanceLevelTest, a_number_that_is_no_level_is_open) {
  InstanceLevel instance;
  for (uint32_t lie : {k_levels, k_levels + 7, ~0u}) {
    instance.heard(lie, Time{});
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(instance.may_leave(k_priority_lowest, Time{}));
  }
}

}  // namespace
}  // namespace hongyan::rpc
