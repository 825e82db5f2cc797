// paxos_explore: the campaigns that take longer than a test may.
//   paxos_explore schedules FIRST COUNT   random schedules from these seeds, three replicas and five in turn
//   paxos_explore ways [MORE]             every way of each small world, MORE actions than in a test (default: its own depth)
//   paxos_explore seed SEED REPLICAS      the transcript of one schedule
#include <cstdio>
#include <cstdlib>
#include <string>

#include "store/paxos/testing/scenarios.h"
#include "store/paxos/testing/schedule.h"

namespace hongyan::store::paxos {
namespace {

int schedules(uint64_t first, uint64_t count) {
  Ran total;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const uint8_t replicas = seed % 2 == 0 ? 5 : 3;
    const Ran ran = run({.seed = seed, .replicas = replicas});
    total.count(ran);
    if (ran.violation.empty()) continue;
    std::printf("seed %lu, %d replicas: %s\n", seed, replicas, ran.violation.c_str());
    return 1;
  }
  std::printf("%lu schedules, %lu actions, %lu of %lu requests answered, %lu entries (%lu unprepared), %lu restarts, %lu lost disks, "
              "%lu snapshots, %lu histories undecided: no promise broken\n",
              count, total.actions, total.answered, total.requests, total.entries, total.unprepared, total.restarts,
              total.lost_disks, total.snapshots, total.undecided);
  return 0;
}

int ways(int more) {
  for (const Scenario& scenario : scenarios()) {
    Exploration exploration = scenario.exploration;
    exploration.actions_max = more < 0 ? scenario.deep : exploration.actions_max + more;
    const Explored explored = explore(exploration);
    std::printf("%s: %lu states, %lu actions, all ways of up to %d%s\n", std::string(scenario.name).c_str(), explored.states,
                explored.actions, exploration.actions_max, explored.closed ? " (there are no others)" : "");
    std::fflush(stdout);
    if (explored.violation.empty()) continue;
    for (const auto& line : explored.path) std::printf("%s\n", line.c_str());
    std::printf("%s\n", explored.violation.c_str());
    return 1;
  }
  return 0;
}

int seed(uint64_t seed, uint8_t replicas) {
  std::vector<std::string> transcript;
  const Ran ran = run({.seed = seed, .replicas = replicas}, &transcript);
  for (const auto& line : transcript) std::printf("%s\n", line.c_str());
  std::printf("%s\n", ran.violation.empty() ? "no promise broken" : ran.violation.c_str());
  return ran.violation.empty() ? 0 : 1;
}

}  // namespace
}  // namespace hongyan::store::paxos

int main(int argc, char** argv) {
  using namespace hongyan::store::paxos;
  const std::string verb = argc > 1 ? argv[1] : "";
  const auto number = [&](int at) { return std::strtoull(argv[at], nullptr, 10); };
  if (verb == "schedules" && argc == 4) return schedules(number(2), number(3));
  if (verb == "ways" && argc <= 3) return ways(argc == 3 ? static_cast<int>(number(2)) : -1);
  if (verb == "seed" && argc == 4) return seed(number(2), static_cast<uint8_t>(number(3)));
  std::fprintf(stderr, "usage: paxos_explore schedules FIRST COUNT | ways [MORE] | seed SEED REPLICAS\n");
  return 2;
}
