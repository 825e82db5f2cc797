// Calls a service of the same process inline, on the caller's coroutine, through the same interceptor as a server.
#pragma once

#include "rpc/service.h"

namespace hongyan::rpc {

class LocalChannel : public Channel {
 public:
  // Both must outlive the channel; `interceptor` may be null only for services that have no data (client commands).
  LocalChannel(Service& service, Interceptor* interceptor) : service_(service), interceptor_(interceptor) {}
  Status call(Call& call, const MethodInfo& method, const Message& request, Message& response) override;

 private:
  Service& service_;
  Interceptor* interceptor_;
};

}  // namespace hongyan::rpc
