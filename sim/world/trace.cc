#include "sim/world/trace.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace hongyan::sim {

void Trace::add(runtime::Time now, const std::string& line) {
  std::string full = fmt::format("{:.6f} {}", static_cast<double>(now.time_since_epoch().count()) / 1e9, line);
  hash_ = stable_hash(full, hash_);
  ++events_;
  if (listener_) listener_(full);
  newest_.push_back(std::move(full));
  if (newest_.size() > k_kept) newest_.pop_front();
}

}  // namespace hongyan::sim
