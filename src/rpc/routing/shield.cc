#include "rpc/routing/shield.h"

#include <algorithm>

namespace hongyan::rpc {

using runtime::Duration;
using runtime::Time;

std::string_view name_of(ShieldState state) {
  switch (state) {
    case ShieldState::closed: return "closed";
    case ShieldState::open: return "open";
    case ShieldState::half_open: return "half-open";
  }
  return "?";
}

ShieldState Shield::state(Time now) const {
  if (!open_) return ShieldState::closed;
  return now < open_until_ ? ShieldState::open : ShieldState::half_open;
}

bool Shield::allows(Time now) const {
  const ShieldState current = state(now);
  return current == ShieldState::closed || (current == ShieldState::half_open && !probing_);
}

bool Shield::started(Time now) {
  const bool probe = state(now) == ShieldState::half_open && !probing_;
  if (probe) probing_ = true;
  return probe;
}

bool Shield::ended(Time now, bool probe, Outcome outcome, Random& random) {
  if (probe) probing_ = false;
  if (outcome == Outcome::neutral) return false;
  const bool failed = outcome == Outcome::bad;
  if (open_) {
    if (!probe) return false;  // Sent before it opened, or in panic: known already.
    if (failed) {
      open(now, random);
      return true;
    }
    if (++probes_good_ >= options_.probes) close(now);
    return false;
  }
  count(now, failed);
  in_a_row_ = failed ? in_a_row_ + 1 : 0;
  if (!failed || (in_a_row_ < options_.failures_in_a_row && !too_many(now))) return false;
  if (now - closed_at_ >= options_.forget_after) openings_ = 0;
  open(now, random);
  return true;
}

void Shield::count(Time now, bool failed) {
  const int64_t second = now.time_since_epoch() / k_bucket;
  Bucket& bucket = buckets_[static_cast<size_t>(second % k_buckets)];
  if (bucket.second != second) bucket = {.second = second};
  ++bucket.calls;
  bucket.failures += failed;
}

bool Shield::too_many(Time now) const {
  const int64_t second = now.time_since_epoch() / k_bucket;
  int calls = 0;
  int failures = 0;
  for (const Bucket& bucket : buckets_) {
    if (bucket.second <= second - k_buckets) continue;
    calls += bucket.calls;
    failures += bucket.failures;
  }
  return calls >= options_.calls_min && failures >= options_.failure_rate * calls;
}

void Shield::open(Time now, Random& random) {
  Duration isolation = options_.isolation_min;
  for (int i = 0; i < openings_ && isolation < options_.isolation_max; ++i) isolation *= 2;
  isolation = std::min(isolation, options_.isolation_max);
  // Between three and five quarters of it.
  const auto quarter = static_cast<uint64_t>(isolation.count() / 4);
  isolation +=
      Duration(static_cast<int64_t>(random.below(2 * quarter + 1)) - static_cast<int64_t>(quarter));
  open_ = true;
  open_until_ = now + isolation;
  ++openings_;
  probes_good_ = 0;
  in_a_row_ = 0;
  buckets_ = {};
}

void Shield::close(Time now) {
  open_ = false;
  closed_at_ = now;
  in_a_row_ = 0;
}

}  // namespace hongyan::rpc
