// Counters of one process: named numbers with a unit and a help text, registered once by the room
// that owns them (a small struct `x_counters.h` per service holds the handles), drawn as
// OpenMetrics text. Handles are valid as long as the Counters. Owning thread only, but for
// Counter::add, which any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace hongyan::runtime {

class Counter {
 public:
  void add(int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(int64_t n) { value_.store(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Powers of two with four steps each, from 1 to 2^40 of its unit; <= 19 % relative error.
class Histogram {
 public:
  static constexpr int k_buckets = 164;
  void record(int64_t value);
  uint64_t count() const { return count_; }
  int64_t max() const { return max_; }
  int64_t quantile(double q) const;

 private:
  friend class Counters;
  uint64_t buckets_[k_buckets] = {};
  uint64_t count_ = 0;
  int64_t sum_ = 0;
  int64_t max_ = 0;
};

enum class CounterKind { counter, gauge };

class Counters {
 public:
  // `name` as OpenMetrics wants it: hongyan_inbox_appends. Registering a name twice returns the
  // same handle.
  Counter& counter(std::string_view name, std::string_view help,
                   CounterKind kind = CounterKind::counter);
  Histogram& histogram(std::string_view name, std::string_view unit, std::string_view help);
  std::string open_metrics() const;

 private:
  struct NamedCounter {
    std::string name, help;
    CounterKind kind;
    Counter counter;
  };
  struct NamedHistogram {
    std::string name, unit, help;
    Histogram histogram;
  };
  std::deque<NamedCounter> counters_;
  std::deque<NamedHistogram> histograms_;
};

}  // namespace hongyan::runtime
