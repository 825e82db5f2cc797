// Spans of sampled calls: what was called, by whom, when, how it ended. One Tracer per Env.
//
//   std::unique_ptr<Span> span = tracer.start(Span::Kind::server, method, call.trace);   // null: not sampled
//   ...                                                                                  // calls below are its children
//   tracer.finish(span, code, call.uin);
//
// Who takes a request says begin(): one without a trace gets an id, so that its log lines can be told from others', and is
// sampled with a small chance. What a caller has sampled stays sampled; of callers outside of the deployment, who could ask
// for every one, only so many a second. A call that is not sampled costs a branch, or where it begins two random numbers.
//
// Finished spans stay in memory, the last so many, for pages and for whoever writes them out (span_file.h). Ids and chance
// come from one seed of Env's: not secret. Owning thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "runtime/call.h"
#include "runtime/coro/sync.h"

namespace hongyan::runtime {

class Env;
class Counter;

struct Span {
  enum class Kind : uint8_t { internal = 1, server = 2, client = 3 };  // OTLP's numbers.
  uint64_t trace_high = 0, trace_low = 0;
  uint64_t id = 0;
  uint64_t parent = 0;        // 0: none.
  Kind kind = Kind::internal;
  Code code = Code::ok;
  std::string_view name;      // Outlives the tracer: a method's full name, a literal.
  std::string peer;           // Of a client: whom it called. At most k_peer_bytes_max.
  Time start{}, end{};        // Finer and steadier than UTC: to measure by.
  int64_t start_utc_ns = 0;   // Of a millisecond's exactness across machines.
  uint64_t uin = 0;           // 0: not known.
};

class Tracer {
 public:
  static constexpr size_t k_kept = 4096;               // Of some 200 bytes each.
  static constexpr size_t k_peer_bytes_max = 64;
  static constexpr uint64_t k_outside_per_second = 20;  // Whoever looks for something needs no more.

  explicit Tracer(Env& env);
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // The chance that a request which brings no trace is sampled: 0, as at first, to 1.
  void set_share(double share);
  enum class From { deployment, outside };
  // Of a request as it comes in.
  void begin(Trace& trace, From from);

  // Null unless it is sampled. From here on the trace's parent is this span.
  std::unique_ptr<Span> start(Span::Kind kind, std::string_view name, Trace& trace) {
    if (!trace.sampled) [[likely]] return nullptr;
    return start_sampled(kind, name, trace);
  }
  void finish(std::unique_ptr<Span>& span, Code code, uint64_t uin = 0) {
    if (span != nullptr) [[unlikely]] finish_sampled(span, code, uin);
  }

  // --- of the finished ones ---
  uint64_t finished() const { return finished_; }
  const std::deque<Span>& kept() const { return kept_; }  // The latest last; its number is finished() - 1.
  Status wait_for_more();  // Code::cancelled.
  // By their starts, callers before what they called.
  std::vector<const Span*> of_trace(uint64_t high, uint64_t low) const;

 private:
  std::unique_ptr<Span> start_sampled(Span::Kind kind, std::string_view name, Trace& trace);
  void finish_sampled(std::unique_ptr<Span>& span, Code code, uint64_t uin);
  uint64_t new_id();
  int64_t utc_offset_ns(Time now);
  bool admit_outside();

  Env& env_;
  Random random_;
  int64_t utc_offset_ns_ = 0;   // Of UTC to the monotonic clock.
  uint64_t sampled_below_ = 0;  // Of 2^32.
  Time outside_since_{};        // The second that is counted.
  uint64_t outside_ = 0;
  std::deque<Span> kept_;
  uint64_t finished_ = 0;
  WaitList more_;
  Counter& spans_;
  Counter& refused_;
};

}  // namespace hongyan::runtime
