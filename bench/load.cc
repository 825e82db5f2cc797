#include "bench/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace hongyan::bench {

Load parse_question(const std::string& line) {
  Load load;
  std::sscanf(line.c_str(), "%d %d %d %d %d", &load.connections, &load.depth, &load.warm_ms, &load.run_ms, &load.rate);
  return load;
}

std::string question(const Load& load) {
  return fmt::format("{} {} {} {} {}", load.connections, load.depth, load.warm_ms, load.run_ms, load.rate);
}

Meter::Meter(const Load& load) {
  now_ = now_ns();
  start_ = now_ + load.warm_ms * int64_t{1'000'000};
  end_ = start_ + load.run_ms * int64_t{1'000'000};
  samples_.reserve(1 << 16);
}

std::string Meter::said() {
  std::sort(samples_.begin(), samples_.end());
  const auto at = [this](double q) {
    if (samples_.empty()) return 0.0;
    const auto index = static_cast<size_t>(q * static_cast<double>(samples_.size()));
    return static_cast<double>(samples_[std::min(samples_.size() - 1, index)]) / 1000;
  };
  return fmt::format("{} {:.6f} {:.2f} {:.2f} {:.2f}", calls_, static_cast<double>(end_ - start_) / 1e9, at(0.5), at(0.99), at(1));
}

}  // namespace hongyan::bench
