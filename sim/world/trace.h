// What happened in a run: every event goes into one hash, so that two runs of a seed can be compared to the byte, and
// the newest ones are kept in words for the report of a failure.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "runtime/time.h"

namespace hongyan::sim {

class Trace {
 public:
  // Called with each line as it happens; empty: nobody listens.
  void listen(std::function<void(const std::string&)> listener) { listener_ = std::move(listener); }
  void add(runtime::Time now, const std::string& line);
  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }
  const std::deque<std::string>& newest() const { return newest_; }

 private:
  static constexpr size_t k_kept = 60;  // A screen: what led to a failure is mostly in there.
  uint64_t hash_ = 0;
  uint64_t events_ = 0;
  std::deque<std::string> newest_;
  std::function<void(const std::string&)> listener_;
};

}  // namespace hongyan::sim
