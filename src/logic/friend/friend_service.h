// logic/friend: the caller's contacts, with the profiles of the others filled in. Holds no row and no key.
#pragma once

#include <memory>

#include "api/client/friend.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "runtime/env/env.h"

namespace hongyan::logic {

struct FriendDeps {
  internal::ContactClient contact;
  internal::AccountClient account;
};

std::unique_ptr<client::FriendService> make_friend(Env& env, FriendDeps deps);

}  // namespace hongyan::logic
