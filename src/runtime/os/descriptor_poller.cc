#include "runtime/os/descriptor_poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

namespace hongyan::runtime {

WakeupEvent::WakeupEvent() : descriptor_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(descriptor_ >= 0);
}

WakeupEvent::~WakeupEvent() { close(descriptor_); }

void WakeupEvent::raise() {
  if (pending_.exchange(true)) return;
  const uint64_t once = 1;
  [[maybe_unused]] const ssize_t ignored = write(descriptor_, &once, sizeof(once));
}

void WakeupEvent::take() {
  uint64_t times = 0;
  [[maybe_unused]] const ssize_t ignored = read(descriptor_, &times, sizeof(times));
  // After reading, or a write in between would be drained and the flag stay up. A raise() that
  // finds the flag still up needs no write: this poll is about to return.
  pending_.store(false);
}

}  // namespace hongyan::runtime
