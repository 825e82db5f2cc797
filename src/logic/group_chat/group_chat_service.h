// logic/group_chat: groups of the caller and sending into them. Contact's service signs who may be invited, the
// group's service owns the order and the fan-out. Holds no row and no key.
// Errors: not_friend (an invited stranger), not_member, forbidden (not owner or admin), owner_must_stay, group_full, and the general ones.
#pragma once

#include <memory>

#include "api/client/group.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/group.rpc.pb.h"
#include "runtime/env/env.h"

namespace hongyan::logic {

struct GroupChatDeps {
  internal::GroupClient group;
  internal::ContactClient contact;
  internal::AccountClient account;
};

std::unique_ptr<client::GroupChatService> make_group_chat(Env& env, GroupChatDeps deps);

}  // namespace hongyan::logic
