// A function that waits, called from a thread that does not run coroutines: for main() and for
// tests.
#pragma once

#include <functional>
#include <string_view>

#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

// Runs `body` as a coroutine and the scheduler until it has ended; other coroutines run meanwhile
// and stay where they are afterwards. A stop() from elsewhere does not cut it short: it ends the
// next Scheduler::run() instead. So a main() is run_to_end(start), run() until a signal,
// run_to_end(close).
void run_to_end(Scheduler& scheduler, std::string_view name, const std::function<void()>& body);

}  // namespace hongyan::runtime
