#include "rpc/local_channel.h"

#include "runtime/trace/tracer.h"

namespace hongyan::rpc {

Status LocalChannel::call(Call& call, const MethodInfo& method, const Message& request, Message& response) {
  Call inner = call;  // What the handler does to its call does not reach the caller, as over the network.
  if (call.trace.sampled && tracer_ != nullptr) [[unlikely]] {
    auto span = tracer_->start(runtime::Span::Kind::internal, method.full_name, inner.trace);
    const Status status = handle(inner, method, request, response);
    tracer_->finish(span, status.code(), inner.uin);
    return status;
  }
  return handle(inner, method, request, response);
}

Status LocalChannel::handle(Call& call, const MethodInfo& method, const Message& request, Message& response) {
  if (interceptor_ != nullptr) TRY(interceptor_->before(call, method, request));
  return service_.handle(call, method, request, response);
}

}  // namespace hongyan::rpc
