// How a service calls another as itself: copies of a call that carry its service ticket. Holds only the keys of the
// audiences it may call. Tickets last a minute and are made anew when half of it is over.
#pragma once

#include <memory>
#include <string>

#include "rpc/ticket.h"

namespace hongyan::rpc {

class ServiceIdentity {
 public:
  ServiceIdentity(Env& env, AudienceKeys audiences, std::string service);
  // Keeps deadline, trace and priority of `call`.
  Call as_self(const Call& call);
  // For work nobody waits for.
  Call background(runtime::Duration limit);

 private:
  const std::shared_ptr<const std::string>& ticket();
  Env& env_;
  AudienceKeys audiences_;
  std::string service_;
  std::shared_ptr<const std::string> current_;
  int64_t renew_at_ms_ = 0;
};

}  // namespace hongyan::rpc
