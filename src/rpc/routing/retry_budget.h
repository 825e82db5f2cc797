// How many calls a channel may make beyond those it was asked for: a tenth of them, plus a small
// start so that a quiet channel may retry at all. Counted in calls, not in time: an outage in which
// every call fails adds 10 % of load, whatever the rate. Retries and backup requests share it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hongyan::rpc {

class RetryBudget {
 public:
  // `burst`: full at the start and never fuller.
  explicit RetryBudget(double ratio = 0.1, double burst = 10)
      : ratio_(ratio), burst_(burst), tokens_(burst) {}

  void called() { tokens_ = std::min(burst_, tokens_ + ratio_); }
  bool take() {
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Of one that was taken and not used.
  void give_back() { tokens_ = std::min(burst_, tokens_ + 1); }
  double tokens() const { return tokens_; }

 private:
  double ratio_;
  double burst_;
  double tokens_;
};

}  // namespace hongyan::rpc
