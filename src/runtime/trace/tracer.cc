#include "runtime/trace/tracer.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/counters/counters.h"
#include "runtime/env/env.h"

namespace hongyan::runtime {
namespace {

constexpr double k_chances = 0x1p32;
// UTC is read in milliseconds; when it is further off, it was set.
constexpr int64_t k_utc_step_ns = 2'000'000;

}  // namespace

Tracer::Tracer(Env& env)
    : env_(env),
      random_(env.random_u64()),
      spans_(env.counters().counter("hongyan_trace_spans", "Spans of sampled calls that have ended")),
      refused_(env.counters().counter("hongyan_trace_refused", "Requests from outside that asked to be traced when too many did")) {}

void Tracer::set_share(double share) { sampled_below_ = static_cast<uint64_t>(std::clamp(share, 0.0, 1.0) * k_chances); }

uint64_t Tracer::new_id() {
  for (;;) {
    if (const uint64_t id = random_.next(); id != 0) return id;
  }
}

void Tracer::begin(Trace& trace, From from) {
  if (trace.id == 0 && trace.id_high == 0) {
    trace.id_high = new_id();
    trace.id = new_id();
    trace.parent = 0;
    trace.sampled = sampled_below_ != 0 && random_.next() >> 32 < sampled_below_;
  } else if (trace.sampled && from == From::outside && !admit_outside()) {
    trace.sampled = false;
  }
}

bool Tracer::admit_outside() {
  if (const Time now = env_.now(); now >= after(outside_since_, 1s)) {
    outside_since_ = now;
    outside_ = 0;
  }
  if (++outside_ <= k_outside_per_second) return true;
  refused_.add(1);
  return false;
}

// Kept as long as it is right: the spans of one process lie in each other as they did in time.
int64_t Tracer::utc_offset_ns(Time now) {
  const int64_t offset = env_.utc_ms() * 1'000'000 - now.time_since_epoch().count();
  if (std::abs(offset - utc_offset_ns_) > k_utc_step_ns) utc_offset_ns_ = offset;
  return utc_offset_ns_;
}

std::unique_ptr<Span> Tracer::start_sampled(Span::Kind kind, std::string_view name, Trace& trace) {
  auto span = std::make_unique<Span>();
  span->trace_high = trace.id_high;
  span->trace_low = trace.id;
  span->id = new_id();
  span->parent = std::exchange(trace.parent, span->id);
  span->kind = kind;
  span->name = name;
  span->start = env_.scheduler().read_clock();
  span->start_utc_ns = utc_offset_ns(span->start) + span->start.time_since_epoch().count();
  return span;
}

void Tracer::finish_sampled(std::unique_ptr<Span>& span, Code code, uint64_t uin) {
  span->end = env_.scheduler().read_clock();
  span->code = code;
  span->uin = uin;
  if (kept_.size() == k_kept) kept_.pop_front();
  kept_.push_back(std::move(*span));
  span.reset();
  ++finished_;
  spans_.add(1);
  more_.wake_all();
}

Status Tracer::wait_for_more() { return more_.wait(k_never, "the next span"); }

std::vector<const Span*> Tracer::of_trace(uint64_t high, uint64_t low) const {
  std::vector<const Span*> found;
  for (auto span = kept_.rbegin(); span != kept_.rend(); ++span) {  // Who called ends after what it called.
    if (span->trace_high == high && span->trace_low == low) found.push_back(&*span);
  }
  std::ranges::stable_sort(found, {}, &Span::start);
  return found;
}

}  // namespace hongyan::runtime
