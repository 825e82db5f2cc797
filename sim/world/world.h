// The simulated world: virtual time, one scheduler over it, one queue of events, chance from one seed. Time stands
// still while anything runs and jumps to the next timer or event when all wait. Events of one instant happen in the
// order they were planned, so a seed is a run.
//
// One thread. Nothing in here asks the kernel for anything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "base/random.h"
#include "runtime/coro/scheduler.h"
#include "sim/world/trace.h"

namespace hongyan::sim {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

// 2026-01-01T00:00:00Z: the time of day when a world begins.
inline constexpr int64_t k_birth_utc_ms = 1'767'225'600'000;
inline constexpr Time k_birth{1'000s};  // Not zero, so that a time before it is a time.

class World : public runtime::Poller {
 public:
  explicit World(uint64_t seed) : seed_(seed) {}

  uint64_t seed() const { return seed_; }
  runtime::Scheduler& scheduler() { return scheduler_; }
  Trace& trace() { return trace_; }
  // A stream of chance of its own for `name`: what one part draws changes nothing for the others.
  Random random_for(std::string_view name, uint64_t number = 0) const;
  runtime::Domain new_domain() { return next_domain_++; }

  // Runs `happening` outside any coroutine after `wait`.
  void plan(Duration wait, std::function<void()> happening);
  // Notes an event of the run.
  void note(const std::string& line) { trace_.add(now_, line); }

  // Runs until stop(), or until nothing can happen any more, or until `limit`. True: it was stopped.
  bool run(Time limit);
  void stop();

  Time now() override { return now_; }
  void poll(Time limit) override;
  void interrupt() override {}

 private:
  const uint64_t seed_;
  Time now_ = k_birth;
  Time limit_ = runtime::k_never;
  bool stopped_ = false;
  std::map<std::pair<Time, uint64_t>, std::function<void()>> events_;  // By time, then by order of planning.
  uint64_t next_event_ = 0;
  runtime::Domain next_domain_ = 1;
  Trace trace_;
  runtime::Scheduler scheduler_{*this};
};

}  // namespace hongyan::sim
