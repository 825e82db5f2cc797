// Other threads' loops. A coroutine stays where it was born; work goes to another thread by being
// born there. The other scheduler outlives what is sent to it, and its loop runs or will run.
#pragma once

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

// Starts a coroutine on the thread of `other`. From any thread; nobody waits for it.
void spawn_on(Scheduler& other, std::string_view name, Closure body);

// Runs `function` in a coroutine on the thread of `other` and returns its result on the caller's own
// thread. The caller waits uncancellably: what runs elsewhere uses its variables.
template <typename Function>
auto call_on(Scheduler& other, std::string_view name, Function&& function) {
  using Result = std::invoke_result_t<Function&>;
  Scheduler& home = Scheduler::current();
  if (&home == &other) return function();
  Coroutine* const caller = home.running();
  const auto wake_caller = [&home, caller] {
    home.post([scheduler = &home, caller] { scheduler->wake(caller); });
  };
  // The wake is the last that the other thread does: the caller's variables may be gone after it.
  if constexpr (std::is_void_v<Result>) {
    spawn_on(other, name, [&function, wake_caller] {
      function();
      wake_caller();
    });
    home.park_uncancellable("another thread", &function);
  } else {
    std::optional<Result> result;
    spawn_on(other, name, [&function, &result, wake_caller] {
      result.emplace(function());
      wake_caller();
    });
    home.park_uncancellable("another thread", &result);
    return Result(std::move(*result));
  }
}

}  // namespace hongyan::runtime
