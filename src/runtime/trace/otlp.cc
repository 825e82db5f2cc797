#include "runtime/trace/otlp.h"

#include <fmt/format.h>

#include <iterator>

namespace hongyan::runtime {
namespace {

constexpr int k_status_ok = 1;
constexpr int k_status_error = 2;

// Names and addresses: what is not plain ASCII does not belong there.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  }
  return out + "\"";
}

std::string text_attribute(std::string_view key, std::string_view text) {
  return fmt::format("{{\"key\":\"{}\",\"value\":{{\"stringValue\":{}}}}}", key, quoted(text));
}

std::string number_attribute(std::string_view key, uint64_t number) {
  return fmt::format("{{\"key\":\"{}\",\"value\":{{\"intValue\":\"{}\"}}}}", key, number);
}

void put_span(std::string& out, const Span& span) {
  const size_t dot = span.name.rfind('.');
  auto write = std::back_inserter(out);
  fmt::format_to(write, "{{\"traceId\":\"{:016x}{:016x}\",\"spanId\":\"{:016x}\",", span.trace_high, span.trace_low, span.id);
  if (span.parent != 0) fmt::format_to(write, "\"parentSpanId\":\"{:016x}\",", span.parent);
  fmt::format_to(write, "\"name\":{},\"kind\":{},\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\",", quoted(span.name),
                 static_cast<int>(span.kind), span.start_utc_ns, span.start_utc_ns + (span.end - span.start).count());
  out += "\"attributes\":[" + text_attribute("rpc.system", "hongyan");
  if (dot != std::string_view::npos) out += "," + text_attribute("rpc.service", span.name.substr(0, dot));
  out += "," + text_attribute("rpc.method", span.name.substr(dot == std::string_view::npos ? 0 : dot + 1));
  out += "," + number_attribute("hongyan.code", static_cast<uint32_t>(span.code));
  if (span.uin != 0) out += "," + text_attribute("enduser.id", fmt::format("{}", span.uin));
  if (!span.peer.empty()) out += "," + text_attribute("server.address", span.peer);
  fmt::format_to(std::back_inserter(out), "],\"status\":{{\"code\":{}}}}}", span.code == Code::ok ? k_status_ok : k_status_error);
}

}  // namespace

std::string otlp_line(const SpanSource& source, std::span<const Span* const> spans) {
  std::string out = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[" + text_attribute("service.name", source.service) + "," +
                    text_attribute("service.version", source.version) + "," +
                    number_attribute("process.pid", static_cast<uint64_t>(source.process)) +
                    "]},\"scopeSpans\":[{\"scope\":{\"name\":\"hongyan.rpc\"},\"spans\":[";
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) out.push_back(',');
    put_span(out, *spans[i]);
  }
  return out + "]}]}]}\n";
}

}  // namespace hongyan::runtime
