// Calls the services of another process over one connection, multiplexed, opened by the first call and opened again
// after it was lost.
//
// Errors beside the handler's own: Code::unavailable: the request never left (no connection, or lost before); the
// server's being overloaded or late; Code::unknown_outcome: the connection was lost after the request left;
// Code::deadline, Code::cancelled: the caller stopped waiting (a late answer is ignored); Code::too_large: the request
// is over the frame's limit; Code::closed: close() was called.
// A call whose connection is lost is made once more, on a new connection, if it never left or its method is declared
// idempotent. A server that can't be reached is tried again with growing pauses; calls in a pause fail at once.
// Remaining time is computed as the request is written; one that nobody waits for any more is not written.
//
// A server says with every answer which calls it takes (overload/level.h); those that it would refuse do not leave:
// Code::overloaded at once, save a few that ask again (overload/instance_level.h).
//
// Calls of one turn of the loop leave in one write; of many small ones the first 6 KiB at once, so that the server works on
// them while the others are written, and then each time twice as much. An answer is parsed where it was read, into its caller's message,
// and wakes the caller; no lookup by key, no allocation per call.
//
// From coroutines of the Env's scheduler; close() before the destructor.
#pragma once

#include <memory>
#include <string>

#include "rpc/output_buffer.h"
#include "rpc/overload/instance_level.h"
#include "rpc/service.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::rpc {

// Hears what a server says beside its answers.
class LevelListener {
 public:
  virtual ~LevelListener() = default;
  virtual void on_level(uint32_t level) = 0;  // Its admission level, with an answer.
};

struct ChannelOptions {
  runtime::Duration connect_time = std::chrono::seconds(5);
  std::shared_ptr<runtime::TlsClient> tls = nullptr;  // Null: plain.
  LevelListener* levels = nullptr;                    // Outlives the channel.
  bool honour_level = true;                           // False: calls that the server would refuse are sent all the same.
};

class TcpChannel : public Channel {
 public:
  TcpChannel(Env& env, std::string address, ChannelOptions options = {});
  ~TcpChannel() override;
  Status call(Call& call, const MethodInfo& method, const Message& request, Message& response) override;
  // Every call under way ends with Code::closed. Returns when they have, and the connection is closed.
  void close();

  const std::string& address() const { return address_; }
  bool connected() const;
  size_t in_flight() const { return callers_; }
  const InstanceLevel& level() const { return level_; }

 private:
  struct Pending;
  class Connection;
  bool kept_back(const Call& call);
  Status make(Call& call, const MethodInfo& method, const Message& request, Message& response);
  Status attempt(Call& call, const MethodInfo& method, const Message& request, Message& response, Pending& pending);
  void lost(Connection& connection);

  Env& env_;
  const std::string address_;
  const ChannelOptions options_;
  OutputBuffer::Pool blocks_;
  std::shared_ptr<Connection> current_;   // New calls go here; null: the next call connects.
  runtime::Time not_before_{};            // No attempt to connect earlier.
  runtime::Duration pause_{};             // The last one.
  std::string not_connected_;             // Why the last one failed; empty: it did not.
  InstanceLevel level_;
  bool closed_ = false;
  size_t callers_ = 0;
  runtime::WaitList no_callers_;
  runtime::Nursery connections_;
};

}  // namespace hongyan::rpc
