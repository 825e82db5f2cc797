// The Call: what travels with a request through every function that may wait. A function without a
// Call& runs to the end undisturbed. Four fields and no services: dependencies arrive through
// constructors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/time.h"

namespace hongyan::runtime {

struct Trace {
  uint64_t id = 0;  // 0: not traced.
  uint64_t parent = 0;
};

// Lower is more important. Stamped by access, inherited by every call below it (DAGOR, SoCC 2018).
struct Priority {
  uint8_t business = 128;
  uint8_t user = 0;  // 0..127
};

struct Call {
  Time deadline = k_never;
  std::shared_ptr<const std::string> ticket;  // Encoded rpc ticket (rpc/ticket.h); null: nobody.
  Trace trace;
  Priority priority;

  // The same call, ending no later than `limit`.
  Call until(Time limit) const {
    Call shorter = *this;
    if (limit < shorter.deadline) shorter.deadline = limit;
    return shorter;
  }
};

}  // namespace hongyan::runtime

namespace hongyan {
using runtime::Call;
}
