// One instance as one channel sees it: its connection, whether it can be reached, its shield, what
// it has in flight and how fast it was lately.
//
// The connection is opened before the first call and watched: a coroutine of its own (keep())
// calls a method that no server has; any answer, `unsupported` as a rule, proves that the instance
// is there. It asks again when calls fail for want of a connection and after 10 s without an answer
// of any kind. While it gets none the instance is unreachable and has no calls.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "rpc/routing/router.h"
#include "rpc/routing/shield.h"
#include "rpc/service.h"
#include "rpc/tcp_channel.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

// A connection to one address that opens itself when it is called, such as a TcpChannel.
class Link {
 public:
  virtual ~Link() = default;
  virtual Status call(Call& call, const MethodInfo& method, const Message& request,
                      Message& response) = 0;
  virtual void close() = 0;  // As TcpChannel::close().
};
using MakeLink = std::function<std::unique_ptr<Link>(const std::string& address)>;
std::unique_ptr<Link> make_tcp_link(Env& env, const std::string& address, ChannelOptions options);

struct EndpointOptions {
  runtime::Duration connect_time = std::chrono::seconds(1);
  // Of this channel; beyond it the instance counts as full. A server takes 2,000 of a connection.
  uint32_t in_flight_max = 1000;
  // A new or restarted instance takes a tenth of its load at once, all of it after this time.
  runtime::Duration slow_start = std::chrono::seconds(10);
  // Running out of time is the instance's fault only if it had at least so much.
  runtime::Duration fair_time = std::chrono::milliseconds(100);
  // A connection is kept so long after its instance has left the list: calls under way end, and a
  // list that flaps costs nothing.
  runtime::Duration linger = std::chrono::seconds(30);
  ShieldOptions shield = {};
};

class Endpoint {
 public:
  // `changed` is called when it becomes reachable.
  Endpoint(Env& env, const EndpointOptions& options, std::string address,
           std::unique_ptr<Link> link, std::function<void()> changed);
  ~Endpoint();

  // The body of its coroutine: ends after leave() and the time to linger, or when it is cancelled;
  // the connection is closed then.
  void keep();
  void leave();
  bool stay();  // Takes leave() back; false: too late.
  // Calls under way end with Code::closed.
  void close() { link_->close(); }

  // One call, counted and judged. `overtaken` becomes true when it is cancelled because a backup
  // request was answered before it: that is the instance's failure, other cancelling is not.
  Status call(Call& call, const MethodInfo& method, const Message& request, Message& response,
              Random& random, const bool& overtaken);
  Health health(runtime::Time now) const;

  // From now on it is brought up slowly when it appears; the first ones of a channel are not.
  void start_slowly() { slowly_ = true; }

  const std::string& address() const { return address_; }
  const Shield& shield() const { return shield_; }
  uint64_t calls() const { return calls_; }
  uint64_t failures() const { return failures_; }
  uint64_t refusals() const { return refusals_; }
  uint64_t shieldings() const { return shieldings_; }
  bool closed() const { return closed_; }

 private:
  Outcome judge(const Status& status, runtime::Duration took, bool overtaken) const;
  void note_latency(runtime::Duration took);
  bool ask();  // False: cancelled or no answer.
  double latency_us(runtime::Time now) const;

  Env& env_;
  const EndpointOptions& options_;
  const std::string address_;
  const std::unique_ptr<Link> link_;
  const std::function<void()> changed_;
  Shield shield_;
  bool reachable_ = false;
  bool doubted_ = false;  // A call failed for want of a connection: ask.
  bool slowly_ = false;
  bool closed_ = false;
  bool told_ = false;  // Of this time that it can't be reached.
  Status why_;
  runtime::Time reachable_since_{};
  runtime::Time leaves_at_ = runtime::k_never;
  runtime::Time answered_at_{};
  runtime::Time asked_at_{};
  runtime::Time refused_at_{};
  double refused_part_ = 0;  // Moving average over answers.
  double latency_us_ = 0;
  runtime::Time latency_at_{};
  uint32_t in_flight_ = 0;
  uint64_t calls_ = 0;
  uint64_t failures_ = 0;
  uint64_t refusals_ = 0;
  uint64_t shieldings_ = 0;
  runtime::WaitList news_;  // For keep().
};

}  // namespace hongyan::rpc
