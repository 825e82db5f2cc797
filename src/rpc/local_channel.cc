#include "rpc/local_channel.h"

namespace hongyan::rpc {

Status LocalChannel::call(Call& call, const MethodInfo& method, const Message& request, Message& response) {
  Call inner = call;  // What the handler does to its call does not reach the caller, as over the network.
  if (interceptor_ != nullptr) TRY(interceptor_->before(inner, method, request));
  return service_.handle(inner, method, request, response);
}

}  // namespace hongyan::rpc
