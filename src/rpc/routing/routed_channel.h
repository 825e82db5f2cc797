// Calls a service by name: many instances behind one Channel.
//
// Which instance a call goes to: router.h. Beyond that:
// - A call ends by its own deadline or after `call_time`, whatever comes first; what remains of it
//   travels to the server. While no instance can be reached it waits up to `connect_time`, then
//   fails with Code::unavailable; it does so at once when no listed instance is for it.
// - Retries go to another instance, after a pause that doubles, with jitter: after
// Code::unavailable
//   and Code::overloaded for every method, after Code::unknown_outcome, Code::closed and an attempt
//   that ran out of `attempt_time` only for methods declared idempotent. Where there is no other
//   instance, one whose connection was lost is tried again itself.
// - A backup request of an idempotent method goes to another instance when the first has not
//   answered within the method's 95th percentile; the first answer counts, the other is given up.
// - Retries and backups together are at most `extra_calls` of the calls, plus `extra_burst` once:
//   an outage is not made worse by its callers.
// - Instances that leave the list keep their connection for a while; an empty or broken list is
//   not taken.
//
// Codes are those of TcpChannel. From coroutines of the Env's scheduler; start() first, close()
// before the destructor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rpc/routing/endpoint.h"
#include "rpc/routing/latency_window.h"
#include "rpc/routing/resolver.h"
#include "rpc/routing/retry_budget.h"
#include "rpc/routing/router.h"
#include "rpc/service.h"
#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

// Zones that get no calls at all, of all channels of a process: a campus is taken out of service.
struct ZoneMask {
  std::set<std::string> zones;
};

struct RoutedChannelOptions {
  Balance balance = Balance::hash;
  std::string own_zone = {};
  const ZoneMask* mask = nullptr;  // Outlives the channel; null: none. May change at any time.
  runtime::Duration call_time = std::chrono::seconds(5);
  runtime::Duration attempt_time{};  // Of one instance; 0: the whole call.
  int attempts_max = 3;              // With the first and a backup.
  double extra_calls = 0.1;
  double extra_burst = 10;
  bool backup = true;
  runtime::Duration backup_min = std::chrono::milliseconds(1);  // Not earlier than this.
  runtime::Duration backup_after{};  // Always after this; 0: by the 95th percentile.
  runtime::Duration backoff_min = std::chrono::milliseconds(5);
  runtime::Duration backoff_max = std::chrono::milliseconds(100);
  EndpointOptions endpoint = {};
  // Of the client whose request the call serves; null: instances with versions get no calls.
  std::function<uint64_t(const Call&, const Message&)> client_version = nullptr;
  MakeLink make_link = nullptr;  // Null: TcpChannel.
  std::shared_ptr<runtime::TlsClient> tls = nullptr;  // Of TcpChannels; null: plain.
};

// For pages and tests.
struct InstanceSnapshot {
  Instance instance;
  bool reachable = false;
  bool full = false;
  ShieldState shield = ShieldState::closed;
  runtime::Duration shielded_for{};
  double share = 1;
  uint32_t in_flight = 0;
  double latency_us = 0;
  uint64_t calls = 0;
  uint64_t failures = 0;
  uint64_t refusals = 0;
  uint64_t shieldings = 0;
};
struct ChannelSnapshot {
  std::string name;
  uint64_t lists = 0;  // How often the list changed.
  double budget = 0;   // Extra calls it may make now.
  std::vector<InstanceSnapshot> instances;
};
// A table for people, one line an instance.
std::string to_text(const ChannelSnapshot& snapshot);

class RoutedChannel : public Channel {
 public:
  // `name` is a word of [a-z0-9_]: it stands in counters.
  RoutedChannel(Env& env, std::string name, std::unique_ptr<Resolver> resolver,
                RoutedChannelOptions options = {});
  ~RoutedChannel() override;

  // Resolves and connects in the background from now on.
  void start();
  // Waits until some instance can be reached.
  Status wait_reachable(Call& call);
  Status call(Call& call, const MethodInfo& method, const Message& request,
              Message& response) override;
  // Every call under way ends with Code::closed. Returns when all has ended.
  void close();

  const std::string& name() const { return name_; }
  ChannelSnapshot snapshot() const;

 private:
  struct Method {
    MethodInfo once;  // As given, but the link must not repeat it: repeating is decided here.
    bool idempotent = false;
    LatencyWindow latency;
    runtime::Duration late{};  // Its 95th percentile as of some calls ago; 0: unknown.
    int until_late_again = 0;
  };
  struct Counts {
    explicit Counts(runtime::Counters& counters, const std::string& name);
    runtime::Counter& calls;
    runtime::Counter& failures;
    runtime::Counter& retries;
    runtime::Counter& backups;
    runtime::Counter& backups_won;
    runtime::Counter& over_budget;
    runtime::Counter& unreachable;
    runtime::Counter& shieldings;
    runtime::Counter& panics;
    runtime::Counter& spills;
    runtime::Counter& list_failures;
    runtime::Counter& instances;
  };
  using EndpointPtr = std::shared_ptr<Endpoint>;
  // One call on its way.
  struct Errand {
    Call call;
    Method& method;
    const Message& request;
    Message& response;
    Question question;
    std::vector<EndpointPtr> tried = {};  // Not to be chosen again.
    size_t attempts = 0;
  };

  void resolve_loop();
  void apply(std::vector<Instance> instances);
  EndpointPtr endpoint_for(const std::string& address);
  Method& method_of(const MethodInfo& method);
  EndpointPtr pick(Errand& errand);  // Null: none; otherwise it stands in `tried`.
  Result<EndpointPtr> first_pick(Errand& errand);
  bool for_nobody(const Errand& errand);
  Status run(Errand& errand);
  Status attempt(Errand& errand, Endpoint& endpoint, Message& response, const bool& overtaken);
  Status attempt_with_backup(Errand& errand, EndpointPtr first, runtime::Duration wait);
  bool may_repeat(const Errand& errand, Code code) const;
  EndpointPtr pick_again(Errand& errand, Code code);
  const std::set<std::string>& masked() const {
    return options_.mask == nullptr ? no_zones_ : options_.mask->zones;
  }

  Env& env_;
  const std::string name_;
  const RoutedChannelOptions options_;
  const std::set<std::string> no_zones_;
  const std::unique_ptr<Resolver> resolver_;
  Random random_;
  RetryBudget budget_;
  Counts counts_;
  std::unique_ptr<Router> router_;
  std::vector<EndpointPtr> endpoints_;  // In the order of the router's instances.
  std::map<std::string, EndpointPtr> lingering_;
  std::vector<Health> health_;          // Reused.
  std::map<uint32_t, Method> methods_;  // By id.
  uint64_t lists_ = 0;
  bool started_ = false;
  bool closed_ = false;
  size_t callers_ = 0;
  runtime::WaitList reachable_;  // Calls that found nobody.
  runtime::WaitList no_callers_;
  runtime::Nursery background_;
};

}  // namespace hongyan::rpc
