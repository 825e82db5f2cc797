#include "rpc/service_identity.h"

namespace hongyan::rpc {

ServiceIdentity::ServiceIdentity(Env& env, AudienceKeys audiences, std::string service)
    : env_(env), audiences_(std::move(audiences)), service_(std::move(service)) {}

Call ServiceIdentity::as_self(const Call& call) {
  Call own = call;
  own.ticket = ticket();
  return own;
}

Call ServiceIdentity::background(runtime::Duration limit) {
  Call own = runtime::background_call(env_, limit);
  own.ticket = ticket();
  return own;
}

const std::shared_ptr<const std::string>& ServiceIdentity::ticket() {
  const int64_t now_ms = env_.utc_ms();
  // A clock that jumped back makes a new one too.
  if (current_ == nullptr || now_ms >= renew_at_ms_ || renew_at_ms_ - now_ms > k_call_ticket_ms_max) {
    current_ = std::make_shared<const std::string>(
        make_service_ticket(audiences_, service_, now_ms + k_call_ticket_ms_max));
    renew_at_ms_ = now_ms + k_call_ticket_ms_max / 2;
  }
  return current_;
}

}  // namespace hongyan::rpc
