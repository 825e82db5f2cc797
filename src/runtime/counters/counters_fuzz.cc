// Hostile bytes for the reader of counters, which reads what other processes wrote. What it accepts can be drawn.
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.h"
#include "runtime/counters/sample.h"

namespace hongyan::runtime {
namespace {

// Inputs are small: the header is given room for itself and as few names and cells as the input asks for.
std::string memory_of(const uint8_t* data, size_t size) {
  using namespace counter_format;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t head = sizeof(Header);
  if (bytes.size() > head) bytes.insert(head, k_header_bytes - head, '\0');
  return bytes;
}

}  // namespace
}  // namespace hongyan::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::runtime;
  const std::string bytes = memory_of(data, size);
  const auto read = read_counters(bytes);
  if (!read.ok()) return 0;
  CHECK(read->samples.size() * counter_format::k_entry_bytes <= bytes.size());
  CHECK(open_metrics(read->samples).ends_with("# EOF\n"));
  for (const CounterSample& sample : read->samples) {
    if (!sample.buckets.empty()) CHECK(sample.quantile(0.99) <= sample.max || sample.count() == 0 || sample.max < 0);
  }
  return 0;
}
