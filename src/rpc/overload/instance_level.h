// What a caller knows of the level of one instance that it calls: calls below it are refused here, before they cost
// that instance anything. One for every address; whoever shares a channel shares it.
//
// A level is believed for a second after it was heard last, and one in 64 of the calls below it goes out all the same,
// at least one in 100 ms: a stale level heals by the answers to these. A peer that lies about its level makes its
// callers stay away from it, or not, and nothing else; a number that is no level counts as open.
// Pure: no clock, no chance. One thread; times never go back.
#pragma once

#include <cstdint>

#include "rpc/overload/level.h"
#include "runtime/time.h"

namespace hongyan::rpc {

class InstanceLevel {
 public:
  // With an answer of the instance, of whatever kind.
  void heard(uint32_t level, runtime::Time now);
  // Whether a call may leave. False: Code::overloaded at once.
  bool may_leave(runtime::Priority priority, runtime::Time now);

  uint32_t level(runtime::Time now) const { return now < expires_ ? level_ : k_level_open; }
  uint64_t kept_back() const { return kept_back_; }
  uint64_t probes() const { return probes_; }

 private:
  uint32_t level_ = k_level_open;
  runtime::Time expires_{};
  runtime::Time probe_at_{};
  uint32_t since_probe_ = 0;
  uint64_t kept_back_ = 0;
  uint64_t probes_ = 0;
};

}  // namespace hongyan::rpc
