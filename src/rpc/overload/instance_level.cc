#include "rpc/overload/instance_level.h"

namespace hongyan::rpc {

using runtime::Time;

namespace {

constexpr runtime::Duration k_believed = std::chrono::seconds(1);  // As long as a window: the next one says it anew.
constexpr runtime::Duration k_probe_pause = std::chrono::milliseconds(100);
constexpr uint32_t k_probe_every = 64;  // A refusal costs about a tenth of a call: probes cost 1/640 of what is held back.

}  // namespace

void InstanceLevel::heard(uint32_t level, Time now) {
  level_ = level < k_levels ? level : k_level_open;
  expires_ = runtime::after(now, k_believed);
}

bool InstanceLevel::may_leave(runtime::Priority priority, Time now) {
  if (level_ == k_level_open || now >= expires_ || level_of(priority) <= level_) return true;
  if (++since_probe_ < k_probe_every && now < probe_at_) {
    ++kept_back_;
    return false;
  }
  since_probe_ = 0;
  probe_at_ = runtime::after(now, k_probe_pause);
  ++probes_;
  return true;
}

}  // namespace hongyan::rpc
