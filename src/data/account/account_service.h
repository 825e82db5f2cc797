// data/account: who exists. The only writer of accounts, names and id blocks.
//
// Names: the name's entity decides. The commit that takes a name carries the uin, the profile and the password hash,
// and a work mark; the account entity is written from it at once, by the next who reads the name, or by the worker
// after a restart, and always with the same content. Two that ask for one name get one account. A repeated attempt
// (same 16 bytes, same password) gets the same account; any other gets name_taken.
// Durability: an answered change has been synced. Order: `version` of the account grows with every change.
// Ids: blocks are leased before an id is used; a crash skips ids, never repeats one.
// Limits: limits.h, model/limits.h. Rings of presence are best effort.
// Errors beside those of the store: invalid, not_found, too_large, conflict, overloaded, rate_limited, name_taken,
// bad_name, bad_password, wrong_password. Who may call: the policies in api/internal/account.proto.
#pragma once

#include <memory>

#include "api/internal/account.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "base/share.h"
#include "data/account/password.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"
#include "store/table/table.h"

namespace hongyan::account {

struct AccountDeps {
  store::Store& store;
  internal::PresenceClient presence;
  rpc::AudienceKeys audiences;  // Of presence: this service calls it as "account".
};

struct AccountConfig {
  uint32_t region = 0;  // Ten bits, in every id given out here.
  PasswordCost password_cost;
  Share share = {};     // Names whose accounts this process finishes after a crash.
};

class Service : public internal::AccountService {
 public:
  // The worker that finishes accounts after a crash. stop() waits for it and is called before destruction.
  virtual void start() = 0;
  virtual Status stop(Call& call) = 0;
};

// Everything in `deps` must outlive the service.
std::unique_ptr<Service> make_account(Env& env, AccountDeps deps, AccountConfig config);

}  // namespace hongyan::account
