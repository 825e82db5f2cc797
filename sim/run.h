// One run of the simulator: a seed, and perhaps a bug on purpose, in; a verdict out. The same seed gives the same
// events, to the byte.
#pragma once

#include <cstdint>
#include <string>

#include "sim/check/ledger.h"
#include "sim/faults/mutants.h"

namespace hongyan::sim {

struct Outcome {
  uint64_t seed = 0;
  bool ok = false;
  std::string invariant;  // Which was violated.
  std::string detail;
  std::string newest_events;
  uint64_t events = 0;
  uint64_t hash = 0;      // Of the whole trace.
  uint64_t messages = 0;
  double virtual_seconds = 0;
  std::string weather;
  Tally tally;
};

struct RunOptions {
  uint64_t seed = 1;
  Mutant mutant = Mutant::none;
  std::function<void(const std::string&)> listener = {};  // Gets every event as it happens.
};

// Leaks what its processes left behind: run many in processes of their own.
Outcome run_seed(const RunOptions& options);

}  // namespace hongyan::sim
