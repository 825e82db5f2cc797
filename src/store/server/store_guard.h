// Who calls the store: a service ticket for the audience "store", signed with the ring of that very service. Each data
// service has a ring of its own here, so that none can act for another. Codes: unauthenticated, forbidden.
#pragma once

#include "rpc/service.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"

namespace hongyan::store {

class StoreGuard : public rpc::Interceptor {
 public:
  // `callers`: service name -> the ring that verifies it.
  StoreGuard(Env& env, rpc::AudienceKeys callers) : env_(env), callers_(std::move(callers)) {}
  Status before(Call& call, const rpc::MethodInfo& method, const rpc::Message& request) override;

 private:
  Env& env_;
  rpc::AudienceKeys callers_;
};

}  // namespace hongyan::store
