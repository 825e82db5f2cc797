#include "rpc/routing/latency_window.h"

#include <algorithm>
#include <cmath>

namespace hongyan::rpc {

void LatencyWindow::add(runtime::Duration latency) {
  const double us = std::max(1.0, static_cast<double>(latency.count()) / 1000);
  const int bucket = static_cast<int>(std::log2(us) * k_steps);
  ++filling_.buckets[static_cast<size_t>(std::clamp(bucket, 0, k_buckets - 1))];
  if (++filling_.count < k_window) return;
  full_ = filling_;
  filling_ = {};
}

runtime::Duration LatencyWindow::quantile(double q) const {
  if (!known()) return {};
  const uint32_t total = full_.count + filling_.count;
  const auto wanted = static_cast<uint32_t>(std::ceil(q * total));
  uint32_t seen = 0;
  size_t bucket = 0;
  for (; bucket + 1 < k_buckets; ++bucket) {
    seen += uint32_t{full_.buckets[bucket]} + filling_.buckets[bucket];
    if (seen >= wanted) break;
  }
  const double us = std::exp2((static_cast<double>(bucket) + 1) / k_steps);
  return runtime::Duration(static_cast<int64_t>(us * 1000));
}

}  // namespace hongyan::rpc
