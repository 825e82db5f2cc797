#include "runtime/os/loop_counters.h"

#include <fmt/format.h>

namespace hongyan::runtime {
namespace {

constexpr Duration k_refresh_every = 1s;

}  // namespace

LoopCounters::LoopCounters(Counters& counters, const Scheduler& scheduler)
    : scheduler_(scheduler),
      turns_(counters.histogram("hongyan_runtime_turn", "us", "How long a turn of the loop lasted: what became ready meanwhile waited for it")),
      ready_(counters.counter("hongyan_runtime_ready", "Coroutines in the run queue", CounterKind::gauge)),
      timers_(counters.counter("hongyan_runtime_timers", "Timers that are set", CounterKind::gauge)),
      coroutines_(counters.counter("hongyan_runtime_coroutines", "Coroutines that have not ended", CounterKind::gauge)),
      spawned_(counters.counter("hongyan_runtime_coroutines_made", "Coroutines ever made")),
      parked_(counters.counter("hongyan_runtime_parked", "Coroutines whose stacks are put away", CounterKind::gauge)),
      parked_bytes_(counters.counter("hongyan_runtime_parked_bytes", "Bytes that are kept of such stacks", CounterKind::gauge)) {
  for (int i = 0; i < k_stack_sizes; ++i) {
    const std::string size = fmt::format("size=\"{}k\"", bytes_of(static_cast<StackSize>(i)) / 1024);
    const auto gauge = [&](std::string_view name, std::string_view help) {
      return &counters.counter(name, help, CounterKind::gauge, size);
    };
    stacks_[i] = {.in_use = gauge("hongyan_runtime_stacks_in_use", "Stacks of coroutines in use, by size"),
                  .in_use_max = gauge("hongyan_runtime_stacks_in_use_max", "The most that ever were in use, by size"),
                  .made = gauge("hongyan_runtime_stacks_made", "Stacks that exist, in use or not, by size"),
                  .depth_max = gauge("hongyan_runtime_stack_depth_max_bytes",
                                     "Bytes that the deepest stack touched, by size; one in 4,096 is looked at")};
  }
}

void LoopCounters::refresh(Time now) {
  due_ = after(now, k_refresh_every);
  const SchedulerStats stats = scheduler_.stats();
  const auto set = [](Counter& counter, uint64_t value) { counter.set(static_cast<int64_t>(value)); };
  set(ready_, stats.ready);
  set(timers_, stats.waiting_timers);
  set(coroutines_, stats.live);
  set(spawned_, stats.spawned);
  set(parked_, stats.parked_now);
  set(parked_bytes_, stats.parked_bytes);
  for (int i = 0; i < k_stack_sizes; ++i) {
    set(*stacks_[i].in_use, stats.stacks[i].in_use);
    set(*stacks_[i].in_use_max, stats.stacks[i].in_use_max);
    set(*stacks_[i].made, stats.stacks[i].made);
    set(*stacks_[i].depth_max, stats.stacks[i].depth_max);
  }
}

}  // namespace hongyan::runtime
