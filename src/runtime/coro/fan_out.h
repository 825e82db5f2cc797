// Several functions at once, each in a coroutine of its own, and their results. All of them have
// ended when these return: they may use the caller's variables. A caller that is cancelled cancels
// them and still waits.
//
//   auto [profile, friends] = when_all([&] { return read_profile(call); },
//                                      [&] { return read_friends(call); });
#pragma once

#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "runtime/coro/sync.h"

namespace hongyan::runtime {

// Waits for the end of all children; cancels them if the caller is cancelled.
void join_or_cancel(Nursery& nursery);

namespace fan_out {

template <typename Function>
using ResultOf = std::invoke_result_t<std::decay_t<Function>&>;

template <typename Result>
bool succeeded(const Result& result) {
  if constexpr (requires { result.ok(); }) {
    return result.ok();
  } else {
    return true;
  }
}

}  // namespace fan_out

// Results in the order of the functions, which return a value (a Status, a Result, ...).
template <typename... Functions>
std::tuple<fan_out::ResultOf<Functions>...> when_all(Functions&&... functions) {
  std::tuple<std::optional<fan_out::ResultOf<Functions>>...> results;
  Nursery nursery(Scheduler::current());
  const auto start = [&](auto& function, auto& result) {
    nursery.spawn("when_all", [&function, &result] { result.emplace(function()); });
  };
  std::apply([&](auto&... result) { (start(functions, result), ...); }, results);
  join_or_cancel(nursery);
  return std::apply(
      [](auto&... result) {
        return std::tuple<fan_out::ResultOf<Functions>...>(std::move(*result)...);
      },
      results);
}

template <typename Function>
std::vector<fan_out::ResultOf<Function>> when_all(std::vector<Function> functions) {
  std::vector<std::optional<fan_out::ResultOf<Function>>> results(functions.size());
  Nursery nursery(Scheduler::current());
  for (size_t i = 0; i < functions.size(); ++i) {
    nursery.spawn("when_all", [&function = functions[i], &result = results[i]] {
      result.emplace(function());
    });
  }
  join_or_cancel(nursery);
  std::vector<fan_out::ResultOf<Function>> all;
  all.reserve(results.size());
  for (auto& result : results) all.push_back(std::move(*result));
  return all;
}

template <typename Result>
struct AnyResult {
  size_t index;  // Of the function whose result it is.
  Result result;
};

// The first result that is a success (a Result or Status that is ok; anything else always is); the
// others are cancelled then, and waited for. When none succeeds, the failure that came last.
template <typename Function>
AnyResult<fan_out::ResultOf<Function>> when_any(std::vector<Function> functions) {
  CHECK(!functions.empty());
  std::optional<AnyResult<fan_out::ResultOf<Function>>> first;
  bool decided = false;
  Nursery nursery(Scheduler::current());
  for (size_t i = 0; i < functions.size(); ++i) {
    nursery.spawn("when_any", [&nursery, &first, &decided, &function = functions[i], i] {
      auto result = function();
      if (decided) return;
      decided = fan_out::succeeded(result);
      first.emplace(AnyResult<fan_out::ResultOf<Function>>{i, std::move(result)});
      if (decided) nursery.cancel();
    });
  }
  join_or_cancel(nursery);
  return std::move(*first);
}

template <typename First, typename... Others>
  requires(std::is_invocable_v<std::decay_t<First>&> &&
           (std::is_same_v<fan_out::ResultOf<First>, fan_out::ResultOf<Others>> && ...))
AnyResult<fan_out::ResultOf<First>> when_any(First&& first, Others&&... others) {
  std::vector<std::function<fan_out::ResultOf<First>()>> functions;
  functions.reserve(1 + sizeof...(others));
  functions.emplace_back(std::ref(first));
  (functions.emplace_back(std::ref(others)), ...);
  return when_any(std::move(functions));
}

}  // namespace hongyan::runtime
