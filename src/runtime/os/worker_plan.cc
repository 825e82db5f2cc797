#include "runtime/os/worker_plan.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hongyan::runtime {

std::string_view to_text(WorkerCause cause) {
  switch (cause) {
    case WorkerCause::first: return "first";
    case WorkerCause::crash: return "crash";
    case WorkerCause::memory: return "memory";
    case WorkerCause::schedule: return "schedule";
    case WorkerCause::asked: return "asked";
  }
  return "";
}

WorkerPlan::WorkerPlan(const WorkerRules& rules, Time now) : rules_(rules), slots_(rules.workers) {
  CHECK(rules.workers > 0);
  if (rules.restart_every == Duration{}) return;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const auto share = rules.restart_every / static_cast<int64_t>(slots_.size()) * static_cast<int64_t>(i);
    slots_[i].restart_at = after(now, rules.restart_every + share);
  }
}

WorkerPlan::Worker* WorkerPlan::find(uint64_t id) {
  const auto found = std::ranges::find(workers_, id, &Worker::id);
  return found == workers_.end() ? nullptr : &*found;
}

const WorkerPlan::Worker* WorkerPlan::in_slot(size_t slot, State state) const {
  const auto found = std::ranges::find_if(
      workers_, [&](const Worker& worker) { return worker.slot == slot && worker.state == state; });
  return found == workers_.end() ? nullptr : &*found;
}

size_t WorkerPlan::serving() const {
  return static_cast<size_t>(std::ranges::count(workers_, State::serving, &Worker::state));
}

bool WorkerPlan::all_serve() const { return serving() == slots_.size(); }

// Nobody comes or goes.
bool WorkerPlan::calm() const { return all_serve() && workers_.size() == slots_.size(); }

void WorkerPlan::drain(Worker& worker, Time now) {
  worker.state = State::draining;
  worker.since = now;
}

void WorkerPlan::serves(uint64_t id, Time now) {
  Worker* const worker = find(id);
  if (worker == nullptr || worker->state != State::starting) return;
  for (Worker& other : workers_) {
    if (other.slot == worker->slot && other.state == State::serving) drain(other, now);
  }
  worker->state = State::serving;
  worker->since = now;
  served_ever_ = true;
  Slot& slot = slots_[worker->slot];
  slot.cause = WorkerCause::crash;
  slot.over_memory = slot.asked = false;
  while (slot.restart_at <= now) slot.restart_at = after(slot.restart_at, rules_.restart_every);
  if (worker->cause != WorkerCause::first) ++restarts_[static_cast<size_t>(worker->cause)];
}

void WorkerPlan::ended(uint64_t id, Time now) {
  const Worker* const worker = find(id);
  if (worker == nullptr) return;
  const Worker was = *worker;
  std::erase_if(workers_, [id](const Worker& one) { return one.id == id; });
  if (was.state == State::draining || stopping_) return;
  if (!served_ever_) hopeless_ = true;
  ++crashes_;
  Slot& slot = slots_[was.slot];
  if (was.state == State::serving && now - was.since >= rules_.settled) slot.failures = 0;
  ++slot.failures;
  Duration pause{};  // The first time none: what crashed once will mostly not do it again.
  if (slot.failures > 1) {
    pause = rules_.crash_pause_min;
    for (unsigned i = 2; i < slot.failures && pause < rules_.crash_pause_max; ++i) pause *= 2;
  }
  slot.not_before = after(now, std::min(pause, rules_.crash_pause_max));
}

void WorkerPlan::memory(uint64_t id, uint64_t bytes, Time now) {
  const Worker* const worker = find(id);
  if (worker == nullptr || worker->state != State::serving || rules_.memory_max_bytes == 0) return;
  if (now - worker->since < rules_.settled) return;
  slots_[worker->slot].over_memory = bytes > rules_.memory_max_bytes;
}

void WorkerPlan::roll() {
  for (Slot& slot : slots_) slot.asked = true;
}

void WorkerPlan::stop() { stopping_ = true; }

void WorkerPlan::start(size_t slot, WorkerCause cause, Time now, std::vector<WorkerAction>& out) {
  workers_.push_back({.id = ++last_id_, .slot = slot, .state = State::starting, .cause = cause, .since = now});
  out.push_back({WorkerDo::start, last_id_, slot, cause});
}

// At most one planned replacement, of the most urgent kind.
void WorkerPlan::plan_one(Time now, std::vector<WorkerAction>& out) {
  if (!calm()) return;
  const auto due = [now](const Slot& slot, WorkerCause cause) {
    return cause == WorkerCause::memory ? slot.over_memory : cause == WorkerCause::schedule ? now >= slot.restart_at : slot.asked;
  };
  for (const WorkerCause cause : {WorkerCause::memory, WorkerCause::schedule, WorkerCause::asked}) {
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (due(slots_[i], cause) && now >= slots_[i].not_before) return start(i, cause, now, out);
    }
  }
}

std::vector<WorkerAction> WorkerPlan::step(Time now) {
  std::vector<WorkerAction> out;
  for (Worker& worker : workers_) {
    if (stopping_ && worker.state != State::draining) drain(worker, now);
    const bool draining = worker.state == State::draining;
    if (draining && !std::exchange(worker.told, true)) {
      out.push_back({WorkerDo::drain, worker.id, worker.slot, worker.cause});
    }
    const Duration limit = draining ? rules_.drain_limit : rules_.start_limit;
    if (worker.state != State::serving && now - worker.since >= limit && !std::exchange(worker.killed, true)) {
      out.push_back({WorkerDo::kill, worker.id, worker.slot, worker.cause});
    }
  }
  if (stopping_ || hopeless_) return out;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (in_slot(i, State::serving) != nullptr || in_slot(i, State::starting) != nullptr) continue;
    if (now >= slots_[i].not_before) start(i, slots_[i].cause, now, out);
  }
  plan_one(now, out);
  return out;
}

Time WorkerPlan::next() const {
  Time next = k_never;
  for (const Worker& worker : workers_) {
    if (worker.state == State::serving || worker.killed) continue;
    next = std::min(next, after(worker.since, worker.state == State::draining ? rules_.drain_limit : rules_.start_limit));
  }
  if (stopping_) return next;
  const bool calm_now = calm();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const bool empty = in_slot(i, State::serving) == nullptr && in_slot(i, State::starting) == nullptr;
    if (empty) next = std::min(next, slot.not_before);
    if (!calm_now) continue;  // What ends that will wake us.
    const bool wanted = slot.asked || slot.over_memory;
    next = std::min(next, std::max(slot.not_before, wanted ? Time{} : slot.restart_at));
  }
  return next;
}

}  // namespace hongyan::runtime
