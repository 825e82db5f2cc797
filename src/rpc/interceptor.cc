#include "rpc/service.h"

#include "rpc/overload/level.h"
#include "rpc/ticket.h"

namespace hongyan::rpc {

runtime::Priority Interceptor::priority(std::string_view ticket, runtime::Priority asked) {
  const Result<Caller> caller = parse_call_ticket(ticket);
  return caller.ok() ? priority_within(*caller, asked) : k_priority_lowest;
}

}  // namespace hongyan::rpc
