// Whether one instance is spared calls for a while because it fails, decided by one caller from
// what it saw itself.
//
//   closed ── 5 failures in a row, or half of >= 20 calls in 10 s ──> open (no calls)
//   open ── its time is over ──> half-open: one call at a time is let through as a probe
//   half-open ── 3 probes succeed ──> closed;   a probe fails ──> open, for twice as long
//
// Isolation grows from 1 s to 60 s, with jitter so that many callers do not come back at once; it
// shrinks back to the first step after the shield has been closed for 60 s. What is neutral (the
// instance refused for overload, the caller gave up) neither opens nor closes. Pure: time and
// chance are arguments.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "runtime/time.h"

namespace hongyan::rpc {

struct ShieldOptions {
  int failures_in_a_row = 5;
  double failure_rate = 0.5;
  int calls_min = 20;  // In the window of 10 s, before the rate says anything.
  runtime::Duration isolation_min = std::chrono::seconds(1);
  runtime::Duration isolation_max = std::chrono::seconds(60);
  runtime::Duration forget_after = std::chrono::seconds(60);
  int probes = 3;
};

enum class ShieldState { closed, open, half_open };
std::string_view name_of(ShieldState state);

enum class Outcome { good, bad, neutral };

class Shield {
 public:
  explicit Shield(ShieldOptions options = {}) : options_(options) {}

  ShieldState state(runtime::Time now) const;
  // Whether a call may be sent now. No state changes by asking.
  bool allows(runtime::Time now) const;
  // A call is sent; the same `probe` goes to ended(). A call that is sent though the shield does
  // not allow it (panic) is none.
  bool started(runtime::Time now);
  // True: this one opened the shield.
  bool ended(runtime::Time now, bool probe, Outcome outcome, Random& random);

  runtime::Time open_until() const { return open_until_; }
  int openings() const { return openings_; }  // In a row: the isolation doubles with each.

 private:
  static constexpr int k_buckets = 10;
  static constexpr runtime::Duration k_bucket = std::chrono::seconds(1);
  struct Bucket {
    int64_t second = -1;
    int calls = 0;
    int failures = 0;
  };
  void count(runtime::Time now, bool failed);
  bool too_many(runtime::Time now) const;
  void open(runtime::Time now, Random& random);
  void close(runtime::Time now);

  const ShieldOptions options_;
  bool open_ = false;  // Open or half-open.
  runtime::Time open_until_{};
  runtime::Time closed_at_{};
  int openings_ = 0;
  int in_a_row_ = 0;
  int probes_good_ = 0;
  bool probing_ = false;
  std::array<Bucket, k_buckets> buckets_{};
};

}  // namespace hongyan::rpc
