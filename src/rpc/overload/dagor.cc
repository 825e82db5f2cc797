#include "rpc/overload/dagor.h"

#include <algorithm>

namespace hongyan::rpc {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t k_samples_min = 5;       // One late call is no overload; a window goes on until it has these,
constexpr Duration k_window_max = 5s;       // but no longer.
constexpr double k_queued_min = 4;          // Calls that wait at a time, on average: fewer are no queue.
constexpr Duration k_idle = 5s;
constexpr Duration k_calm = 10s;            // Good windows beyond this show that the load has gone.
constexpr int k_doublings_max = 7;          // 1 % is all of it by then.
constexpr double k_memory_seconds = 30;     // How long a closed level's load is believed in.
constexpr double k_cut_max = 0.75;          // At once: a slope is measured with noise.
constexpr int k_piled_up = 5;               // Times the wait that is too long on average.
constexpr int k_early = 10;                 // A window may end after such a part of it.
constexpr double k_fit_min = 20;
constexpr double k_early_min = 100;         // Calls, before a histogram is believed.

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Dagor::Dagor(DagorOptions options) : options_(options) {}

uint32_t Dagor::arrive(runtime::Priority priority, Duration queue_wait, Time now) {
  if (running_ && now - last_call_ >= k_idle) open_all();
  if (!running_) start_window(now);
  if (window_over(queue_wait, now)) close_window(now);
  last_call_ = now;
  ++arrived_;
  const uint32_t level = level_of(priority);
  auto& block = blocks_[level / k_user_levels];
  if (block == nullptr) block = std::make_unique<Block>();
  ++block->count[level % k_user_levels];
  return level;
}

bool Dagor::admit(runtime::Priority priority, Duration queue_wait, Time now) {
  const uint32_t level = arrive(priority, queue_wait, now);
  if (level > level_ || (level > piled_up_level_ && queue_wait > k_piled_up * options_.queue_wait_max)) return false;
  if (level == level_ && share_ < 1) {
    due_ += share_;
    if (due_ < 1) return false;
    due_ -= 1;
  }
  ++taken_;
  return true;
}

void Dagor::late(runtime::Priority priority, Duration queue_wait, Time now) {
  (void)arrive(priority, queue_wait, now);
  waited(queue_wait, now);
}

void Dagor::waited(Duration queue_wait, Time now) {
  if (!running_) return;
  ++samples_;
  wait_sum_ += queue_wait;
  const double t = seconds(now - start_);
  const double w = seconds(queue_wait);
  fit_.n += 1;
  fit_.t += t;
  fit_.w += w;
  fit_.tt += t * t;
  fit_.tw += t * w;
}

bool Dagor::window_over(Duration queue_wait, Time now) const {
  const Duration age = now - start_;
  if (arrived_ >= options_.window_calls || age >= k_window_max) return true;
  if (age >= options_.window) return samples_ >= k_samples_min;
  return age >= options_.window / k_early && queue_wait > k_piled_up * options_.queue_wait_max && fit_.n >= k_early_min &&
         slope() > options_.shed;
}

void Dagor::start_window(Time now) {
  if (!running_) last_bad_ = now;
  running_ = true;
  start_ = now;
  arrived_ = taken_ = samples_ = 0;
  wait_sum_ = {};
  fit_ = {};
  for (auto& block : blocks_) {
    if (block != nullptr) block->count.fill(0);
  }
}

// What was true before the pause says nothing about now.
void Dagor::open_all() {
  level_ = piled_up_level_ = k_level_open;
  share_ = 1;
  due_ = 0;
  running_ = false;
  for (auto& block : blocks_) block.reset();
}

void Dagor::close_window(Time now) {
  const double length = std::max(seconds(now - start_), 1e-6);
  const Duration average = samples_ == 0 ? Duration() : wait_sum_ / static_cast<int64_t>(samples_);
  const bool overloaded = samples_ >= k_samples_min && average > options_.queue_wait_max &&
                          seconds(wait_sum_) / length >= k_queued_min;
  learn_rates(length);
  if (overloaded) {
    last_bad_ = now;
    const double growth = slope();
    const bool heals = growth <= -options_.shed;
    // While calls that have piled up are refused, less is taken than what the levels let in: it is what was too much.
    const double taken = std::min(taken_rate(), static_cast<double>(taken_) / length);
    if (!heals) move_cursor(taken * (1 - std::clamp(growth / (1 + growth), options_.shed, k_cut_max)));
    piled_up_level_ = cursor_at(taken_rate() / 2).level;
  } else if (!open()) {
    const auto calm = std::chrono::duration_cast<std::chrono::seconds>(now - last_bad_ - k_calm).count();
    const int doublings = static_cast<int>(std::clamp<int64_t>(calm, 0, k_doublings_max));
    move_cursor(taken_rate() + demand() * options_.regain * (1 << doublings));
  }
  last_ = {.number = last_.number + 1, .arrived = arrived_, .taken = taken_, .queue_wait = average,
           .overloaded = overloaded, .level = level_, .share = share_};
  start_window(now);
}

// Of an open level what came is what there is. Of a closed one it may be no more than its callers' probes.
void Dagor::learn_rates(double length) {
  const double kept = 1 - std::min(1.0, length / k_memory_seconds);
  for (uint32_t b = 0; b < k_business_levels; ++b) {
    if (blocks_[b] == nullptr) continue;
    Block& block = *blocks_[b];
    for (uint32_t u = 0; u < k_user_levels; ++u) {
      const double seen = block.count[u] / length;
      const bool taken = b * k_user_levels + u <= level_;
      block.per_second[u] = taken ? seen : std::max(seen, block.per_second[u] * kept);
    }
  }
}

double Dagor::demand() const {
  double sum = 0;
  for (const auto& block : blocks_) {
    if (block == nullptr) continue;
    for (double rate : block->per_second) sum += rate;
  }
  return sum;
}

double Dagor::taken_rate() const {
  double sum = 0;
  for (uint32_t b = 0; b <= level_ / k_user_levels; ++b) {
    if (blocks_[b] == nullptr) continue;
    for (uint32_t u = 0; u < k_user_levels; ++u) {
      const uint32_t level = b * k_user_levels + u;
      if (level <= level_) sum += blocks_[b]->per_second[u] * (level == level_ ? share_ : 1);
    }
  }
  return sum;
}

double Dagor::slope() const {
  const double spread = fit_.n * fit_.tt - fit_.t * fit_.t;
  if (fit_.n < k_fit_min || spread <= 0) return 0;
  return (fit_.n * fit_.tw - fit_.t * fit_.w) / spread;
}

// To where the sum of the levels before, and a share of the level itself, makes up `rate`.
Dagor::Cursor Dagor::cursor_at(double rate) const {
  double before = 0;
  for (uint32_t b = 0; b < k_business_levels; ++b) {
    if (blocks_[b] == nullptr) continue;
    for (uint32_t u = 0; u < k_user_levels; ++u) {
      const double here = blocks_[b]->per_second[u];
      if (here > 0 && before + here > rate) {
        return {.level = b * k_user_levels + u, .share = std::clamp((rate - before) / here, 0.0, 1.0)};
      }
      before += here;
    }
  }
  return {};
}

void Dagor::move_cursor(double rate) {
  const Cursor cursor = cursor_at(rate);
  level_ = cursor.level;
  share_ = cursor.share;
}

}  // namespace hongyan::rpc
