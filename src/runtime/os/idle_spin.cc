#include "runtime/os/idle_spin.h"

#include <algorithm>

namespace hongyan::runtime {

void IdleSpin::waited(Duration took, Time now) {
  if (took <= k_ask) ++short_;
  if (++waits_ < k_waits) return;
  const bool good = short_ >= k_short_min;
  begin_window();
  if (!on_) {
    on_ = good && now >= not_before_;
  } else if (good) {
    pause_ = k_pause_min;
  } else {
    leave_it(now);
  }
}

bool IdleSpin::taken_away(Duration took, Time now) {
  taken_ += took;
  if (on_ && taken_ > k_taken_max) leave_it(now);
  return on_;
}

void IdleSpin::leave_it(Time now) {
  on_ = false;
  begin_window();
  not_before_ = after(now, pause_);
  pause_ = std::min(pause_ * 2, k_pause_max);
}

}  // namespace hongyan::runtime
