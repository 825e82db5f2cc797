// The interceptor of a data service: refuses a call before a row is read unless the method's declared policy holds.
// A method that is `public` is open to whoever has a ticket, at a rate: a token bucket for each (method, caller).
// Codes: unauthenticated (no, expired, revoked, forged ticket), forbidden (a good ticket without the right), rate_limited.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "rpc/rate.h"
#include "rpc/service.h"
#include "rpc/ticket.h"
#include "runtime/counters/counters.h"

namespace hongyan::rpc {

// Epochs that no longer count: (uin, device) -> the lowest epoch that is still good. Filled by data/device when a
// device logs out, is kicked or logs in again; kept until the last ticket of that epoch has expired.
class Revocations {
 public:
  void revoke_below(uint64_t uin, const std::string& device, uint32_t epoch, int64_t until_ms);
  bool revoked(const Identity& identity) const;
  void trim(int64_t now_ms);
  size_t size() const { return lowest_.size(); }

 private:
  struct Lowest { uint32_t epoch; int64_t until_ms; };
  std::map<std::pair<uint64_t, std::string>, Lowest> lowest_;
};

// How often one caller may call one public method.
struct PublicLimits {
  Rate per_user = {};              // Of all devices of a user together; 0: as often as they like.
  Rate per_service = {};           // A service calls for many.
  size_t callers_max = 20'000;     // Buckets kept, about 200 bytes each; who is forgotten starts with a full one.
};

class Guard : public Interceptor {
 public:
  // `issuers`: service name -> ring that verifies its grants. `own` is this audience's ring.
  Guard(Env& env, std::string audience, KeyRing own, AudienceKeys issuers, const Revocations& revocations,
        PublicLimits limits = {});
  Status before(Call& call, const MethodInfo& method, const Message& request) override;
  // The lowest for a ticket whose MAC or time is not good.
  runtime::Priority priority(std::string_view ticket, runtime::Priority asked) override;

 private:
  // A ticket whose MAC was good. Held, so that its address stays its own: who shows the same object in this process
  // shows the same bytes. Its time, and whether it was revoked, is asked each time.
  struct Seen {
    std::shared_ptr<const std::string> ticket;
    Caller caller;
  };
  Result<const Caller*> caller_of(const Call& call, int64_t now_ms);

  Env& env_;
  std::string audience_;
  KeyRing own_;
  AudienceKeys issuers_;
  const Revocations& revocations_;
  std::vector<Seen> seen_;
  // Tickets that came over the network with a good MAC, by their bytes: a device shows the same one for a second.
  struct Heard {
    std::string ticket;
    Caller caller;
  };
  std::vector<Heard> heard_;
  // Grants whose MAC was good, by their bytes: their issuer gives out the same one for a second.
  struct SeenGrant {
    const KeyRing* issuer = nullptr;  // Whose MAC it has: another service's says nothing.
    std::string encoded;
    Grant grant;
    int64_t at_ms = 0;
  };
  Result<const Grant*> seen_grant(const KeyRing& issuer, std::string_view encoded, int64_t now_ms);
  bool is_granted(const MethodPolicy& policy, const Caller& caller, const Message& request, int64_t now_ms);
  std::vector<SeenGrant> grants_;
  using PublicCaller = std::tuple<std::string, uint64_t, std::string>;  // Method, uin, service.
  Status admit_public(const MethodInfo& method, const Caller& caller);

  RateLimiter<PublicCaller> users_, services_;
  runtime::Counter* limited_ = nullptr;  // Null: nothing is limited.
};

}  // namespace hongyan::rpc
