// data/group: groups, who is in them, their log. The only writer of the group tables.
//
// Order: a group has one order, its seq, the same for all members. Every change of the group (a message, a rename, a
// join) is one visible commit and one row of the log, with a work mark; an answer means durable with the mark.
// Fan-out: one job per group, not per message: the worker reads the log from the cursor to the head and writes each
// member one commit with all rows the member may see, in seq order; the cursor moves by a silent commit when all have
// theirs. Members who left get what came before, and the row that says so. A member whose inbox fails is caught up apart
// from the others (fan_out.h). Large groups, and who mutes the group, get markers instead of rows.
// Roles: the owner and admins rename and remove members, the owner alone appoints admins and removes them; everybody
// invites and leaves. An owner who leaves hands over: to the admin who is in it longest, else to the member who is.
// Dedup: by message key, for ever as the rows stand. Errors: not_member, not_found, forbidden, group_full,
// owner_must_stay, client_msg_id_reused, invalid, too_large, conflict and the store's. Who may call: the policies in
// api/internal/group.proto; a member's rights follow from its row here.
#pragma once

#include <memory>

#include "api/internal/account.rpc.pb.h"
#include "api/internal/group.rpc.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "base/share.h"
#include "model/limits.h"
#include "rpc/service_identity.h"
#include "rpc/ticket.h"
#include "store/table/table.h"

namespace hongyan::group {

struct GroupDeps {
  store::Store& store;
  internal::AccountClient account;  // Leases ids.
  internal::InboxClient inbox;
  rpc::KeyRing contact_grants;      // Verifies "invite".
  rpc::KeyRing grants;              // Signs "fan_out" job grants.
  rpc::ServiceIdentity self;        // "group", for the audiences account and inbox.
};

struct GroupConfig {
  size_t row_members_max = model::k_group_row_members_max;  // Larger groups are served by markers.
  Share share = {};                                         // Groups whose fan-out this process does.
};

class Service : public internal::GroupService {
 public:
  // The fan-out worker. stop() waits for it and is called before destruction.
  virtual void start() = 0;
  virtual Status stop(Call& call) = 0;
};

// Everything in `deps` must outlive the service.
std::unique_ptr<Service> make_group(Env& env, GroupDeps deps, GroupConfig config);

}  // namespace hongyan::group
