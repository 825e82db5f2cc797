// Calls the services of another process over one connection, multiplexed, opened by the first call and opened again
// after it was lost.
//
// Errors beside the handler's own: Code::unavailable: the request never left (no connection, or lost before); the
// server's being overloaded or late; Code::unknown_outcome: the connection was lost after the request left;
// Code::deadline, Code::cancelled: the caller stopped waiting (a late answer is ignored); Code::too_large: the request
// is over the frame's limit; Code::closed: close() was called.
// A call whose connection is lost is made once more, on a new connection, if it never left or its method is declared
// idempotent. A server that can't be reached is tried again with growing pauses; calls in a pause fail at once.
// Remaining time is computed as the request leaves; one that nobody waits for any more does not leave.
//
// From coroutines of the Env's scheduler; close() before the destructor.
#pragma once

#include <memory>
#include <string>

#include "rpc/service.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

class TcpChannel : public Channel {
 public:
  TcpChannel(Env& env, std::string address);
  ~TcpChannel() override;
  Status call(Call& call, const MethodInfo& method, const Message& request, Message& response) override;
  // Every call under way ends with Code::closed. Returns when they have, and the connection is closed.
  void close();

 private:
  struct Pending;
  class Connection;
  Status attempt(Call& call, const MethodInfo& method, const Message& request, Message& response, Pending& pending);
  void lost(Connection& connection);

  Env& env_;
  const std::string address_;
  std::shared_ptr<Connection> current_;   // New calls go here; null: the next call connects.
  runtime::Time not_before_{};            // No attempt to connect earlier.
  runtime::Duration pause_{};             // The last one.
  bool closed_ = false;
  size_t callers_ = 0;
  runtime::WaitList no_callers_;
  runtime::Nursery connections_;
};

}  // namespace hongyan::rpc
