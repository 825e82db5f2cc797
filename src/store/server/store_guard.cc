#include "store/server/store_guard.h"

#include <algorithm>

namespace hongyan::store {

Status StoreGuard::before(Call& call, const rpc::MethodInfo& method, const rpc::Message&) {
  const rpc::Caller claimed = TRY(rpc::caller_of(call));
  const auto ring = callers_.find(claimed.service);
  if (claimed.service.empty() || ring == callers_.end()) {
    return Status(Code::unauthenticated, "store: a ticket of no service that is known here");
  }
  TRY(rpc::check_call_ticket(ring->second, "store", *call.ticket, env_.utc_ms()));
  if (std::ranges::find(method.policy.services, claimed.service) == method.policy.services.end()) {
    return Status(Code::forbidden, "the ticket gives no right to " + std::string(method.full_name));
  }
  return {};
}

}  // namespace hongyan::store
