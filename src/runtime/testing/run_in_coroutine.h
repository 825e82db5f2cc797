// The body of a gtest as a coroutine, in a TestEnv, the real Env or a bare scheduler.
#pragma once

#include <functional>

#include "runtime/env/env.h"

namespace hongyan::runtime {

// Runs the scheduler until `body` has ended, then what is ready without waiting. Coroutines that
// still wait stay and go on with the next call. CHECKs when everything waits for ever (virtual
// time), hangs then in the real Env. ASSERT_* inside `body` leaves the body only.
void run_in_coroutine(Scheduler& scheduler, const std::function<void()>& body);
inline void run_in_coroutine(Env& env, const std::function<void()>& body) {
  run_in_coroutine(env.scheduler(), body);
}

}  // namespace hongyan::runtime
