#include "rpc/guard.h"

#include <algorithm>

#include "base/hash.h"
#include "rpc/overload/level.h"

namespace hongyan::rpc {

namespace {
constexpr size_t k_seen_tickets = 1024;  // Of those who call now; a quarter of a megabyte.
constexpr size_t k_heard_tickets = 1024;
constexpr size_t k_seen_grants = 1024;  // Of those who write now; as many bytes.
}  // namespace

void Revocations::revoke_below(uint64_t uin, const std::string& device, uint32_t epoch, int64_t until_ms) {
  Lowest& lowest = lowest_.try_emplace({uin, device}, Lowest{.epoch = 0, .until_ms = until_ms}).first->second;
  lowest.epoch = std::max(lowest.epoch, epoch);  // A late, older revocation takes nothing back.
  lowest.until_ms = std::max(lowest.until_ms, until_ms);
}

bool Revocations::revoked(const Identity& identity) const {
  const auto found = lowest_.find({identity.uin, identity.device});
  return found != lowest_.end() && identity.epoch < found->second.epoch;
}

void Revocations::trim(int64_t now_ms) {
  std::erase_if(lowest_, [now_ms](const auto& entry) { return entry.second.until_ms <= now_ms; });
}

Guard::Guard(Env& env, std::string audience, KeyRing own, AudienceKeys issuers, const Revocations& revocations,
             PublicLimits limits)
    : env_(env),
      audience_(std::move(audience)),
      own_(std::move(own)),
      issuers_(std::move(issuers)),
      revocations_(revocations),
      seen_(k_seen_tickets),
      heard_(k_heard_tickets),
      grants_(k_seen_grants),
      users_(limits.per_user, limits.callers_max),
      services_(limits.per_service, limits.callers_max) {
  if (limits.per_user.per_second <= 0 && limits.per_service.per_second <= 0) return;
  limited_ = &env.counters().counter("hongyan_guard_rate_limited", "Calls of public methods over their caller's rate");
}

Result<const Caller*> Guard::caller_of(const Call& call, int64_t now_ms) {
  const auto place = reinterpret_cast<uintptr_t>(call.ticket.get()) / alignof(std::max_align_t) % seen_.size();
  Seen& seen = seen_[place];
  if (seen.ticket != call.ticket) {
    Caller caller = TRY(check_call_ticket(own_, audience_, *call.ticket, now_ms));
    seen = {call.ticket, std::move(caller)};
  } else {
    TRY(check_call_ticket_time(seen.caller, now_ms));
  }
  return &seen.caller;
}

runtime::Priority Guard::priority(std::string_view ticket, runtime::Priority asked) {
  if (ticket.empty()) return k_priority_lowest;
  const int64_t now_ms = env_.utc_ms();
  Heard& heard = heard_[stable_hash(ticket) % heard_.size()];
  if (heard.ticket != ticket) {
    Result<Caller> caller = check_call_ticket(own_, audience_, ticket, now_ms);
    if (!caller.ok()) return k_priority_lowest;
    heard = {std::string(ticket), std::move(*caller)};
  } else if (!check_call_ticket_time(heard.caller, now_ms).ok()) {
    return k_priority_lowest;
  }
  return priority_within(heard.caller, asked);
}

namespace {

bool owns(const MethodPolicy& policy, const Caller& caller, const Message& request) {
  if (policy.owner == nullptr || !caller.service.empty()) return false;
  if (policy.owner(request) != caller.identity.uin) return false;
  return policy.device == nullptr || policy.device(request) == caller.identity.device;
}

bool is_listed(const MethodPolicy& policy, const Caller& caller) {
  return !caller.service.empty() && std::ranges::find(policy.services, caller.service) != policy.services.end();
}

}  // namespace

// By a hash of all its bytes, so that who guesses at a MAC is compared with nothing that is alike.
Result<const Grant*> Guard::seen_grant(const KeyRing& issuer, std::string_view encoded, int64_t now_ms) {
  SeenGrant& seen = grants_[stable_hash(encoded) % grants_.size()];
  const bool same = seen.issuer == &issuer && seen.encoded == encoded;
  if (same && seen.at_ms <= now_ms && (seen.grant.job || seen.grant.expires_ms > now_ms)) return &seen.grant;
  Grant grant = TRY(check_grant(issuer, encoded, now_ms));
  seen = {&issuer, std::string(encoded), std::move(grant), now_ms};
  return &seen.grant;
}

// A grant is the actor's and goes with the actor's ticket; a job grant is presented by the service that does the work.
bool Guard::is_granted(const MethodPolicy& policy, const Caller& caller, const Message& request, int64_t now_ms) {
  if (policy.grant == nullptr) return false;
  const auto issuer = issuers_.find(policy.grant_issuer);
  if (issuer == issuers_.end()) return false;
  const Result<const Grant*> seen = seen_grant(issuer->second, policy.grant(request), now_ms);
  if (!seen.ok() || (*seen)->issuer != policy.grant_issuer) return false;
  const Grant& grant = **seen;
  if (grant.right != policy.grant_right || grant.object != policy.grant_object(request)) return false;
  return grant.job ? !caller.service.empty() : caller.service.empty() && grant.actor == caller.identity.uin;
}

Status Guard::before(Call& call, const MethodInfo& method, const Message& request) {
  if (call.ticket == nullptr) return Status(Code::unauthenticated, "the call has no ticket");
  const int64_t now_ms = env_.utc_ms();
  const Caller& caller = *TRY(caller_of(call, now_ms));
  if (caller.service.empty()) call.uin = caller.identity.uin;  // A service calls in the name of whom it knows.
  if (caller.service.empty() && revocations_.revoked(caller.identity)) {
    return Status(Code::unauthenticated, "the ticket is revoked");
  }
  const MethodPolicy& policy = method.policy;
  const auto granted = [&] { return is_granted(policy, caller, request, now_ms); };
  if (policy.all) {
    if (owns(policy, caller, request) && granted()) return {};
  } else if (owns(policy, caller, request) || is_listed(policy, caller) || granted()) {
    return {};
  } else if (policy.is_public) {
    return admit_public(method, caller);
  }
  return Status(Code::forbidden, "the ticket gives no right to " + std::string(method.full_name));
}

Status Guard::admit_public(const MethodInfo& method, const Caller& caller) {
  if (limited_ == nullptr) return {};
  RateLimiter<PublicCaller>& buckets = caller.service.empty() ? users_ : services_;
  const PublicCaller key{std::string(method.full_name), caller.identity.uin, caller.service};
  if (buckets.take(key, env_.now()) == runtime::Duration::zero()) return {};
  limited_->add(1);
  return Status(Code::rate_limited, "too many calls of " + std::string(method.full_name));
}

}  // namespace hongyan::rpc
