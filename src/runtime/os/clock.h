// The kernel's clocks.
#pragma once

#include <time.h>

#include <cstdint>

#include "runtime/time.h"

namespace hongyan::runtime {

inline Time monotonic_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Time(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

inline int64_t utc_milliseconds() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace hongyan::runtime
