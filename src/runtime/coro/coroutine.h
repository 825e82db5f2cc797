// The control block of a coroutine; for runtime/coro only.
#pragma once

#include <functional>
#include <string_view>

#include "base/result.h"
#include "runtime/coro/links.h"
#include "runtime/coro/scheduler.h"
#include "runtime/coro/stack.h"
#include "runtime/coro/switch.h"
#include "runtime/coro/timer_wheel.h"

namespace hongyan::runtime {

class Coroutine : public Fiber, public Timer {
 public:
  enum class State { runnable, running, parked, ended, dead };

  Scheduler* scheduler = nullptr;
  std::string_view name;
  Domain domain = 0;
  std::function<void()> body;

  State state = State::runnable;
  bool cancelled = false;
  bool cancellable = true;  // While parked: whether cancel() ends the wait.
  Code outcome = Code::ok;  // Of the last wait.

  StackSize stack_size = StackSize::normal;
  void* hook_word = nullptr;    // Scheduler::hook_word().
  Stack stack;                  // Empty before the first run.
  Fiber* resumed_by = nullptr;  // Where a wait goes: the loop, or who called spawn_now().

  Link run_link{.owner = this};   // In the run queue.
  Link wait_link{.owner = this};  // In a WaitList.
  Link all_link{.owner = this};   // Among all coroutines of the scheduler, in order of birth.
};

}  // namespace hongyan::runtime
