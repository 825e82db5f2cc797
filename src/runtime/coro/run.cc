#include "runtime/coro/run.h"

namespace hongyan::runtime {

void run_to_end(Scheduler& scheduler, std::string_view name, const std::function<void()>& body) {
  bool ended = false;
  bool stopped_from_elsewhere = false;
  scheduler.spawn(name, [&] {
    body();
    ended = true;
    scheduler.stop();
  });
  while (!ended) {
    scheduler.run();
    if (!ended) stopped_from_elsewhere = true;
  }
  if (stopped_from_elsewhere) scheduler.stop();
}

}  // namespace hongyan::runtime
