// Tells a user's devices that their contacts changed. Best effort: a device that misses it learns by its next sync.
#pragma once

#include "api/internal/presence.rpc.pb.h"
#include "data/contact/contact_counters.h"
#include "model/kinds.h"
#include "rpc/service_identity.h"

namespace hongyan::contact {

class ContactRing {
 public:
  ContactRing(internal::PresenceClient presence, rpc::ServiceIdentity& self, ContactCounters& counters)
      : presence_(presence), self_(self), counters_(counters) {}

  void ring(Call& call, uint64_t uin, uint64_t version) {
    internal::RingRequest request;
    request.set_uin(uin);
    request.mutable_ring()->set_key(model::k_ring_contacts);
    request.mutable_ring()->set_version(version);
    Call as_self = self_.as_self(call);
    if (!presence_.ring(as_self, request).ok()) counters_.rings_failed.add(1);
  }

 private:
  internal::PresenceClient presence_;
  rpc::ServiceIdentity& self_;
  ContactCounters& counters_;
};

}  // namespace hongyan::contact
