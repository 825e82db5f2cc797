// A function that blocks its thread, called from a coroutine: it runs in the Env's pool, and the
// caller's loop goes on.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/env/env.h"

namespace hongyan::runtime {

// Uncancellable, as Lane::run.
template <typename Function>
auto run_blocking(Env& env, Function&& function) {
  using Result = std::invoke_result_t<Function&>;
  if constexpr (std::is_void_v<Result>) {
    env.pool().run([&] { function(); });
  } else {
    std::optional<Result> result;
    env.pool().run([&] { result.emplace(function()); });
    return Result(std::move(*result));
  }
}

}  // namespace hongyan::runtime
