// Goal: the order of rules in router.h, each of them seen alone. Method: sets and health by hand.
#include "rpc/routing/router.h"

#include <gtest/gtest.h>

#include <map>

namespace hongyan::rpc {
namespace {

class RouterTest : public ::testing::Test {
 protected:
  // Two zones of four.
  static std::vector<Instance> two_zones() {
    std::vector<Instance> all;
    for (int i = 0; i < 8; ++i) {
      all.push_back({.address = "h" + std::to_string(i) + ":1", .zone = i < 4 ? "a" : "b"});
    }
    return all;
  }
  static std::vector<Health> healthy(size_t count) {
    return std::vector<Health>(count, Health{.reachable = true});
  }
  std::map<size_t, int> counts(Router& router, const std::vector<Health>& health,
                               const std::set<std::string>& masked = {}, int picks = 4000) {
    std::map<size_t, int> result;
    for (int i = 0; i < picks; ++i) ++result[router.pick({}, health, masked, random_).instance];
    return result;
  }
  static int in_zone_a(const std::map<size_t, int>& counts) {
    int sum = 0;
    for (const auto& [i, count] : counts) sum += i < 4 ? count : 0;
    return sum;
  }
  Random random_{1};
};

TEST_F(RouterTest, a_full_instance_is_passed_over_but_not_as_an_owner) {
  for (const Balance balance : {Balance::hash, Balance::owner}) {
    Router router(two_zones(), balance, "");
    auto health = healthy(8);
    const size_t own = router.pick({.key = 7}, health, {}, random_).instance;
    health[own].full = true;
    EXPECT_EQ(router.pick({.key = 7}, health, {}, random_).instance == own, balance == Balance::owner);
    health[own].reachable = false;
    EXPECT_NE(router.pick({.key = 7}, health, {}, random_).instance, own);
  }
}

TEST_F(RouterTest, the_own_zone_takes_all_while_it_is_well) {
  Router router(two_zones(), Balance::round_robin, "a");
  auto health = healthy(8);
  EXPECT_EQ(in_zone_a(counts(router, health)), 4000);
  health[0].shielded = true;  // Three of four: 1.4 x 0.75 > 1.
  EXPECT_EQ(in_zone_a(counts(router, health)), 4000);
}

TEST_F(RouterTest, what_the_own_zone_lacks_spills_over_in_proportion) {
  Router router(two_zones(), Balance::round_robin, "a");
  auto health = healthy(8);
  health[0].shielded = health[1].shielded = true;
  EXPECT_NEAR(in_zone_a(counts(router, health)), 2800, 150);  // 1.4 x 0.5
  health[0].shielded = health[1].shielded = false;
  health[0].full = health[1].full = true;
  EXPECT_NEAR(in_zone_a(counts(router, health)), 2800, 150);
  for (int i = 0; i < 4; ++i) health[i].full = true;
  EXPECT_EQ(in_zone_a(counts(router, health)), 0);
  for (int i = 4; i < 8; ++i) health[i].full = true;  // No better anywhere: stays at home.
  EXPECT_EQ(in_zone_a(counts(router, health)), 4000);
  for (int i = 0; i < 4; ++i) health[i] = {};
  EXPECT_TRUE(router.pick({}, health, {}, random_).spilled);
}

TEST_F(RouterTest, a_key_that_spills_over_does_so_every_time) {
  Router router(two_zones(), Balance::hash, "a");
  auto health = healthy(8);
  health[0].reachable = health[1].reachable = false;
  for (uint64_t key = 1; key < 200; ++key) {
    const Choice first = router.pick({.key = key}, health, {}, random_);
    EXPECT_EQ(router.pick({.key = key}, health, {}, random_).instance, first.instance);
  }
}

TEST_F(RouterTest, a_masked_zone_gets_nothing_even_when_the_rest_is_dead) {
  Router router(two_zones(), Balance::round_robin, "a");
  auto health = healthy(8);
  EXPECT_EQ(in_zone_a(counts(router, health, {"a"})), 0);
  for (int i = 4; i < 8; ++i) health[i].reachable = false;
  EXPECT_EQ(router.pick({}, health, {"a"}, random_).instance, k_no_instance);
  EXPECT_EQ(router.pick({}, health, {"a", "b"}, random_).instance, k_no_instance);
}

TEST_F(RouterTest, shielded_instances_get_nothing_until_most_are_failing) {
  Router router(two_zones(), Balance::round_robin, "");
  auto health = healthy(8);
  for (int i = 0; i < 4; ++i) health[i].shielded = true;
  EXPECT_EQ(in_zone_a(counts(router, health)), 0);
  EXPECT_FALSE(router.pick({}, health, {}, random_).panic);
  health[4].shielded = true;  // Five of eight.
  EXPECT_TRUE(router.pick({}, health, {}, random_).panic);
  EXPECT_EQ(in_zone_a(counts(router, health)), 2000);
  health[0].reachable = false;  // Panic does not call those who are not there.
  EXPECT_FALSE(counts(router, health).contains(0));
}

TEST_F(RouterTest, draining_and_tried_instances_are_left_out) {
  auto instances = two_zones();
  instances[0].state = InstanceState::draining;
  Router router(instances, Balance::round_robin, "");
  auto health = healthy(8);
  EXPECT_FALSE(counts(router, health).contains(0));
  for (int i = 1; i < 8; ++i) health[i].tried = true;
  EXPECT_EQ(router.pick({}, health, {}, random_).instance, k_no_instance);
}

TEST_F(RouterTest, number_segments_and_client_versions_are_walls) {
  Router router({{.address = "a:1"},
                 {.address = "b:1", .segments = {{100, 199}, {500, 500}}},
                 {.address = "c:1", .versions = {{7, 9}}},
                 {.address = "d:1", .segments = {{150, 160}}, .versions = {{1, 2}}}},
                Balance::least_latency, "");
  auto health = healthy(4);
  const auto takers = [&](Question question) {
    std::set<size_t> all;
    for (int i = 0; i < 50; ++i) all.insert(router.pick(question, health, {}, random_).instance);
    return all;
  };
  using Set = std::set<size_t>;
  EXPECT_EQ(takers({}), Set{0});
  EXPECT_EQ(takers({.key = 99}), Set{0});
  EXPECT_EQ(takers({.key = 100}), Set{1});
  EXPECT_EQ(takers({.key = 155}), (Set{1, 3}));
  EXPECT_EQ(takers({.key = 500, .client_version = 8}), Set{1});
  EXPECT_EQ(takers({.key = 501, .client_version = 8}), Set{2});
  EXPECT_EQ(takers({.client_version = 10}), Set{0});
  EXPECT_EQ(takers({.client_version = 1}), Set{0});  // d is a sandbox first.
  health[1].reachable = false;
  EXPECT_EQ(takers({.key = 100}), Set{k_no_instance});  // No leak into production.
}

}  // namespace
}  // namespace hongyan::rpc
