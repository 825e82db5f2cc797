// data/contact: who stands how to whom, and the right to write to somebody. The only writer of the contact table.
//
// A friendship is two directed edges, each in its owner's entity. The owner's entity decides and is committed first,
// with a work mark and the action for the peer in the same commit; the action is delivered at once if possible, else
// by the worker, repeated until done. Actions are idempotent. Removing a friend changes one's own edge only.
// Durability: an answered change of one's own edge has been synced; the peer's follows. Order: `version` grows with
// every change of one's own entity; changes() names each edge once, at its last change.
// Grants: "write" into a friend's inbox, "invite" of a friend, signed with this service's ring, for a minute.
// A block is silent: requests of a blocked user vanish, their messages are refused with `blocked`.
// Limits: limits.h, model/limits.h (k_contacts_max on both sides). Rings of presence are best effort.
// Errors beside those of the store: invalid, not_found, too_large, conflict, not_friend, blocked, contacts_full,
// no_request. Who may call: the policies in api/internal/contact.proto.
#pragma once

#include <memory>

#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "base/share.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"
#include "store/table/table.h"

namespace hongyan::contact {

struct ContactDeps {
  store::Store& store;
  internal::AccountClient account;   // Who exists.
  internal::PresenceClient presence;
  rpc::AudienceKeys audiences;       // Of account and presence: this service calls them as "contact".
  rpc::KeyRing grants;               // Signs "write" and "invite".
};

struct ContactConfig {
  Share share = {};  // Users whose actions this process delivers after a crash.
  // How long an action is left to the request that made it. Within a process it is known whether that still runs; with
  // others, longer than a request may take, so that an older action does not arrive after a newer one.
  runtime::Duration grace{};
};

class Service : public internal::ContactService {
 public:
  // The worker that delivers what was left behind. stop() waits for it and is called before destruction.
  virtual void start() = 0;
  virtual Status stop(Call& call) = 0;
};

// Everything in `deps` must outlive the service.
std::unique_ptr<Service> make_contact(Env& env, ContactDeps deps, ContactConfig config);

}  // namespace hongyan::contact
