// What a measurement says: rows of ours beside peers, as a table for people or as one JSON object. Figures are kept
// as they were measured; rounding is for the eye only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hongyan::bench {

struct Row {
  std::string test;
  std::string unit;
  double ours = 0;
  std::vector<std::pair<std::string, double>> peers = {};
  // Of `ours` to the first peer unless `ours_max` is given: the floor is then a limit of `ours` itself.
  std::optional<double> ratio_max = {};
  std::optional<double> ours_max = {};
  std::optional<double> ratio_min = {};
  // The median of the ratios of rounds, one per peer, in their order; empty: the ratio of the figures.
  std::vector<double> paired = {};

  bool has_floor() const { return ratio_max || ours_max || ratio_min; }
  double ratio_to(size_t peer) const;
  bool met() const;
  std::string floor_text() const;
};

class Report {
 public:
  Report(std::string name, std::string command) : name_(std::move(name)), command_(std::move(command)) {}
  void add(Row row) { rows_.push_back(std::move(row)); }
  void note(std::string text) { notes_.push_back(std::move(text)); }
  bool met() const;
  std::string table() const;
  std::string json() const;

 private:
  std::string name_, command_;
  std::vector<Row> rows_;
  std::vector<std::string> notes_;
};

// Durations in microseconds.
class Samples {
 public:
  void add(int64_t us) { values_.push_back(us); }
  void add_all(const Samples& other) { values_.insert(values_.end(), other.values_.begin(), other.values_.end()); }
  size_t count() const { return values_.size(); }
  double quantile_ms(double q) const;
  double max_ms() const { return quantile_ms(1); }

 private:
  std::vector<int64_t> values_;
};

int64_t now_us();         // Monotonic.
double own_cpu_seconds();  // Of this process so far.
// "2 x AMD EPYC, 24 GiB, Linux 6.18"
std::string machine();

}  // namespace hongyan::bench
