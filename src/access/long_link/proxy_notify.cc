#include "access/long_link/proxy_notify.h"

#include "api/gate/envelope.h"

namespace hongyan::access {

void ProxyNotify::ring(const client::Ring& ring) {
  counters_.pushes.add(1);
  push_(api::make_envelope(ring.SerializeAsString()));
}

// Whoever was logged out has had a ring that says so; a superseded link learns it from its next identify.
void ProxyNotify::close_link(api::CloseReason) { end_(); }

}  // namespace hongyan::access
