// Goal: long runs keep the promises too, and each seeded bug is caught. Method: random schedules from fixed seeds; what is
// caught says which promise was broken.
#include "store/paxos/testing/schedule.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace hongyan::store::paxos {
namespace {

Ran total_of(uint8_t replicas, uint64_t first, uint64_t count) {
  Ran total;
  for (uint64_t seed = first; seed < first + count && total.violation.empty(); ++seed) {
    const Ran ran = run({.seed = seed, .replicas = replicas});
    total.count(ran);
    if (!ran.violation.empty()) total.violation = "seed " + std::to_string(seed) + ": " + ran.violation;
  }
  std::printf("%d replicas, %lu schedules: %lu actions, %lu of %lu requests answered, %lu entries (%lu unprepared), %lu restarts, %lu lost disks, %lu snapshots\n",
              replicas, count, total.actions, total.answered, total.requests, total.entries, total.unprepared, total.restarts, total.lost_disks, total.snapshots);
  return total;
}

TEST(Schedules, keep_the_promises_with_three_replicas_and_with_five) {
  for (const uint8_t replicas : {uint8_t{3}, uint8_t{5}}) {
    const Ran total = total_of(replicas, 1, 1500);
    EXPECT_EQ(total.violation, "");
    // A run in which nothing happens shows nothing.
    EXPECT_GT(total.answered, total.requests / 4);
    EXPECT_GT(total.unprepared, 100u);
    EXPECT_GT(total.restarts, 1000u);
    EXPECT_GT(total.lost_disks, 100u);
    EXPECT_GT(total.snapshots, 100u);
  }
}

TEST(Schedules, each_seeded_bug_is_caught) {
  for (const auto& [mutant, name] : k_mutants) {
    uint64_t seed = 0;
    Ran ran;
    const uint64_t seeds_max = 20'000;
    while (ran.violation.empty() && seed < seeds_max) {
      ++seed;
      ran = run({.seed = seed, .replicas = static_cast<uint8_t>(seed % 2 == 0 ? 5 : 3), .mutant = mutant});
    }
    std::printf("%-24s caught by seed %lu: %s\n", std::string(name).c_str(), seed, ran.violation.c_str());
    EXPECT_NE(ran.violation, "") << name;
  }
}

}  // namespace
}  // namespace hongyan::store::paxos
