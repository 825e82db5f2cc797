// What counters hold at one moment, read from their memory: of this process, of another one that is writing, or of one
// that crashed. The bytes are hostile: whatever they are, the answer is samples or Code::corrupt. A sample read while
// somebody writes may miss the last few additions; a histogram's sum may be a sample ahead of its buckets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/counters/format.h"

namespace hongyan::runtime {

struct CounterSample {
  counter_format::Kind kind = counter_format::Kind::counter;
  std::string name, labels, unit, help;  // labels: `method="x.Y.Z"`, or nothing.
  int64_t value = 0;                     // Of a histogram: the sum of its samples.
  int64_t max = 0;                       // Of a histogram, as all that follows.
  std::vector<uint64_t> buckets;
  uint64_t count() const;
  int64_t quantile(double q) const;      // <= 19 % off.
};

struct CounterSamples {
  uint32_t process = 0;
  int64_t born_utc_ms = 0;
  std::vector<CounterSample> samples;    // In order of registration.
};

Result<CounterSamples> read_counters(std::span<const char> memory);

// OpenMetrics text: plain numbers before histograms, each in order of registration; one name's labels together.
std::string open_metrics(const std::vector<CounterSample>& samples);

// Of a histogram: where a value goes, and the middle of a bucket.
int bucket_of(int64_t value);
int64_t bucket_middle(int bucket);

}  // namespace hongyan::runtime
