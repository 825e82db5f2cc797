// Spans as OTLP/JSON: what every collector of OpenTelemetry reads (opentelemetry-proto 1.x, ExportTraceServiceRequest in
// protobuf's JSON mapping, where ids are hex and 64-bit numbers strings).
#pragma once

#include <span>
#include <string>

#include "runtime/trace/tracer.h"

namespace hongyan::runtime {

struct SpanSource {
  std::string service;  // "hongyan-chat"
  std::string version;
  int process = 0;
};

// One request, in one line with its end.
std::string otlp_line(const SpanSource& source, std::span<const Span* const> spans);

}  // namespace hongyan::runtime
