// Time as the runtime counts it: nanoseconds of a monotonic clock that only Env can read. UTC is
// `int64_t utc_ms`.
#pragma once

#include <chrono>

namespace hongyan::runtime {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct MonotonicClock {  // Has no now(): ask Env.
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using Time = MonotonicClock::time_point;

inline constexpr Time k_never = Time::max();

inline int64_t milliseconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}
inline Time after(Time start, Duration d) { return d >= k_never - start ? k_never : start + d; }

}  // namespace hongyan::runtime
