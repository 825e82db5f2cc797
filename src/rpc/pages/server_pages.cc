#include "rpc/pages/server_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "rpc/pages/wiring.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {
namespace {

using runtime::Counter;
using runtime::CounterKind;
using runtime::Histogram;

int64_t microseconds(runtime::Duration duration) { return std::chrono::duration_cast<std::chrono::microseconds>(duration).count(); }

constexpr size_t k_detail_bytes_max = 200;  // Of one row.

}  // namespace

void RecentCalls::add(const CallRecord& record) {
  const bool failed = record.code != Code::ok;
  if (!record.handled || (!failed && record.ended - record.started < slow_)) return;
  CallRow row{.started = record.started};
  row.method = record.method->full_name;
  row.code = failed ? fmt::format("{}", static_cast<uint32_t>(record.code)) : "ok";
  row.detail = record.detail.substr(0, k_detail_bytes_max);
  row.took = record.ended - record.started;
  row.queued = record.started - record.arrived;
  if (record.stream != nullptr) row.peer = record.stream->peer();
  if (record.call != nullptr && record.call->trace.id != 0)
    row.trace = fmt::format("{:016x}{:016x}", record.call->trace.id_high, record.call->trace.id);
  row.sampled = record.call != nullptr && record.call->trace.sampled;
  std::deque<CallRow>& kept = failed ? failed_calls_ : slow_calls_;
  kept.push_front(std::move(row));
  if (kept.size() > k_kept) kept.pop_back();
}

std::vector<CallRow> RecentCalls::rows() const {
  std::vector<CallRow> rows(slow_calls_.begin(), slow_calls_.end());
  rows.insert(rows.end(), failed_calls_.begin(), failed_calls_.end());
  std::stable_sort(rows.begin(), rows.end(), [](const CallRow& a, const CallRow& b) { return a.started > b.started; });
  return rows;
}

struct ServerPages::MethodCounters {
  MethodCounters(runtime::Counters& counters, const MethodInfo& method)
      : all(counters),
        label(fmt::format("method=\"{}\"", method.full_name)),
        calls(counters.counter("hongyan_rpc_server_calls", "Calls answered, by method", CounterKind::counter, label)),
        running(counters.counter("hongyan_rpc_server_running", "Calls whose handlers run", CounterKind::gauge, label)),
        refused(counters.counter("hongyan_rpc_server_refused", "Calls refused before their handler", CounterKind::counter, label)),
        request_bytes(counters.counter("hongyan_rpc_server_request_bytes", "Bytes of requests", CounterKind::counter, label)),
        answer_bytes(counters.counter("hongyan_rpc_server_answer_bytes", "Bytes of answers", CounterKind::counter, label)),
        took(counters.histogram("hongyan_rpc_server_took", "us", "From a handler's start to its answer", label)),
        queued(counters.histogram("hongyan_rpc_server_queued", "us", "From a call's arrival to its handler's start", label)) {}

  // Few codes of a method ever happen.
  Counter& failures(Code code) {
    for (const auto& [known, counter] : by_code) {
      if (known == code) return *counter;
    }
    Counter& added = all.counter("hongyan_rpc_server_failures", "Calls that failed, by method and code", CounterKind::counter,
                                 fmt::format("{},code=\"{}\"", label, static_cast<uint32_t>(code)));
    by_code.emplace_back(code, &added);
    return added;
  }

  runtime::Counters& all;
  std::string label;
  Counter &calls, &running, &refused, &request_bytes, &answer_bytes;
  Histogram &took, &queued;
  std::vector<std::pair<Code, Counter*>> by_code;
};

ServerPages::ServerPages(Env& env, Pages::About about, runtime::Duration slow)
    : env_(env), recent_(slow), pages_(env, std::move(about), sources()) {}

ServerPages::~ServerPages() = default;

PageSources ServerPages::sources() {
  PageSources sources;
  sources.connections = [this](size_t count_max) {
    std::vector<ConnectionRow> rows;
    if (server_ == nullptr) return rows;
    for (const Server::Peer& peer : server_->peers(count_max)) {
      rows.push_back({.peer = peer.address,
                      .kind = peer.http ? "http" : "frames",
                      .calls = peer.calls,
                      .in_flight = peer.in_flight,
                      .unsent_bytes = peer.unsent_bytes,
                      .quiet = peer.quiet});
    }
    return rows;
  };
  sources.methods = [this] {
    std::vector<MethodRow> rows;
    if (server_ == nullptr) return rows;
    for (const Server::Method& method : server_->methods()) {
      MethodRow& row = rows.emplace_back(method_row(*method.info));
      row.running = method.running;
      row.limit = method.limit;
    }
    return rows;
  };
  sources.calls = [this] { return recent_.rows(); };
  sources.status = [this] {
    std::vector<std::pair<std::string, Cell>> facts;
    if (server_ == nullptr) return facts;
    facts.emplace_back("connections", static_cast<uint64_t>(server_->connections()));
    facts.emplace_back("calls_running", static_cast<uint64_t>(server_->in_flight()));
    return facts;
  };
  return sources;
}

ServerPages::MethodCounters& ServerPages::counters_of(const CallRecord& record) {
  if (record.index >= methods_.size()) methods_.resize(record.index + 1);
  auto& counters = methods_[record.index];
  if (counters == nullptr) [[unlikely]] counters = std::make_unique<MethodCounters>(env_.counters(), *record.method);
  return *counters;
}

void ServerPages::on_start(CallRecord& record, Call&) { counters_of(record).running.add(1); }

void ServerPages::on_end(const CallRecord& record) {
  MethodCounters& counters = counters_of(record);
  counters.calls.add(1);
  counters.request_bytes.add(static_cast<int64_t>(record.request_bytes));
  counters.answer_bytes.add(static_cast<int64_t>(record.answer_bytes));
  if (record.code != Code::ok) [[unlikely]] counters.failures(record.code).add(1);
  if (!record.handled) return counters.refused.add(1);
  counters.running.add(-1);
  counters.took.record(microseconds(record.ended - record.started));
  counters.queued.record(microseconds(record.started - record.arrived));
  recent_.add(record);
  if (record.call == nullptr) return;
  env_.log().debug(*record.call, "rpc: answered",
                   {{"method", record.method->full_name}, {"code", static_cast<uint32_t>(record.code)},
                    {"took_us", microseconds(record.ended - record.started)}});
}

bool ServerPages::page(Call& call, const HttpRequest& request, HttpResponse& response) {
  response = page_response(call, pages_, request, false);
  return response.status != 404;
}

}  // namespace hongyan::rpc
