// Brings a user's pending actions to the peers' entities and clears the mark. Called right after the commit that left
// them, and by the worker for what was left behind. One delivery at a time per user, so that an older action never
// arrives after a newer one to the same peer.
#pragma once

#include <map>
#include <memory>

#include "data/contact/contact_counters.h"
#include "data/contact/contact_ring.h"
#include "data/contact/contact_table.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

namespace hongyan::contact {

class Delivery {
 public:
  Delivery(Env& env, store::Store& store, ContactRing& ring, ContactCounters& counters)
      : env_(env), store_(store), ring_(ring), counters_(counters) {}
  // Ok: everything that was pending when it began is delivered and its mark cleared, or a newer action took over.
  Status deliver(Call& call, uint64_t uin);
  // The worker's: the same, but it does not stand in the way of one that is under way.
  Status deliver_marked(Call& call, uint64_t uin);

 private:
  struct Gate {
    bool busy = false;
    int users = 0;
    runtime::WaitList waiters;
  };
  class Turn;
  struct Pending {
    uint64_t peer = 0;
    PendingRow row;
    uint64_t version = 0;
  };

  struct Round {
    uint64_t version = 0;  // of the entity when it began
    size_t delivered = 0;
  };

  Result<Round> deliver_all(Call& call, uint64_t uin);
  Status deliver_one(Call& call, uint64_t uin, const Pending& pending, const std::optional<store::WorkDone>& done);
  // Changes the peer's edge. Whether the request is mutual.
  Result<bool> change_theirs(Call& call, uint64_t uin, const Pending& pending);
  Status clear(Call& call, uint64_t uin, const Pending& pending, bool mutual,
               const std::optional<store::WorkDone>& done);

  Env& env_;
  store::Store& store_;
  ContactRing& ring_;
  ContactCounters& counters_;
  std::map<uint64_t, Gate> gates_;
};

}  // namespace hongyan::contact
