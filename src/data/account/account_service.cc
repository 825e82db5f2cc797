#include "data/account/account_service.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "data/account/account_counters.h"
#include "data/account/account_rules.h"
#include "data/account/account_table.h"
#include "data/account/id_blocks.h"
#include "data/account/limits.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/tables.h"
#include "queue/task/worker.h"
#include "rpc/service_identity.h"
#include "runtime/log/log.h"

namespace hongyan::account {

namespace {

using store::absent;
using store::put;
using store::row_at;

Status wrong_password() { return model::error(model::ErrorCode::wrong_password, "no such name, or another password"); }
Status name_taken() { return model::error(model::ErrorCode::name_taken, "the name belongs to another account"); }

std::string key_of(std::string_view key) { return std::string(key); }

std::string guess_key(uint64_t uin) { return "uin:" + std::to_string(uin); }

class AccountService final : public Service {
 public:
  AccountService(Env& env, AccountDeps deps, AccountConfig config);

  void start() override { worker_.start(); }
  Status stop(Call& call) override { return worker_.stop(call); }

  Result<internal::CreateAccountResponse> create(Call& call, const internal::CreateAccountRequest& request) override;
  Result<internal::CheckPasswordResponse> check_password(Call& call,
                                                         const internal::CheckPasswordRequest& request) override;
  Result<internal::GetAccountResponse> get(Call& call, const internal::GetAccountRequest& request) override;
  Result<internal::SetProfileResponse> set_profile(Call& call, const internal::SetProfileRequest& request) override;
  Result<internal::SetPasswordResponse> set_password(Call& call, const internal::SetPasswordRequest& request) override;
  Result<internal::ProfilesResponse> profiles(Call& call, const internal::ProfilesRequest& request) override;
  Result<internal::FindResponse> find(Call& call, const internal::FindRequest& request) override;
  Result<internal::LeaseIdsResponse> lease_ids(Call& call, const internal::LeaseIdsRequest& request) override;

 private:
  // The row that a new name would get, with a new uin and the password's hash.
  Result<NameRow> new_row(Call& call, const internal::CreateAccountRequest& request, const std::string& name);
  // Takes the name, or returns the row of who has it. `taken` says which.
  Result<StoredName> take_name(Call& call, const store::EntityId& entity, const NameRow& row, bool* taken);
  // Whether a name that is there belongs to the attempt that asks for it: ok, or name_taken.
  Status check_same_attempt(Call& call, const StoredName& name, const internal::CreateAccountRequest& request);
  // Writes the account of a name that is still pending, then strips the name's row. Idempotent.
  Status finish(Call& call, const store::EntityId& entity, const StoredName& name);
  Status finish_later(Call& call, const store::Work& work);

  Result<StoredAccount> read(Call& call, uint64_t uin);       // Code::not_found
  // The account of a name, finished if need be. Code::not_found.
  Result<StoredAccount> read_by_name(Call& call, const store::EntityId& entity);
  // Whether this is the account's password; the failure is counted against both keys.
  Status check_guess(Call& call, const StoredAccount* account, std::string_view password,
                     const std::string& name_key, const std::string& address_key);
  // Whether it was this session that changed the password, and not long ago.
  bool changed_by(const PasswordRow& row, const rpc::Identity& me);
  // A change whose answer was lost, asked for again: done when the new password is the account's.
  Result<internal::SetPasswordResponse> confirm_change(Call& call, const StoredAccount& stored,
                                                       const internal::SetPasswordRequest& request);
  void ring(Call& call, uint64_t uin, uint64_t version);

  // Names whose registration is under way: the worker leaves them alone.
  class Creating {
   public:
    Creating(std::multiset<std::string>& names, const std::string& name) : names_(names), at_(names.insert(name)) {}
    Creating(const Creating&) = delete;
    Creating& operator=(const Creating&) = delete;
    ~Creating() { names_.erase(at_); }

   private:
    std::multiset<std::string>& names_;
    std::multiset<std::string>::iterator at_;
  };

  Env& env_;
  AccountDeps deps_;
  AccountCounters counters_;
  rpc::ServiceIdentity self_;
  PasswordHasher hasher_;
  FailureLimiter failures_;
  IdBlocks ids_;
  std::multiset<std::string> creating_;
  task::Worker worker_;
};

AccountService::AccountService(Env& env, AccountDeps deps, AccountConfig config)
    : env_(env),
      deps_(std::move(deps)),
      counters_(env.counters()),
      self_(env, deps_.audiences, "account"),
      hasher_(env, config.password_cost),
      ids_(deps_.store, config.region),
      worker_(env, deps_.store, model::k_work_create_account,
              [this](Call& call, const store::Work& work) { return finish_later(call, work); }, {.share = config.share}) {}

Result<internal::CreateAccountResponse> AccountService::create(Call& call,
                                                               const internal::CreateAccountRequest& request) {
  const std::string folded = TRY(fold_name(request.name_space(), request.name()));
  TRY(check_new_account(request));
  const store::EntityId entity = name_entity(request.name_space(), folded);
  const Creating creating(creating_, entity.id);

  StoredName name = TRY(read_name(call, deps_.store, entity));
  bool taken_now = false;
  if (!name.exists) {
    const NameRow row = TRY(new_row(call, request, folded));
    name = TRY(take_name(call, entity, row, &taken_now));
  }
  if (!taken_now) TRY(check_same_attempt(call, name, request));
  if (name.row.has_account()) TRY(finish(call, entity, name));

  const StoredAccount stored = TRY(read(call, name.row.uin()));
  if (taken_now) counters_.created.add(1);
  internal::CreateAccountResponse out;
  out.set_uin(name.row.uin());
  *out.mutable_account() = account_of(stored);
  out.set_existed(!taken_now);
  return out;
}

Result<NameRow> AccountService::new_row(Call& call, const internal::CreateAccountRequest& request,
                                        const std::string& name) {
  NameRow row;
  if (!request.password().empty()) {
    row.mutable_password()->set_encoded(TRY(hasher_.hash(call, request.password())));
    row.mutable_password()->set_changed_ms(env_.utc_ms());
  }
  row.set_uin(TRY(ids_.next_uin(call)));
  row.set_attempt(request.attempt());
  AccountRow& account = *row.mutable_account();
  account.set_uin(row.uin());
  account.set_name_space(request.name_space());
  account.set_name(name);
  account.set_nickname(request.nickname());
  account.set_avatar_color(request.avatar_color() == 0 ? color_of(row.uin()) : request.avatar_color());
  account.set_type(request.type() == 0 ? 1 : request.type());
  account.set_created_ms(env_.utc_ms());
  return row;
}

Result<StoredName> AccountService::take_name(Call& call, const store::EntityId& entity, const NameRow& row,
                                             bool* taken) {
  store::Commit commit{.entity = entity};
  commit.preconditions = {absent(key_of(k_row_name))};
  commit.mutations = {put(key_of(k_row_name), row)};
  commit.mark_work = model::k_work_create_account;
  const store::CommitReply reply = TRY(deps_.store.commit(call, std::move(commit)));
  *taken = reply.committed;
  if (reply.committed) return StoredName{.header = reply.header, .row = row, .exists = true};
  ENSURE(reply.present.has_value());
  return StoredName{.header = reply.header, .row = TRY(parse_name(reply.present->value)), .exists = true};
}

Status AccountService::check_same_attempt(Call& call, const StoredName& name,
                                          const internal::CreateAccountRequest& request) {
  if (name.row.attempt() != request.attempt()) return name_taken();
  // A device that was lent to somebody else makes the same attempt: only the password tells them apart.
  std::string encoded = name.row.password().encoded();
  if (!name.row.has_account()) encoded = TRY(read(call, name.row.uin())).password.encoded();
  if (encoded.empty() || request.password().empty()) {
    return encoded.empty() && request.password().empty() ? Status() : name_taken();
  }
  const std::string key = guess_key(name.row.uin());
  if (failures_.full(key, env_.now())) return Status(Code::rate_limited, "too many wrong passwords");
  failures_.add(key, env_.now());
  const bool same = TRY(hasher_.verify(call, request.password(), encoded));
  if (!same) return name_taken();
  failures_.forget(key);
  return {};
}

Status AccountService::finish(Call& call, const store::EntityId& entity, const StoredName& name) {
  store::Commit account{.entity = account_entity(name.row.uin())};
  account.preconditions = {absent(key_of(k_row_profile))};
  account.mutations = {put(key_of(k_row_profile), name.row.account())};
  if (name.row.has_password()) account.mutations.push_back(put(key_of(k_row_password), name.row.password()));
  TRY(deps_.store.commit(call, std::move(account)));  // Not committed: somebody else has finished it.

  NameRow bare;
  bare.set_uin(name.row.uin());
  bare.set_attempt(name.row.attempt());
  store::Commit strip{.entity = entity};
  strip.mutations = {put(key_of(k_row_name), bare)};
  strip.visibility = store::Visibility::silent;
  strip.work_done = {.tag = model::k_work_create_account, .done_up_to = name.header.version};
  TRY(deps_.store.commit(call, std::move(strip)));
  return {};
}

Status AccountService::finish_later(Call& call, const store::Work& work) {
  if (creating_.contains(work.entity.id)) return {};  // If that fails, the mark brings the worker back.
  const StoredName name = TRY(read_name(call, deps_.store, work.entity));
  ENSURE(name.exists);
  if (name.row.has_account()) {
    counters_.finished_late.add(1);
    return finish(call, work.entity, name);
  }
  store::Commit done{.entity = work.entity};
  done.visibility = store::Visibility::silent;
  done.work_done = {.tag = model::k_work_create_account, .done_up_to = name.header.version};
  TRY(deps_.store.commit(call, std::move(done)));
  return {};
}

Result<StoredAccount> AccountService::read(Call& call, uint64_t uin) {
  const StoredAccount stored = TRY(parse_account(TRY(deps_.store.read(call, account_read(uin)))));
  if (!stored.exists()) return Status(Code::not_found, "no such account");
  return stored;
}

Result<StoredAccount> AccountService::read_by_name(Call& call, const store::EntityId& entity) {
  const StoredName name = TRY(read_name(call, deps_.store, entity));
  if (!name.exists) return Status(Code::not_found, "no such name");
  if (name.row.has_account()) TRY(finish(call, entity, name));
  return read(call, name.row.uin());
}

Status AccountService::check_guess(Call& call, const StoredAccount* account, std::string_view password,
                                   const std::string& name_key, const std::string& address_key) {
  const bool with_address = !address_key.empty();
  const auto now = env_.now();
  if (failures_.full(name_key, now) || (with_address && failures_.full(address_key, now, k_address_failures_max))) {
    counters_.guesses_refused.add(1);
    return Status(Code::rate_limited, "too many wrong passwords; wait ten minutes");
  }
  // Counted before it is known, so that a hundred at once are no hundred guesses.
  failures_.add(name_key, now);
  if (with_address) failures_.add(address_key, now);
  const bool has_password = account != nullptr && account->password_version != 0;
  const Result<bool> same = [&]() -> Result<bool> {
    if (has_password) return hasher_.verify(call, password, account->password.encoded());
    TRY(hasher_.pretend(call, password));
    return false;
  }();
  if (same.ok() && !*same) {
    counters_.passwords_wrong.add(1);
    return wrong_password();
  }
  if (with_address) failures_.take_back(address_key);
  if (!same.ok()) {
    if (same.code() == Code::overloaded) counters_.hashes_refused.add(1);
    failures_.take_back(name_key);
    return same.status();
  }
  failures_.forget(name_key);
  counters_.passwords_good.add(1);
  return {};
}

Result<internal::CheckPasswordResponse> AccountService::check_password(
    Call& call, const internal::CheckPasswordRequest& request) {
  if (request.address().size() > k_address_bytes_max) return Status(Code::invalid, "address is too long");
  const Result<std::string> folded = fold_name(k_login, request.user_name());
  // No such name or password can exist, which everybody may know: no hash is spent on it.
  if (!folded.ok() || !account::check_password(request.password()).ok()) return wrong_password();

  const Result<StoredAccount> stored = read_by_name(call, name_entity(k_login, *folded));
  if (!stored.ok() && stored.code() != Code::not_found) return stored.status();
  const std::string address_key = request.address().empty() ? "" : "address:" + request.address();
  TRY(check_guess(call, stored.ok() ? &stored.value() : nullptr, request.password(), "name:" + *folded, address_key));
  internal::CheckPasswordResponse out;
  out.set_uin(stored->account.uin());
  *out.mutable_account() = account_of(*stored);
  return out;
}

Result<internal::GetAccountResponse> AccountService::get(Call& call, const internal::GetAccountRequest& request) {
  const StoredAccount stored = TRY(read(call, request.uin()));
  internal::GetAccountResponse out;
  *out.mutable_account() = account_of(stored);
  out.set_incarnation(stored.header.incarnation);
  out.set_version(stored.header.version);
  return out;
}

Result<internal::SetProfileResponse> AccountService::set_profile(Call& call,
                                                                 const internal::SetProfileRequest& request) {
  for (int i = 0; i < k_commit_tries_max; ++i) {
    StoredAccount stored = TRY(read(call, request.uin()));
    TRY(apply_profile(request, stored.account));
    internal::SetProfileResponse out;
    if (request.fields_size() > 0) {
      store::Commit commit{.entity = account_entity(request.uin())};
      commit.preconditions = {row_at(key_of(k_row_profile), stored.account_version)};
      commit.mutations = {put(key_of(k_row_profile), stored.account)};
      const store::CommitReply reply = TRY(deps_.store.commit(call, std::move(commit)));
      if (!reply.committed) continue;
      stored.header = reply.header;
      stored.account_version = reply.header.version;
      ring(call, request.uin(), reply.header.version);
    }
    *out.mutable_account() = account_of(stored);
    return out;
  }
  return Status(Code::conflict, "the profile is being changed by others");
}

Result<internal::SetPasswordResponse> AccountService::set_password(Call& call,
                                                                   const internal::SetPasswordRequest& request) {
  TRY(account::check_password(request.new_password()));
  const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
  const StoredAccount stored = TRY(read(call, request.uin()));
  if (!account::check_password(request.old_password()).ok() || stored.password_version == 0) return wrong_password();
  const Status guess = check_guess(call, &stored, request.old_password(), guess_key(request.uin()), "");
  if (guess.code() == wrong_password().code() && changed_by(stored.password, me)) return confirm_change(call, stored, request);
  TRY(guess);

  PasswordRow row;
  row.set_encoded(TRY(hasher_.hash(call, request.new_password())));
  row.set_changed_ms(env_.utc_ms());
  row.set_changed_by_device(me.device);
  row.set_changed_by_epoch(me.epoch);
  store::Commit commit{.entity = account_entity(request.uin())};
  commit.preconditions = {row_at(key_of(k_row_password), stored.password_version)};
  commit.mutations = {put(key_of(k_row_password), row)};
  const store::CommitReply reply = TRY(deps_.store.commit(call, std::move(commit)));
  if (!reply.committed) {
    const StoredAccount now = TRY(read(call, request.uin()));
    if (changed_by(now.password, me)) return confirm_change(call, now, request);
    return Status(Code::conflict, "the password was changed at the same moment");
  }
  ring(call, request.uin(), reply.header.version);
  return internal::SetPasswordResponse();
}

bool AccountService::changed_by(const PasswordRow& row, const rpc::Identity& me) {
  return row.changed_by_device() == me.device && row.changed_by_epoch() == me.epoch && !me.device.empty() &&
         env_.utc_ms() - row.changed_ms() < k_password_retry_ms;
}

// The old password was right when this very session changed it. The new one is a guess like any other: it is counted, and
// whoever guesses it learns what the same guess as the old password would have told.
Result<internal::SetPasswordResponse> AccountService::confirm_change(Call& call, const StoredAccount& stored,
                                                                     const internal::SetPasswordRequest& request) {
  TRY(check_guess(call, &stored, request.new_password(), guess_key(request.uin()), ""));
  counters_.changes_repeated.add(1);
  return internal::SetPasswordResponse();
}

// The server itself, in whose name integrators' system messages come: everybody knows it, nobody logs in as it.
client::Profile system_profile() {
  client::Profile profile;
  profile.set_uin(model::k_system_uin);
  profile.set_nickname("Hongyan");
  profile.set_avatar_color(0x0b7a75);
  profile.set_type(4);
  return profile;
}

Result<internal::ProfilesResponse> AccountService::profiles(Call& call, const internal::ProfilesRequest& request) {
  const auto total = static_cast<size_t>(request.uins_size());
  if (total > k_profiles_max) return Status(Code::too_large, "more than 500 uins");
  internal::ProfilesResponse out;
  if (std::ranges::find(request.uins(), model::k_system_uin) != request.uins().end()) *out.add_profiles() = system_profile();
  for (size_t from = 0; from < total; from += k_reads_at_once_max) {
    std::vector<store::Read> reads;
    for (size_t i = from; i < std::min(total, from + k_reads_at_once_max); ++i) {
      reads.push_back({.entity = account_entity(request.uins(static_cast<int>(i))),
                       .from = std::string(k_row_profile),
                       .rows_max = 1});
    }
    for (const Result<store::ReadReply>& reply : deps_.store.read_many(call, reads)) {
      if (!reply.ok()) return reply.status();
      const StoredAccount stored = TRY(parse_account(*reply));
      if (stored.exists()) *out.add_profiles() = profile_of(stored);
    }
  }
  return out;
}

Result<internal::FindResponse> AccountService::find(Call& call, const internal::FindRequest& request) {
  const std::string folded = TRY(fold_name(request.name_space(), request.name()));
  const StoredAccount stored = TRY(read_by_name(call, name_entity(request.name_space(), folded)));
  internal::FindResponse out;
  *out.mutable_profile() = profile_of(stored);
  return out;
}

Result<internal::LeaseIdsResponse> AccountService::lease_ids(Call& call, const internal::LeaseIdsRequest& request) {
  if (request.kind() != "group") return Status(Code::unsupported, "the kind of id that can be leased is \"group\"");
  internal::LeaseIdsResponse out;
  out.set_first(TRY(ids_.lease_groups(call, request.count())));
  out.set_count(request.count());
  return out;
}

void AccountService::ring(Call& call, uint64_t uin, uint64_t version) {
  internal::RingRequest request;
  request.set_uin(uin);
  request.mutable_ring()->set_key(model::k_ring_account);
  request.mutable_ring()->set_version(version);
  Call as_self = self_.as_self(call);
  if (!deps_.presence.ring(as_self, request).ok()) counters_.rings_failed.add(1);
}

}  // namespace

std::unique_ptr<Service> make_account(Env& env, AccountDeps deps, AccountConfig config) {
  return std::make_unique<AccountService>(env, std::move(deps), config);
}

}  // namespace hongyan::account
