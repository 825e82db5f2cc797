// Hostile bytes for what is read of a traceparent. What is accepted is written again and read as the same; log lines hold
// whatever comes, one line each.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "runtime/log/log.h"
#include "runtime/trace/traceparent.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::runtime;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const LogField fields[] = {{"value", bytes}};
  for (const auto put : {put_text, put_json}) {
    fmt::memory_buffer line;
    put(line, {.level = LogLevel::info, .text = bytes, .fields = fields});
    CHECK(std::string_view(line.data(), line.size()).find('\n') == std::string_view::npos);
    CHECK(line.size() < 64 * 1024);
  }
  const auto trace = parse_traceparent(bytes);
  if (!trace) return 0;
  CHECK((trace->id != 0 || trace->id_high != 0) && trace->parent != 0);
  const auto again = parse_traceparent(format_traceparent(*trace));
  CHECK(again && again->id == trace->id && again->id_high == trace->id_high && again->parent == trace->parent && again->sampled == trace->sampled);
  return 0;
}
