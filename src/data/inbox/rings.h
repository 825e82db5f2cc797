// "Something new up to v" to the devices of a user, through presence. Rings of one user that wait are merged; they
// are sent by one coroutine, after the commit and never in its way. A lost ring is not an error: at k_rings_waiting_max
// further ones are dropped, a failing one is counted and forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "api/client/message.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "data/inbox/inbox_counters.h"
#include "rpc/service_identity.h"
#include "runtime/coro/sync.h"

namespace hongyan::inbox {

class Rings {
 public:
  Rings(internal::PresenceClient presence, rpc::ServiceIdentity self, InboxCounters& counters);

  // `except_device`: the one that caused it and knows already.
  void ring(uint64_t uin, uint64_t version, const client::Conversation& conversation, uint64_t actor,
            std::string except_device);
  // The coroutine: sends until stop().
  void run();
  void stop();
  // Sends what waits now.
  void flush();
  // A copy that calls as the inbox itself, for calls that nobody's request stands behind.
  Call as_self(const Call& call) { return self_.as_self(call); }

 private:
  void send(internal::RingRequest request);

  internal::PresenceClient presence_;
  rpc::ServiceIdentity self_;
  InboxCounters& counters_;
  std::map<uint64_t, internal::RingRequest> waiting_;
  runtime::CondVar news_;
  bool stopping_ = false;
};

}  // namespace hongyan::inbox
