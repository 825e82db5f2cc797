// One random run of a world: callers that append, append if, read and try again elsewhere, over a network, disks and restarts
// that chance drives. The same seed is the same run. Judged at every action by the world, and at the end as a history.
#pragma once

#include <string>
#include <vector>

#include "store/paxos/testing/world.h"

namespace hongyan::store::paxos {

struct Schedule {
  uint64_t seed = 1;
  uint8_t replicas = 3;
  Mutant mutant = Mutant::none;
  int actions = 400;
};

struct Ran {
  std::string violation = {};
  uint64_t actions = 0;
  uint64_t requests = 0;   // Called,
  uint64_t answered = 0;   // and of these: done, read or refused.
  uint64_t entries = 0;    // The highest known as chosen.
  uint64_t unprepared = 0; // Values that were proposed without a prepare phase, and chosen.
  uint64_t restarts = 0;
  uint64_t lost_disks = 0;
  uint64_t snapshots = 0;
  uint64_t undecided = 0;  // Histories that were too long to judge: 1 of a single schedule.

  // The counts of another one on top; a violation is the caller's to tell.
  void count(const Ran& other);
};

Ran run(const Schedule& schedule, std::vector<std::string>* transcript = nullptr);

}  // namespace hongyan::store::paxos
