#include "rpc/pages/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "runtime/counters/counters.h"
#include "runtime/env/profiler.h"
#include "runtime/log/log.h"
#include "runtime/trace/traceparent.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {
namespace {

using runtime::CounterSample;
using runtime::LogLevel;

constexpr size_t k_rows_max = 2000;  // A page for people; a scraper takes /metrics.
constexpr std::string_view k_json = "application/json";
constexpr std::string_view k_html = "text/html; charset=utf-8";
constexpr std::string_view k_text = "text/plain; charset=utf-8";
constexpr std::string_view k_metrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Line {
  std::string_view path, about;
};

constexpr Line k_lines[] = {
    {"/status", "What runs here, since when, and how busy it is."},
    {"/vars", "Every counter with its value; ?filter=TEXT."},
    {"/metrics", "The same as OpenMetrics text, for Prometheus."},
    {"/connections", "Who is connected, and what each has unanswered."},
    {"/coroutines", "What every coroutine does or waits in."},
    {"/calls", "Recent calls that were slow or failed."},
    {"/traces", "Spans of sampled calls; ?id=TRACE shows one trace as a tree."},
    {"/methods", "What can be called, by whom, and what runs now."},
    {"/cpu", "Where the processor's time goes; ?seconds=N measures, as collapsed stacks."},
    {"/heap", "What memory is in use; ?seconds=N finds what is allocated meanwhile and stays, as collapsed stacks."},
    {"/log", "What the log tells; POST level=debug|info|warning|error changes it."},
};

constexpr std::string_view k_no_page = "There is no such page; / lists them.\n";

constexpr std::string_view k_levels[] = {"debug", "info", "warning", "error"};

int64_t microseconds(runtime::Duration duration) { return std::chrono::duration_cast<std::chrono::microseconds>(duration).count(); }

std::string age(runtime::Duration duration) {
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  if (seconds < 10) return fmt::format("{} ms", microseconds(duration) / 1000);
  if (seconds < 600) return fmt::format("{} s", seconds);
  if (seconds < 48 * 3600) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{} days", seconds / 86400);
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

PageAnswer plain(int status, std::string_view text) { return {status, std::string(k_text), std::string(text)}; }

std::string_view kind_of(const runtime::Span& span) {
  switch (span.kind) {
    case runtime::Span::Kind::internal: return "internal";
    case runtime::Span::Kind::server: return "server";
    case runtime::Span::Kind::client: return "client";
  }
  return "?";
}

std::string_view state_of(const runtime::CoroutineInfo& one) {
  return one.running ? "running" : one.parked ? "parked" : one.waiting ? "waiting" : "ready";
}

}  // namespace

std::string query_field(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), field.size() + 1));
    const size_t equals = field.find('=');
    if (field.substr(0, equals) == name) return equals == std::string_view::npos ? "" : decoded(field.substr(equals + 1));
  }
  return {};
}

Pages::Pages(Env& env, About about, PageSources sources)
    : env_(env), about_(std::move(about)), sources_(std::move(sources)), born_(env.now()) {}

PageAnswer Pages::handle(const PageRequest& request) {
  if (request.post) return change_log(request);
  const std::string_view path = request.path;
  if (path == "/metrics") return {200, std::string(k_metrics_type), env_.counters().open_metrics()};
  Table table;
  if (path == "/") table = index();
  else if (path == "/status") table = status();
  else if (path == "/vars") table = vars(query_field(request.query, "filter"));
  else if (path == "/connections") table = connections();
  else if (path == "/coroutines") table = coroutines();
  else if (path == "/calls") table = calls();
  else if (path == "/traces") table = traces(query_field(request.query, "id"));
  else if (path == "/cpu") table = cpu();
  else if (path == "/heap") table = heap();
  else if (path == "/methods") table = methods();
  else if (path == "/log") table = log();
  else return plain(404, k_no_page);
  if (query_field(request.query, "format") == "json") return {200, std::string(k_json), json_of(table)};
  return {200, std::string(k_html), html_of(table, about_.program)};
}

Table Pages::index() {
  Table table{.title = about_.program, .about = "Pages of this process. Each is JSON with ?format=json.", .columns = {"page", "shows"}};
  for (const Line& line : k_lines) table.rows.push_back({Cell::link(line.path, line.path), line.about});
  return table;
}

Table Pages::status() {
  const runtime::SchedulerStats stats = env_.scheduler().stats();
  Table table{.title = "Status", .about = "What runs here, since when, and how busy it is."};
  table.facts = {{"program", about_.program},
                 {"version", about_.version},
                 {"process", static_cast<int64_t>(about_.process)},
                 {"up", age(env_.now() - born_)},
                 {"utc_ms", env_.utc_ms()},
                 {"coroutines", static_cast<uint64_t>(stats.live)},
                 {"coroutines_made", stats.spawned},
                 {"coroutines_parked", static_cast<uint64_t>(stats.parked_now)},
                 {"timers", static_cast<uint64_t>(stats.waiting_timers)}};
  if (sources_.status) {
    for (auto& fact : sources_.status()) table.facts.push_back(std::move(fact));
  }
  return table;
}

Table Pages::vars(std::string_view filter) {
  Table table{.title = "Vars", .about = "Every counter of this process. Of a histogram: its samples, and where they lie.",
              .columns = {"name", "value", "p50", "p99", "max", "unit", "help"}};
  table.filter = filter;
  table.filtered = true;
  for (const CounterSample& one : env_.counters().samples()) {
    const std::string name = one.labels.empty() ? one.name : one.name + "{" + one.labels + "}";
    if (name.find(filter) == std::string::npos) continue;
    if (one.kind == runtime::counter_format::Kind::histogram) {
      table.rows.push_back({name, one.count(), one.quantile(0.5), one.quantile(0.99), one.max, one.unit, one.help});
    } else {
      table.rows.push_back({name, one.value, "", "", "", one.unit, one.help});
    }
  }
  return table;
}

Table Pages::connections() {
  Table table{.title = "Connections", .about = "Who is connected, and what each has unanswered.",
              .columns = {"peer", "kind", "calls", "in_flight", "unsent_bytes", "quiet_ms"}};
  if (!sources_.connections) return table;
  for (const ConnectionRow& row : sources_.connections(k_rows_max))
    table.rows.push_back({row.peer, row.kind, row.calls, row.in_flight, row.unsent_bytes, microseconds(row.quiet) / 1000});
  return table;
}

// The counts are of all; the rows, of the first so many.
Table Pages::coroutines() {
  Table table{.title = "Coroutines", .about = "What every coroutine does or waits in, in order of birth.",
              .columns = {"name", "state", "waits_in", "waits_ms", "stack_used", "stack_bytes"}};
  std::map<std::string_view, uint64_t> states;
  uint64_t left_out = 0;
  env_.scheduler().each([&](const runtime::CoroutineInfo& one) {
    states[state_of(one)]++;
    if (table.rows.size() == k_rows_max) {
      ++left_out;
      return;
    }
    const int64_t waits_ms = one.waiting ? microseconds(env_.now() - one.waits_since) / 1000 : 0;
    table.rows.push_back({one.name, state_of(one), one.waits_in == nullptr ? "" : one.waits_in, waits_ms,
                          static_cast<uint64_t>(one.stack_used), static_cast<uint64_t>(one.stack_bytes)});
  });
  for (const auto& [state, count] : states) table.facts.emplace_back(state, count);
  if (left_out > 0) table.facts.emplace_back("not shown", left_out);
  return table;
}

Table Pages::calls() {
  Table table{.title = "Calls", .about = "Recent calls that were slow or failed, the latest first.",
              .columns = {"ago_ms", "method", "peer", "code", "took_us", "queued_us", "trace", "detail"}};
  if (!sources_.calls) return table;
  for (const CallRow& row : sources_.calls())
    table.rows.push_back({microseconds(env_.now() - row.started) / 1000, row.method, row.peer, row.code, microseconds(row.took),
                          microseconds(row.queued), row.sampled ? Cell::link(row.trace, "/traces?id=" + row.trace) : Cell(row.trace),
                          row.detail});
  return table;
}

// Without an id the latest root of each trace, or what stands in for it here: a span whose parent is elsewhere.
Table Pages::traces(std::string_view id) {
  Table table{.title = "Traces", .about = "Spans of sampled calls, as this process saw them.",
              .columns = {"trace", "span", "parent", "kind", "name", "peer", "start_us", "took_us", "code", "uin"}};
  const runtime::Tracer& tracer = env_.tracer();
  std::vector<const runtime::Span*> spans;
  if (id.empty()) {
    table.facts = {{"spans", tracer.finished()}, {"kept", static_cast<uint64_t>(tracer.kept().size())}};
    for (const runtime::Span& span : tracer.kept()) {
      if (span.kind == runtime::Span::Kind::server) spans.push_back(&span);
    }
    std::ranges::reverse(spans);
  } else if (const auto trace = runtime::parse_traceparent("00-" + std::string(id) + "-0000000000000001-00")) {
    spans = tracer.of_trace(trace->id_high, trace->id);
  }
  const runtime::Time origin = id.empty() || spans.empty() ? born_ : spans.front()->start;
  for (const runtime::Span* span : spans) {
    const std::string trace = fmt::format("{:016x}{:016x}", span->trace_high, span->trace_low);
    const auto of = [](uint64_t number) { return number == 0 ? std::string() : fmt::format("{:016x}", number); };
    table.rows.push_back({id.empty() ? Cell::link(trace, "/traces?id=" + trace) : Cell(trace), of(span->id), of(span->parent),
                          kind_of(*span), span->name, span->peer, microseconds(span->start - origin),
                          microseconds(span->end - span->start), static_cast<uint32_t>(span->code),
                          span->uin == 0 ? Cell("") : Cell(span->uin)});
  }
  return table;
}

Table Pages::cpu() {
  return {.title = "Processor", .about = "/cpu?seconds=10 samples all threads for so long (1 to 60 s) and answers collapsed stacks: "
                                         "a line a stack, thread;[coroutine];outermost;...;innermost SAMPLES, one for 10 ms. "
                                         "Flame graphs are drawn from it as it is.",
          .facts = {{"can be had", env_.profiler() == nullptr ? "no" : "yes"}}};
}

Table Pages::heap() {
  Table table{.title = "Memory", .about = "/heap?seconds=60 answers what is allocated meanwhile (1 to 600 s) and not freed: collapsed stacks "
                                          "with bytes, found by one sample in 512 KiB."};
  if (runtime::Profiler* const profiler = env_.profiler()) {
    const runtime::Profiler::Memory memory = profiler->memory();
    table.facts = {{"in_use_bytes", memory.in_use_bytes}, {"free_bytes", memory.free_bytes}, {"mapped_bytes", memory.mapped_bytes}};
  }
  return table;
}

bool Pages::is_profile(const PageRequest& request) {
  return !request.post && (request.path == "/cpu" || request.path == "/heap") && !query_field(request.query, "seconds").empty();
}

PageAnswer Pages::profile(Call& call, const PageRequest& request) {
  runtime::Profiler* const profiler = env_.profiler();
  if (profiler == nullptr) return plain(501, "This process can't be profiled.\n");
  const std::string text = query_field(request.query, "seconds");
  uint16_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return plain(400, "seconds is a number.\n");
  const auto time = std::chrono::seconds(seconds);
  const Result<std::string> stacks = request.path == "/cpu" ? profiler->cpu(call, time) : profiler->heap(call, time);
  if (stacks.ok()) return plain(200, *stacks);
  const int status = stacks.code() == Code::busy ? 409 : stacks.code() == Code::invalid ? 400 : stacks.code() == Code::unsupported ? 501 : 503;
  return plain(status, stacks.status().detail() + "\n");
}

Table Pages::methods() {
  Table table{.title = "Methods", .about = "What can be called, by whom, and what runs now.",
              .columns = {"method", "policy", "flags", "running", "limit"}};
  if (!sources_.methods) return table;
  for (const MethodRow& row : sources_.methods()) table.rows.push_back({row.name, row.policy, row.flags, row.running, row.limit});
  return table;
}

Table Pages::log() {
  Table table{.title = "Log", .about = "What the log tells. POST /log?level=LEVEL changes it until the process ends."};
  for (int level = 0; level < 4; ++level) {
    if (!env_.log().enabled(static_cast<LogLevel>(level))) continue;
    table.facts.emplace_back("level", k_levels[level]);
    break;
  }
  return table;
}

PageAnswer Pages::change_log(const PageRequest& request) {
  const bool known = request.path == "/" || std::ranges::any_of(k_lines, [&](const Line& line) { return line.path == request.path; });
  if (!known) return plain(404, k_no_page);
  if (request.path != "/log") return plain(405, "This page is only read.\n");
  if (!request.may_change) return plain(403, "Changes need the operator's secret.\n");
  const std::string wanted = query_field(request.query, "level");
  for (int level = 0; level < 4; ++level) {
    if (k_levels[level] != wanted) continue;
    env_.log().set_level(static_cast<LogLevel>(level));
    env_.log().warning("pages: the log's level was changed", {{"level", wanted}});
    return plain(200, "The log's level is now " + wanted + ".\n");
  }
  return plain(400, "level is one of debug, info, warning and error.\n");
}

}  // namespace hongyan::rpc
