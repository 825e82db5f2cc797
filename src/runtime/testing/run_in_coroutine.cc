#include "runtime/testing/run_in_coroutine.h"

#include "runtime/coro/run.h"

namespace hongyan::runtime {

void run_in_coroutine(Scheduler& scheduler, const std::function<void()>& body) {
  run_to_end(scheduler, "test", body);
  scheduler.run_ready();
}

}  // namespace hongyan::runtime
