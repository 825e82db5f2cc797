#include "runtime/os/descriptor_poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "runtime/os/loop_counters.h"

namespace hongyan::runtime {

void DescriptorPoller::tell_turn(Time at) {
  if (turn_began_ != Time{}) counters_->turn(at - turn_began_, at);
}

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
