#include "runtime/counters/counters.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include <fmt/format.h>

namespace hongyan::runtime {
namespace {

constexpr int k_powers = Histogram::k_buckets / 4;

int power_of(int64_t value) { return 63 - std::countl_zero(static_cast<uint64_t>(value)); }

int bucket_of(int64_t value) {
  if (value < 1) return 0;
  const int power = power_of(value);
  if (power >= k_powers) return Histogram::k_buckets - 1;
  const int step = static_cast<int>((static_cast<uint64_t>(value) << 2 >> power) & 3);
  return 4 * power + step;
}

// The middle of a bucket.
int64_t value_of(int bucket) {
  const int64_t low = int64_t{1} << (bucket / 4);
  return low + (2 * (bucket % 4) + 1) * low / 8;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

void Histogram::record(int64_t value) {
  ++buckets_[bucket_of(value)];
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
}

int64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  const double wanted = q * static_cast<double>(count_);
  uint64_t seen = 0;
  for (int i = 0; i < k_buckets; ++i) {
    seen += buckets_[i];
    if (buckets_[i] > 0 && static_cast<double>(seen) >= wanted) return std::min(value_of(i), max_);
  }
  return max_;
}

Counter& Counters::counter(std::string_view name, std::string_view help, CounterKind kind) {
  for (NamedCounter& known : counters_) {
    if (known.name == name) return known.counter;
  }
  NamedCounter& added = counters_.emplace_back();
  added.name = name;
  added.help = help;
  added.kind = kind;
  return added.counter;
}

Histogram& Counters::histogram(std::string_view name, std::string_view unit,
                               std::string_view help) {
  for (NamedHistogram& known : histograms_) {
    if (known.name == name) return known.histogram;
  }
  NamedHistogram& added = histograms_.emplace_back();
  added.name = name;
  added.unit = unit;
  added.help = help;
  return added.histogram;
}

// One bucket a power of two, the same set always: the finer steps are for quantile().
std::string Counters::open_metrics() const {
  std::string out;
  auto write = std::back_inserter(out);
  for (const NamedCounter& c : counters_) {
    const bool counts = c.kind == CounterKind::counter;
    fmt::format_to(write, "# TYPE {} {}\n# HELP {} {}\n", c.name, counts ? "counter" : "gauge",
                   c.name, escaped(c.help));
    fmt::format_to(write, "{}{} {}\n", c.name, counts ? "_total" : "", c.counter.value());
  }
  for (const NamedHistogram& h : histograms_) {
    const std::string name =
        h.unit.empty() || h.name.ends_with("_" + h.unit) ? h.name : h.name + "_" + h.unit;
    fmt::format_to(write, "# TYPE {} histogram\n", name);
    if (!h.unit.empty()) fmt::format_to(write, "# UNIT {} {}\n", name, h.unit);
    fmt::format_to(write, "# HELP {} {}\n", name, escaped(h.help));
    uint64_t seen = 0;
    for (int power = 0; power < k_powers; ++power) {
      for (int step = 0; step < 4; ++step) seen += h.histogram.buckets_[4 * power + step];
      if (power == k_powers - 1) break;  // The last one has no upper end: it is +Inf.
      fmt::format_to(write, "{}_bucket{{le=\"{}\"}} {}\n", name, (int64_t{2} << power) - 1, seen);
    }
    fmt::format_to(write, "{}_bucket{{le=\"+Inf\"}} {}\n", name, seen);
    fmt::format_to(write, "{}_sum {}\n{}_count {}\n", name, h.histogram.sum_, name,
                   h.histogram.count_);
  }
  out += "# EOF\n";
  return out;
}

}  // namespace hongyan::runtime
