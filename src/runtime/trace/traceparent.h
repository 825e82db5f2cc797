// How a trace is written in a header of HTTP (W3C Trace Context, traceparent):
// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/call.h"

namespace hongyan::runtime {

// Nothing: it is none. Fields that a later version appends are passed over, as the standard wants.
std::optional<Trace> parse_traceparent(std::string_view text);
// Its parent is the span that calls, or has answered.
std::string format_traceparent(const Trace& trace);

}  // namespace hongyan::runtime
