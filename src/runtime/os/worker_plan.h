// What a master of worker processes decides, without processes: it is told what happened and says what to do. One slot
// for each worker that is wanted.
//
// A worker is replaced on a schedule, when it has grown past a memory limit, when somebody asks (roll), and when it
// ended by itself. The first three are planned: one slot at a time, while every slot serves; the replacement serves
// before the old one is told to drain. A worker that has not drained in time is killed, and so is one that does not
// serve in time. After a crash the slot starts again at once; crashes that follow each other before a worker has
// settled wait longer and longer. Schedules of the slots are spread over their period and keep their phase.
//
// Pure: time comes in, actions go out. `id` is a worker's for its whole life and never used again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/time.h"

namespace hongyan::runtime {

struct WorkerRules {
  size_t workers = 2;
  Duration restart_every{};        // Zero: never.
  uint64_t memory_max_bytes = 0;   // Resident; zero: no limit.
  Duration drain_limit = std::chrono::seconds(25);  // A service takes 10 s for its calls and 10 s for what it owns.
  Duration start_limit = std::chrono::seconds(30);
  Duration crash_pause_min = std::chrono::milliseconds(100);
  Duration crash_pause_max = std::chrono::seconds(10);
  // Having served so long a worker is no part of a crash loop, and may be replaced for its memory: one that is over
  // the limit from its start must not be started for ever.
  Duration settled = std::chrono::seconds(10);
};

enum class WorkerCause { first, crash, memory, schedule, asked };
constexpr size_t k_worker_causes = 5;
std::string_view to_text(WorkerCause cause);

enum class WorkerDo { start, drain, kill };
struct WorkerAction {
  WorkerDo what;
  uint64_t id;
  size_t slot;
  WorkerCause cause;  // Of its start.
};

class WorkerPlan {
 public:
  WorkerPlan(const WorkerRules& rules, Time now);

  // --- what happened; ids that are not known are ignored ---
  void serves(uint64_t id, Time now);
  void ended(uint64_t id, Time now);
  void memory(uint64_t id, uint64_t bytes, Time now);
  void roll();  // Replace all, one after the other.
  void stop();

  // What to do now, in this order.
  std::vector<WorkerAction> step(Time now);
  // When to ask again, if nothing happens.
  Time next() const;

  bool stopped() const { return stopping_ && workers_.empty(); }
  // The first one ended before any served: wrong settings, which no restart mends.
  bool hopeless() const { return hopeless_; }
  bool all_serve() const;
  size_t alive() const { return workers_.size(); }
  size_t serving() const;
  size_t crashes() const { return crashes_; }
  // Replacements that came to serve.
  size_t restarts(WorkerCause cause) const { return restarts_[static_cast<size_t>(cause)]; }

 private:
  enum class State { starting, serving, draining };
  struct Worker {
    uint64_t id;
    size_t slot;
    State state;
    WorkerCause cause;
    Time since;             // In this state.
    bool told = false;      // To drain.
    bool killed = false;
  };
  struct Slot {
    WorkerCause cause = WorkerCause::first;  // Of the next start that is not planned.
    unsigned failures = 0;
    Time not_before{};
    Time restart_at = k_never;
    bool over_memory = false;
    bool asked = false;
  };
  Worker* find(uint64_t id);
  const Worker* in_slot(size_t slot, State state) const;
  void drain(Worker& worker, Time now);
  void start(size_t slot, WorkerCause cause, Time now, std::vector<WorkerAction>& out);
  void plan_one(Time now, std::vector<WorkerAction>& out);
  bool calm() const;

  const WorkerRules rules_;
  std::vector<Worker> workers_;
  std::vector<Slot> slots_;
  uint64_t last_id_ = 0;
  bool stopping_ = false;
  bool served_ever_ = false;
  bool hopeless_ = false;
  size_t crashes_ = 0;
  std::array<size_t, k_worker_causes> restarts_{};
};

}  // namespace hongyan::runtime
