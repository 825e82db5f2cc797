#include "runtime/coro/remote.h"

namespace hongyan::runtime {

void spawn_on(Scheduler& other, std::string_view name, Closure body) {
  other.post([scheduler = &other, name, body = std::move(body)]() mutable {
    scheduler->spawn(name, std::move(body));
  });
}

}  // namespace hongyan::runtime
