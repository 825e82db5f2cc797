// Any bytes as a list of instances (a file that somebody writes, or a name's addresses) and as zones: what is taken keeps
// its limits, and is taken again in the form it has then.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "rpc/routing/channels.h"
#include "rpc/routing/instance.h"

namespace hongyan::rpc {
namespace {

std::string written(const std::vector<NumberRange>& ranges) {
  std::string out;
  for (const NumberRange& range : ranges) {
    out += (out.empty() ? "" : ",") + std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return out;
}

std::string written(const std::vector<Instance>& instances) {
  std::string out;
  for (const Instance& one : instances) {
    out += one.address + " weight=" + std::to_string(one.weight) + " state=" + std::string(name_of(one.state));
    if (!one.zone.empty()) out += " zone=" + one.zone;
    if (!one.segments.empty()) out += " segments=" + written(one.segments);
    if (!one.versions.empty()) out += " version=" + written(one.versions);
    out += "\n";
  }
  return out;
}

void check(const std::vector<Instance>& instances) {
  CHECK(instances.size() <= k_instances_max);
  CHECK(std::ranges::adjacent_find(instances, std::ranges::greater_equal(), &Instance::address) == instances.end());
  for (const Instance& one : instances) {
    CHECK(one.weight >= 1 && one.weight <= k_weight_max);
    CHECK(one.address.size() <= k_instance_address_bytes_max && one.zone.size() <= k_zone_bytes_max);
    CHECK(one.segments.size() <= k_segments_max && one.versions.size() <= k_segments_max);
  }
  const std::string text = written(instances);
  if (text.size() > k_instances_text_bytes_max) return;
  const auto again = parse_instances(text);
  CHECK(again.ok());
  CHECK(written(*again) == text);
}

}  // namespace
}  // namespace hongyan::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::rpc;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto instances = parse_instances(text); instances.ok()) check(*instances);
  if (const auto instances = parse_address_list(text); instances.ok()) check(*instances);
  if (const auto zones = parse_zones(text); zones.ok()) {
    for (const std::string& zone : *zones) CHECK(!zone.empty() && zone.size() <= k_zone_bytes_max);
  }
  return 0;
}
