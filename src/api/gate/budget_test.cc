#include "api/gate/budget.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace hongyan::api {

namespace {

TEST(BudgetTest, shares_together_stay_below_the_budget) {
  Budget budget(1000);
  Budget::Share one(budget, ""), two(budget, "");
  EXPECT_TRUE(one.resize(600));
  EXPECT_FALSE(two.resize(401));
  EXPECT_TRUE(two.resize(400));
  EXPECT_FALSE(one.resize(601));
  EXPECT_EQ(budget.used(), 1000u);
  EXPECT_TRUE(one.resize(100));
  EXPECT_TRUE(two.resize(900));
}

TEST(BudgetTest, connections_of_one_address_hold_a_quarter_and_no_more) {
  Budget budget(1000);
  Budget::Share first(budget, "203.0.113.7"), second(budget, "203.0.113.7"), other(budget, "203.0.113.8");
  EXPECT_TRUE(first.resize(200));
  EXPECT_FALSE(second.resize(51));
  EXPECT_TRUE(second.resize(50));
  EXPECT_TRUE(other.resize(250));
  EXPECT_FALSE(first.resize(201));
  EXPECT_TRUE(second.resize(0));
  EXPECT_TRUE(first.resize(250));
}

TEST(BudgetTest, what_ends_gives_back_and_leaves_no_entry_behind) {
  Budget budget(1'000'000);
  for (int i = 0; i < 1000; ++i) {
    Budget::Share share(budget, "2001:db8:" + std::to_string(i));
    EXPECT_TRUE(share.resize(100));
  }
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(budget.owners(), 0u);
}

}  // namespace

}  // namespace hongyan::api
