// Calls a service of the same process inline, on the caller's coroutine, through the same interceptor as a server.
#pragma once

#include "rpc/service.h"

namespace hongyan::runtime {
class Tracer;
}

namespace hongyan::rpc {

class LocalChannel : public Channel {
 public:
  // Both must outlive the channel; `interceptor` may be null only for services that have no data (client commands).
  // `tracer`: spans of sampled calls; null: none.
  LocalChannel(Service& service, Interceptor* interceptor, runtime::Tracer* tracer = nullptr)
      : service_(service), interceptor_(interceptor), tracer_(tracer) {}
  Status call(Call& call, const MethodInfo& method, const Message& request, Message& response) override;

 private:
  Status handle(Call& call, const MethodInfo& method, const Message& request, Message& response);
  Service& service_;
  Interceptor* interceptor_;
  runtime::Tracer* tracer_;
};

}  // namespace hongyan::rpc
