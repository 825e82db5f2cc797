// Goal: the automatic limit follows what a method can do: up while it is fast, down when calls queue, never for ever.
// Method: a model of a server with so many workers and a fixed service time, on counted time.
#include "rpc/concurrency_limit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <queue>
#include <vector>

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

TEST(ConcurrencyLimit, a_fixed_one_holds_and_none_lets_all_in) {
  ConcurrencyLimit none;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(none.enter());
  ConcurrencyLimit two({.fixed = 2});
  EXPECT_TRUE(two.enter());
  EXPECT_TRUE(two.enter());
  EXPECT_FALSE(two.enter());
  two.leave(Time{}, 1ms, true);
  EXPECT_TRUE(two.enter());
  two.abandon();
  EXPECT_EQ(two.running(), 1u);
}

// Calls come at a steady rate; `workers` serve them in order, each call for `service`.
struct Model {
  Model(int its_workers, Duration its_service) : workers(its_workers), service(its_service), free_at(static_cast<size_t>(its_workers), Time{}) {}
  void run(ConcurrencyLimit& limit, double per_second, Duration length, bool good = true) {
    const Time end = now + length;
    for (; now < end; now += Duration(static_cast<int64_t>(1e9 / per_second))) {
      while (!ends.empty() && ends.top().first <= now) {
        limit.leave(ends.top().first, ends.top().first - ends.top().second, good);
        ends.pop();
      }
      if (!limit.enter()) {
        ++refused;
        continue;
      }
      ++let_in;
      auto& worker = *std::min_element(free_at.begin(), free_at.end());
      worker = std::max(worker, now) + service;
      ends.emplace(worker, now);
      longest = std::max(longest, worker - now);
    }
  }
  void forget() {
    refused = let_in = 0;
    longest = {};
  }
  int workers;
  Duration service;
  std::vector<Time> free_at;
  Time now{1s};
  using End = std::pair<Time, Time>;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends;
  int refused = 0, let_in = 0;
  Duration longest{};
};

TEST(ConcurrencyLimit, the_automatic_one_lets_through_what_can_be_done_and_bounds_the_queue) {
  ConcurrencyLimit limit({.automatic = true});
  Model model(10, 10ms);  // 1,000 a second.
  model.run(limit, 800, 20s);
  EXPECT_EQ(model.refused, 0);
  model.run(limit, 3'000, 20s);
  model.forget();
  model.run(limit, 3'000, 60s);  // Three times what it can do, through a new look at the smallest latency.
  EXPECT_GT(model.let_in, 60 * 1'000 * 85 / 100);
  EXPECT_LT(model.longest, 50ms);
  EXPECT_LE(limit.limit(), 60u);
}

TEST(ConcurrencyLimit, it_recovers_after_the_method_was_slow_for_a_while) {
  ConcurrencyLimit limit({.automatic = true});
  Model model(10, 10ms);
  model.run(limit, 900, 30s);
  model.service = 100ms;
  model.run(limit, 900, 30s);
  model.service = 10ms;
  model.run(limit, 900, 60s);
  model.forget();
  model.run(limit, 900, 20s);
  EXPECT_GT(model.let_in, 20 * 900 * 95 / 100) << limit.limit();
}

TEST(ConcurrencyLimit, when_everything_fails_it_shrinks_but_not_to_nothing) {
  ConcurrencyLimit limit({.automatic = true});
  Model model(10, 10ms);
  model.run(limit, 900, 30s, false);
  EXPECT_GE(limit.limit(), 4u);
  EXPECT_LE(limit.limit(), 40u);
}

TEST(ConcurrencyLimit, few_calls_say_nothing) {
  ConcurrencyLimit limit({.automatic = true, .fixed = 17});
  Model model(1, 10ms);
  model.run(limit, 5, 60s);
  EXPECT_EQ(limit.limit(), 17u);
}

}  // namespace
}  // namespace hongyan::rpc
