// Goal: each way to balance gives the share and the stability it promises. Method: counts over many
// keys with a fixed seed; in-flight is simulated by adding and removing calls.
#include "rpc/routing/balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace hongyan::rpc {
namespace {

std::vector<Instance> some(int count) {
  std::vector<Instance> instances;
  for (int i = 0; i < count; ++i) {
    instances.push_back({.address = "10.0.0." + std::to_string(i) + ":7000"});
  }
  return instances;
}
std::vector<Candidate> usable(size_t count) {
  return std::vector<Candidate>(count, Candidate{.usable = true});
}

TEST(HashRing, keys_spread_evenly_and_by_weight) {
  auto instances = some(10);
  instances[3].weight = 3;
  HashRing ring(instances);
  auto candidates = usable(10);
  candidates[3].weight = 3;
  Random random(1);
  std::vector<int> counts(10);
  for (uint64_t key = 1; key <= 60'000; ++key) ++counts[ring.pick(key, candidates, random)];
  for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(counts[i] / (i == 3 ? 3 : 1), 5000, 1200) << i;
}

TEST(HashRing, only_the_keys_of_an_instance_that_leaves_move) {
  const auto before = some(10);
  auto after = before;
  after.erase(after.begin() + 4);
  HashRing old_ring(before);
  HashRing new_ring(after);
  Random random(1);
  int moved = 0;
  for (uint64_t key = 1; key <= 10'000; ++key) {
    const auto& was = before[old_ring.pick(key, usable(10), random)];
    const auto& is = after[new_ring.pick(key, usable(9), random)];
    if (was.address == before[4].address) {
      ++moved;
    } else {
      ASSERT_EQ(was.address, is.address) << key;
    }
  }
  EXPECT_GT(moved, 600);
}

TEST(HashRing, an_owner_keeps_its_keys_however_busy_or_new_it_is) {
  const auto instances = some(3);
  HashRing bounded(instances);
  HashRing owner(instances, HashRing::Load::any);
  Random random(1);
  int moved = 0;
  for (uint64_t key = 1; key <= 100; ++key) {
    auto candidates = usable(3);
    const size_t own = owner.pick(key, candidates, random);
    EXPECT_EQ(bounded.pick(key, candidates, random), own);
    candidates[own].in_flight = 100;
    candidates[own].share = 0.1;
    EXPECT_EQ(owner.pick(key, candidates, random), own);
    moved += bounded.pick(key, candidates, random) != own;
    candidates[own].usable = false;
    EXPECT_NE(owner.pick(key, candidates, random), own);
  }
  EXPECT_EQ(moved, 100);
}

TEST(HashRing, an_unusable_instances_keys_spread_over_the_others) {
  HashRing ring(some(10));
  auto candidates = usable(10);
  candidates[4].usable = false;
  Random random(1);
  std::map<size_t, int> takers;
  for (uint64_t key = 1; key <= 10'000; ++key) {
    if (ring.pick(key, usable(10), random) == 4) ++takers[ring.pick(key, candidates, random)];
  }
  EXPECT_GE(takers.size(), 8u);
  EXPECT_FALSE(takers.contains(4));
}

TEST(HashRing, nobody_carries_more_than_a_quarter_above_the_mean) {
  HashRing ring(some(8));
  auto candidates = usable(8);
  Random random(1);
  int in_flight = 0;
  for (int i = 0; i < 4000; ++i) {
    // One hot key is half of all calls.
    const uint64_t key = random.one_in(2) ? 7 : 1 + random.below(1000);
    const size_t at = ring.pick(key, candidates, random);
    ++in_flight;
    ++candidates[at].in_flight;
    ASSERT_LE(candidates[at].in_flight, std::ceil(1.25 * in_flight / 8)) << i;
  }
}

TEST(HashRing, a_new_instance_takes_a_growing_stable_part_of_its_keys) {
  HashRing ring(some(4));
  Random random(1);
  const auto keys_at = [&](double share) {
    auto candidates = usable(4);
    candidates[2].share = share;
    std::set<uint64_t> keys;
    for (uint64_t key = 1; key <= 4000; ++key) {
      if (ring.pick(key, candidates, random) == 2) keys.insert(key);
    }
    return keys;
  };
  const auto tenth = keys_at(0.1);
  const auto half = keys_at(0.5);
  const auto all = keys_at(1);
  EXPECT_NEAR(tenth.size() * 10.0, all.size(), all.size() * 0.4);
  EXPECT_NEAR(half.size() * 2.0, all.size(), all.size() * 0.2);
  EXPECT_TRUE(std::ranges::includes(half, tenth));
  EXPECT_TRUE(std::ranges::includes(all, half));
}

TEST(RoundRobin, goes_around_the_usable_ones) {
  RoundRobin balancer;
  auto candidates = usable(4);
  candidates[1].usable = false;
  Random random(1);
  std::vector<size_t> order;
  for (int i = 0; i < 6; ++i) order.push_back(balancer.pick(9, candidates, random));
  EXPECT_EQ(order, (std::vector<size_t>{0, 2, 3, 0, 2, 3}));
}

TEST(Weighted, is_in_proportion_and_interleaved) {
  Weighted balancer;
  auto candidates = usable(3);
  candidates[0].weight = 5;
  Random random(1);
  std::vector<size_t> order;
  for (int i = 0; i < 7; ++i) order.push_back(balancer.pick(0, candidates, random));
  EXPECT_EQ(order, (std::vector<size_t>{0, 0, 1, 0, 2, 0, 0}));
  candidates[0].share = 0.2;  // New: counts like the others.
  std::map<size_t, int> counts;
  for (int i = 0; i < 300; ++i) ++counts[balancer.pick(0, candidates, random)];
  EXPECT_NEAR(counts[0], 100, 3);
}

TEST(LeastLatency, prefers_the_fast_and_the_idle_without_a_herd) {
  LeastLatency balancer;
  auto candidates = usable(4);
  for (auto& candidate : candidates) candidate.latency_us = 1000;
  candidates[2].latency_us = 10'000;
  Random random(1);
  std::map<size_t, int> counts;
  for (int i = 0; i < 4000; ++i) ++counts[balancer.pick(0, candidates, random)];
  EXPECT_EQ(counts[2], 0);
  candidates[2].latency_us = 500;
  counts.clear();
  for (int i = 0; i < 4000; ++i) ++counts[balancer.pick(0, candidates, random)];
  EXPECT_NEAR(counts[2], 2000, 200);  // In every pair it stands in, and no more.
  candidates[2].in_flight = 9;
  counts.clear();
  for (int i = 0; i < 4000; ++i) ++counts[balancer.pick(0, candidates, random)];
  EXPECT_EQ(counts[2], 0);
}

TEST(Balancers, say_when_nobody_is_usable_and_take_the_only_one_that_is) {
  Random random(1);
  for (const Balance balance :
       {Balance::hash, Balance::round_robin, Balance::weighted, Balance::least_latency}) {
    const auto balancer = make_balancer(balance, some(3));
    std::vector<Candidate> candidates(3);
    EXPECT_EQ(balancer->pick(5, candidates, random), k_no_instance);
    candidates[1] = {.usable = true, .share = 0.1, .in_flight = 1000, .latency_us = 1e6};
    for (uint64_t key = 0; key < 20; ++key) EXPECT_EQ(balancer->pick(key, candidates, random), 1u);
    const auto empty = make_balancer(balance, {});
    EXPECT_EQ(empty->pick(5, {}, random), k_no_instance);
  }
  EXPECT_EQ(parse_balance("least_latency").value(), Balance::least_latency);
  EXPECT_EQ(parse_balance("best").code(), Code::invalid);
}

}  // namespace
}  // namespace hongyan::rpc
