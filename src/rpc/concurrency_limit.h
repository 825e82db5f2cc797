// How many calls of one method run at a time: unlimited, a fixed number, or found out. Pure: time is an argument.
//
// Automatic, as brpc does it: max_concurrency = max_qps * ((2 + alpha) * min_latency - latency). Windows of up to a
// second give qps and mean latency; the best qps decays slowly, the smallest latency is measured anew now and then with
// the limit lowered, since under load it can't be seen. Failures count as slow: a method that fails fast must not look
// fast.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/time.h"

namespace hongyan::rpc {

class ConcurrencyLimit {
 public:
  struct Options {
    bool automatic = false;
    uint32_t fixed = 0;  // 0: none. When automatic: where it starts.
  };
  ConcurrencyLimit() = default;
  explicit ConcurrencyLimit(Options options) : options_(options), limit_(start()) {}

  bool enter() {
    if (limit_ != 0 && running_ >= limit_) return false;
    ++running_;
    return true;
  }
  void leave(runtime::Time now, runtime::Duration took, bool good) {
    --running_;
    if (options_.automatic) sample(now, took, good);
  }
  // It did not run after all: says nothing about the method.
  void abandon() { --running_; }
  uint32_t running() const { return running_; }
  uint32_t limit() const { return limit_; }  // 0: none.

 private:
  uint32_t start() const { return options_.automatic && options_.fixed == 0 ? k_start : options_.fixed; }
  void sample(runtime::Time now, runtime::Duration took, bool good);
  void end_window(runtime::Time now);

  static constexpr uint32_t k_start = 40;
  Options options_;
  uint32_t limit_ = 0;
  uint32_t running_ = 0;

  std::optional<runtime::Time> window_start_;
  std::optional<runtime::Time> probe_at_;  // When the smallest latency is forgotten and measured again.
  bool probing_ = false;
  uint32_t good_ = 0, bad_ = 0;
  double good_us_ = 0, bad_us_ = 0;
  double min_latency_us_ = 0;  // 0: unknown.
  double max_qps_ = 0;
};

}  // namespace hongyan::rpc
