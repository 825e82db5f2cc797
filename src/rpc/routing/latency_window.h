// Quantiles of a method's recent latencies: the last 512 to 1,023 samples, in steps of 9 %. A
// window of samples and not of time: a method that is called once a minute is known too. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/time.h"

namespace hongyan::rpc {

class LatencyWindow {
 public:
  // Fewer say nothing about a tail.
  static constexpr uint32_t k_samples_min = 50;

  void add(runtime::Duration latency);
  bool known() const { return full_.count + filling_.count >= k_samples_min; }
  // An upper bound; zero while not known().
  runtime::Duration quantile(double q) const;

 private:
  static constexpr uint32_t k_window = 512;
  static constexpr int k_steps = 8;               // For each doubling.
  static constexpr int k_buckets = 26 * k_steps;  // 1 us .. 67 s
  struct Counts {
    std::array<uint16_t, k_buckets> buckets{};
    uint32_t count = 0;
  };
  Counts full_;
  Counts filling_;
};

}  // namespace hongyan::rpc
