// Goal: whatever the network loses, doubles, reorders or delays, and whoever stops, the promises of replica.h hold. Method:
// every way that small worlds can go, up to a stated number of actions; then the same with seeded bugs, each of which must be found.
#include <gtest/gtest.h>

#include <cstdlib>

#include "store/paxos/testing/explore.h"

namespace hongyan::store::paxos {
namespace {

constexpr ReplicaId A = 0, B = 1, C = 2;
using Kind = CallerRequest::Kind;

void expect_good(const char* name, const Exploration& exploration) {
  const Explored explored = explore(exploration);
  std::printf("%s: %lu states, %lu actions, depth %d%s\n", name, explored.states, explored.actions, exploration.actions_max,
              explored.closed ? ", closed" : explored.complete ? "" : ", not complete");
  EXPECT_EQ(explored.violation, "");
  if (!explored.violation.empty()) {
    for (const auto& line : explored.path) std::printf("    %s\n", line.c_str());
  }
}

int depth(int usual) {
  const char* more = std::getenv("DEPTH");
  return more != nullptr ? std::atoi(more) : usual;
}

TEST(Explore, two_proposers) {
  Exploration e{.options = {.replicas = 3, .forgets_useless = true}};
  e.callers = {{.at = A, .what = {.request = 1}}, {.at = B, .what = {.request = 2}}};
  e.retries_max = {1, 1, 0};
  e.actions_max = depth(14);
  expect_good("two proposers", e);
}

}  // namespace
}  // namespace hongyan::store::paxos
