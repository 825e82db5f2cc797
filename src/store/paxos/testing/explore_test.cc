// Goal: whatever the network loses, doubles, reorders or delays, and whoever stops, the promises of replica.h hold. Method:
// every way that small worlds can go, up to a stated number of actions; then the same with seeded bugs, each of which must be
// found. `paxos_explore` goes deeper.
#include <gtest/gtest.h>

#include "store/paxos/testing/scenarios.h"

namespace hongyan::store::paxos {
namespace {

TEST(Explore, no_way_of_a_small_world_breaks_a_promise) {
  for (const Scenario& scenario : scenarios()) {
    const Explored explored = explore(scenario.exploration);
    std::printf("%s: %lu states, %lu actions, all ways of up to %d\n", std::string(scenario.name).c_str(), explored.states,
                explored.actions, scenario.exploration.actions_max);
    EXPECT_TRUE(explored.complete);
    EXPECT_GT(explored.states, 1000u) << scenario.name;
    EXPECT_EQ(explored.violation, "") << scenario.name;
    for (const auto& line : explored.path) std::printf("    %s\n", line.c_str());
  }
}

TEST(Explore, seeded_bugs_are_found) {
  for (const Scenario& scenario : scenarios()) {
    for (const Mutant mutant : scenario.catches) {
      Exploration exploration = scenario.exploration;
      exploration.options.mutant = mutant;
      const Explored explored = explore(exploration);
      EXPECT_NE(explored.violation, "") << scenario.name << ", mutant " << static_cast<int>(mutant);
      std::printf("%s, mutant %d: %s after %lu states\n", std::string(scenario.name).c_str(), static_cast<int>(mutant),
                  explored.violation.c_str(), explored.states);
    }
  }
}

}  // namespace
}  // namespace hongyan::store::paxos
