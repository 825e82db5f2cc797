// Every way that a small world can go, up to a number of actions: all orders of all deliveries, repeated ones and those that
// never come, of writes that become durable, of restarts, retries and calls. Worlds that are equal are looked at once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "store/paxos/testing/world.h"

namespace hongyan::store::paxos {

struct Exploration {
  World::Options options;
  struct Caller {
    ReplicaId at = 0;
    CallerRequest what;
    uint32_t after = 0;  // Only when these callers (bits) have come.
  };
  std::vector<Caller> callers = {};            // Each comes once, at any time, or never.
  std::vector<int> retries_max = {};           // For each replica.
  std::vector<int> restarts_max = {};          // For each replica, with its disk.
  std::vector<int> lost_disks_max = {};        // For each replica.
  std::function<void(World&)> before = {};     // Brings the world to where the exploration begins.
  int actions_max = 0;
  uint64_t states_max = 0;  // Stops, not complete.
};

struct Explored {
  uint64_t states = 0;
  uint64_t actions = 0;
  bool complete = true;     // All states that can be reached within actions_max were looked at.
  bool closed = true;       // And none of them was cut off: there are no others, however many actions.
  std::string violation = {};
  std::vector<std::string> path = {};  // To the violation: the transcript of its last actions.
};

Explored explore(const Exploration& exploration);

}  // namespace hongyan::store::paxos
