// bench counters: what an addition and a histogram's sample cost in shared memory, beside one atomic that all threads
// share.
#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "bench/options.h"
#include "runtime/counters/counters.h"
#include "runtime/os/clock.h"
#include "runtime/os/os_env.h"
#include "runtime/os/shared_counters.h"

namespace hongyan::bench {
namespace {

using runtime::Counter;
using runtime::Histogram;

constexpr size_t k_counters = 16;  // In turn, as code does; all of them in the first cache.

double nanoseconds_each(int64_t count, const std::function<void(int64_t)>& step_all) {
  const runtime::Time start = runtime::monotonic_now();
  step_all(count);
  return static_cast<double>((runtime::monotonic_now() - start).count()) / static_cast<double>(count);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

Status bench_counters(Env& env, const Options& options, Report& report) {
  const int rounds = options.quick ? 3 : 15;
  const int64_t count = options.quick ? 100'000 : 20'000'000;
  const std::string path = "/dev/shm/hongyan-bench-counters-" + std::to_string(runtime::process_id());
  auto memory = TRY(runtime::make_shared_counters(path));
  runtime::Counters counters(std::move(memory));
  std::vector<Counter*> ours;
  std::vector<Histogram*> histograms;
  std::vector<std::atomic<int64_t>> atomics(k_counters);
  for (size_t i = 0; i < k_counters; ++i) {
    ours.push_back(&counters.counter("bench_counter_" + std::to_string(i), "Measured"));
    histograms.push_back(&counters.histogram("bench_histogram_" + std::to_string(i), "us", "Measured"));
  }
  std::vector<double> adds, samples, atomic_adds;
  for (int round = 0; round < rounds; ++round) {
    adds.push_back(nanoseconds_each(count, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) ours[static_cast<size_t>(i) % k_counters]->add(i);
    }));
    atomic_adds.push_back(nanoseconds_each(count, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) atomics[static_cast<size_t>(i) % k_counters].fetch_add(i, std::memory_order_relaxed);
    }));
    samples.push_back(nanoseconds_each(count, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) histograms[static_cast<size_t>(i) % k_counters]->record(i & 0xffff);
    }));
  }
  const auto read = TRY(runtime::read_shared_counters(path));
  for (size_t i = 0; i < k_counters; ++i) CHECK(read.samples[2 * i].value == ours[i]->value());
  Row add{.test = "add to a counter", .unit = "ns", .ours = median(adds)};
  Row sample{.test = "sample of a histogram", .unit = "ns", .ours = median(samples)};
  add.peers.emplace_back("std::atomic fetch_add", median(atomic_adds));
  if (!options.quick) add.ours_max = 5, sample.ours_max = 15;
  report.add(add);
  report.add(sample);
  return {};
}

}  // namespace hongyan::bench
