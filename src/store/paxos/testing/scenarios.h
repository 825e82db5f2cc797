// The small worlds that are explored in every way, with three replicas and with five.
#pragma once

#include <string_view>
#include <vector>

#include "store/paxos/testing/explore.h"

namespace hongyan::store::paxos {

struct Scenario {
  std::string_view name;
  Exploration exploration;
  int deep;                      // Actions of a campaign; actions_max is what every test run looks at.
  std::vector<Mutant> catches;   // Bugs that can be seen within actions_max.
};

std::vector<Scenario> scenarios();

// Five replicas after the trace that breaks Tencent's Certain: A's value was chosen in entry 1, by A's own ballot with C and
// D, and by B's, who came upon it at D, with D and E. Both have seen their own ballot through.
void two_ballots_one_value(World& world);

}  // namespace hongyan::store::paxos
