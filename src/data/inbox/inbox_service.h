// data/inbox: per user, the log of everything that user's devices must see. The only writer of k_table_inbox.
//   Durable: an answered append is synced. Idempotent: a second append of one message key changes nothing, for 30
//   days at least. Order: versions of the inbox; a peer's inbox takes a sender's messages in the sender's order.
//   Never lost: a message that is in the sender's inbox reaches the peer's, also when nobody asks again (open_send.h).
// Calls come through the guard, which has checked tickets and grants; what rests on a message's content is checked
// here again. Own errors: client_msg_id_reused, conflict, invalid, too_large, forbidden.
#pragma once

#include <memory>

#include "api/internal/device.rpc.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "data/inbox/core.h"

namespace hongyan::inbox {

struct InboxDeps {
  store::Store& store;             // Holds k_table_inbox; must outlive the service.
  internal::PresenceClient presence;
  internal::DeviceClient device;
  rpc::KeyRing contact_grants;     // Verifies "write" grants, in Append too.
  rpc::ServiceIdentity self;       // "inbox", for the audiences presence and device.
};

class InboxRoom : public internal::InboxService {
 public:
  // Workers: rings, open sends, retention. Between start() and the end of stop() only; without them calls work, but
  // nothing rings and what a dead sender left is not finished.
  virtual void start() = 0;
  virtual Status stop(Call& call) = 0;
  // One round of each worker, for whoever does not run them (tests, tools).
  virtual Status finish_open_sends(Call& call) = 0;
  virtual Status purge(Call& call) = 0;
  virtual void send_rings() = 0;
};

std::unique_ptr<InboxRoom> make_inbox(Env& env, InboxDeps deps, InboxConfig config = {});

}  // namespace hongyan::inbox
