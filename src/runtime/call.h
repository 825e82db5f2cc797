// The Call: what travels with a request through every function that may wait. A function without a
// Call& runs to the end undisturbed. Plain fields and no services: dependencies arrive through
// constructors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/time.h"

namespace hongyan::runtime {

// W3C trace context: 128 bits of trace id, the span that called, whether spans of it are kept.
struct Trace {
  uint64_t id = 0;  // The low half; 0: not traced.
  uint64_t parent = 0;
  uint64_t id_high = 0;
  bool sampled = false;
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
  uint64_t routing_key = 0;  // What a channel spreads calls by, a uin for most; 0: none.
  // Whose call it is, as who checked the ticket found (where nobody has a key: as it claims); 0: nobody's, or not known.
  // For the log and for traces: rights are the guard's business.
  uint64_t uin = 0;

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
