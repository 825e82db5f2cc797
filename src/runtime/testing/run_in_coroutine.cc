#include "runtime/testing/run_in_coroutine.h"

#include "base/check.h"

namespace hongyan::runtime {

void run_in_coroutine(Scheduler& scheduler, const std::function<void()>& body) {
  bool finished = false;
  scheduler.spawn("test", [&] {
    body();
    finished = true;
    scheduler.stop();
  });
  scheduler.run();
  CHECK(finished);
  scheduler.run_ready();
}

}  // namespace hongyan::runtime
