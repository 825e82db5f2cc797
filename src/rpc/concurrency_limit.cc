#include "rpc/concurrency_limit.h"

#include <algorithm>
#include <cmath>

namespace hongyan::rpc {

namespace {

using namespace std::chrono_literals;

constexpr double k_alpha = 0.3;          // Of the smallest latency: how much queueing is fine.
constexpr double k_smoothing = 0.1;      // Of new figures in the averages.
constexpr uint32_t k_samples_min = 100;  // A window with fewer says nothing...
constexpr uint32_t k_samples_max = 500;  // ... and one with so many need not be longer
constexpr runtime::Duration k_window_min = 50ms;  // than this.
constexpr runtime::Duration k_window_max = 1s;
constexpr runtime::Duration k_probe_every = 30s;
constexpr double k_probe_share = 0.75;   // Of the limit while the smallest latency is measured.
constexpr double k_fail_weight = 1.0;
constexpr uint32_t k_limit_min = 4;
constexpr uint32_t k_limit_max = 100'000;

double us(runtime::Duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

}  // namespace

void ConcurrencyLimit::sample(runtime::Time now, runtime::Duration took, bool good) {
  if (!window_start_) window_start_ = now;
  if (!probe_at_) probe_at_ = runtime::after(now, k_probe_every);
  (good ? good_us_ : bad_us_) += us(took);
  ++(good ? good_ : bad_);
  const runtime::Duration age = now - *window_start_;
  if (age >= k_window_max || (good_ + bad_ >= k_samples_max && age >= k_window_min)) end_window(now);
}

void ConcurrencyLimit::end_window(runtime::Time now) {
  const double seconds = us(now - *window_start_) / 1e6;
  const uint32_t samples = good_ + bad_;
  const double latency = good_ == 0 ? 0 : (good_us_ + k_fail_weight * bad_us_) / good_;
  const double qps = good_ / seconds;
  window_start_ = now;
  const uint32_t good = good_;
  good_ = bad_ = 0;
  good_us_ = bad_us_ = 0;
  if (samples < k_samples_min) return;
  if (good == 0) {  // Everything fails: half as much of it.
    limit_ = std::max(k_limit_min, limit_ / 2);
    return;
  }

  if (probing_) {
    min_latency_us_ = latency;
    probing_ = false;
    probe_at_ = runtime::after(now, k_probe_every);
  } else if (min_latency_us_ <= 0) {
    min_latency_us_ = latency;
  } else if (latency < min_latency_us_) {
    min_latency_us_ = latency * k_smoothing + min_latency_us_ * (1 - k_smoothing);
  }
  max_qps_ = qps >= max_qps_ ? qps : qps * (k_smoothing / 10) + max_qps_ * (1 - k_smoothing / 10);

  double next = max_qps_ / 1e6 * ((2 + k_alpha) * min_latency_us_ - latency);
  if (now >= *probe_at_) {
    probing_ = true;
    next = std::min(next, max_qps_ / 1e6 * min_latency_us_ * (1 + k_alpha)) * k_probe_share;
  }
  limit_ = static_cast<uint32_t>(std::clamp(std::ceil(next), static_cast<double>(k_limit_min), static_cast<double>(k_limit_max)));
}

}  // namespace hongyan::rpc
