#include "api/gate/turns.h"

namespace hongyan::api {

using runtime::Duration;
using runtime::Time;

namespace {

constexpr Duration k_lag_believed = std::chrono::milliseconds(100);  // A turn that is over says little about the next.

}  // namespace

void Turnstile::pass() {
  scheduler_.at_turn_start(*this);  // Turns go on as long as somebody waits or has passed.
  if (passed_ || called_ || !list_.empty()) {
    list_.wait_uncancellable("turnstile");  // For as many turns as there are others before it.
    called_ = false;
  }
  passed_ = true;
}

void Turnstile::on_turn_start() {
  passed_ = false;
  if (!called_) called_ = list_.wake_one();
  if (called_) scheduler_.at_turn_start(*this);
}

Result<size_t> Arrivals::read(runtime::Stream& stream, Call& call, std::span<char> into) {
  arrived_ = scheduler_.read_clock();
  reading_ = true;
  Result<size_t> count = stream.read(call, into);
  reading_ = false;
  return count;
}

void Arrivals::on_ready(bool readable, bool) {
  if (readable && reading_) arrived_ = scheduler_.read_clock();
}

void LoopLag::measure() {
  if (measuring_) return;
  measuring_ = true;
  start_ = scheduler_.read_clock();
  scheduler_.at_turn_start(*this);
}

void LoopLag::on_turn_start() {
  measuring_ = false;
  measured_at_ = scheduler_.read_clock();
  lag_ = measured_at_ - start_;
}

Duration LoopLag::last(Time now) const { return now - measured_at_ < k_lag_believed ? lag_ : Duration(); }

}  // namespace hongyan::api
