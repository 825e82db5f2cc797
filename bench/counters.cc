// bench counters: what an addition and a histogram's sample cost in shared memory, beside one atomic that all threads
// share; what a line of the log costs whose level is off, and one that is written; what a span of a sampled call costs.
#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "bench/options.h"
#include "runtime/counters/counters.h"
#include "runtime/os/clock.h"
#include "runtime/os/line_log.h"
#include "runtime/os/os_env.h"
#include "runtime/os/shared_counters.h"
#include "runtime/trace/tracer.h"

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

// The disk is nobody's here: what is measured is what who logs pays. Lines come in bursts that the buffer holds.
void measure_log(const Options& options, Report& report) {
  constexpr int64_t k_burst = 4000;
  const int bursts = options.quick ? 5 : 200;
  runtime::LineLog log("/dev/null");
  Call call;
  call.uin = 1'000'000'007;
  call.trace = {.id = 0x8448eb211c80319c, .parent = 1, .id_high = 0x0af7651916cd43dd, .sampled = false};
  const auto line = [&](int64_t i) {
    log.debug(call, "rpc: answered", {{"method", "hongyan.internal.Inbox.Append"}, {"code", 0u}, {"took_us", i}});
  };
  const auto lines = [&](int64_t n) {
    for (int64_t i = 0; i < n; ++i) line(i);
  };
  std::vector<double> off, on, formatted;
  for (int burst = 0; burst < bursts; ++burst) {
    log.set_level(runtime::LogLevel::info);
    off.push_back(nanoseconds_each(250 * k_burst, lines));
    log.set_level(runtime::LogLevel::debug);
    on.push_back(nanoseconds_each(k_burst, lines));
    log.flush();
    formatted.push_back(nanoseconds_each(k_burst, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const std::string text = fmt::format("rpc: answered method={} code={} took_us={} uin={} trace={:016x}{:016x}", "hongyan.internal.Inbox.Append",
                                             0u, i, call.uin, call.trace.id_high, call.trace.id);
        asm volatile("" : : "r"(text.data()) : "memory");
      }
    }));
  }
  Row quiet{.test = "line of the log whose level is off", .unit = "ns", .ours = median(off)};
  Row told{.test = "line of the log with three fields, uin and trace", .unit = "ns", .ours = median(on)};
  told.peers.emplace_back("fmt::format of the same text", median(formatted));
  report.add(quiet);
  report.add(told);
}

void measure_spans(Env& env, const Options& options, Report& report) {
  const int64_t count = options.quick ? 10'000 : 1'000'000;
  runtime::Tracer& tracer = env.tracer();
  const auto calls = [&](bool sampled) {
    return nanoseconds_each(count, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        runtime::Trace trace{.id = 1, .parent = 2, .id_high = 3, .sampled = sampled};
        tracer.begin(trace, runtime::Tracer::From::deployment);
        asm volatile("" : "+m"(trace));
        auto span = tracer.start(runtime::Span::Kind::server, "hongyan.internal.Inbox.Append", trace);
        tracer.finish(span, Code::ok);
      }
    });
  };
  Row off{.test = "span of a call that is not sampled", .unit = "ns", .ours = calls(false)};
  report.add(off);
  report.add({.test = "span of a call that is sampled", .unit = "ns", .ours = calls(true)});
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
  measure_log(options, report);
  measure_spans(env, options, report);
  return {};
}

}  // namespace hongyan::bench
