// The channels of a process by name, from its settings. For a name "inbox" (declare_channel):
//
//   rpc.inbox.target = "file:///etc/hongyan/inbox.instances"   see resolver.h
//   rpc.inbox.balance = "hash"              hash, owner, round_robin, weighted or least_latency
//   rpc.inbox.call_ms = 5000                the longest a call may take
//   rpc.inbox.attempt_ms = 0                the longest one instance may take; 0: the whole call
//   rpc.inbox.connect_ms = 1000
//   rpc.inbox.backup = true                 a second request after the 95th percentile
//   rpc.inbox.extra_percent = 10            retries and backups, of all calls
//   rpc.inbox.extra_burst = 10              and so many at once: what was under way in an instance that dies
//
// and for all of them: rpc.zone (of this process) and rpc.masked_zones ("b,c"), which get nothing. The mask may be a
// file, "file:///etc/hongyan/masked_zones", with such a list in it: it is read every 2 s, so that a campus is taken out of
// service without a restart. One that is gone or broken changes nothing.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/routing/routed_channel.h"
#include "runtime/config/config.h"

namespace hongyan::rpc {

void declare_channel(runtime::Config& config, const std::string& name, const std::string& target);
// All but the target: of a process that has its targets elsewhere (CommonChannelOptions::target_key).
struct ChannelDefaults {
  Balance balance = Balance::hash;
  int64_t call_ms = 5000;
  int64_t extra_burst = 10;
};
void declare_channel_options(runtime::Config& config, const std::string& name, const ChannelDefaults& defaults);
// Once, whatever the number of channels.
void declare_zones(runtime::Config& config);

// "b, c"; Code::invalid for what is no zone.
Result<std::set<std::string>> parse_zones(std::string_view text);

// What every channel of the process has in common and no setting says.
struct CommonChannelOptions {
  HostLookup lookup = nullptr;  // For dns://.
  MakeLink make_link = nullptr;
  std::function<uint64_t(const Call&, const Message&)> client_version = nullptr;
  // The setting that holds a name's target; null: rpc.NAME.target.
  std::function<std::string(const std::string& name)> target_key = nullptr;
  // With whom a name's instances are spoken to; null: plain.
  std::function<std::shared_ptr<runtime::TlsClient>(const std::string& name)> tls = nullptr;
};

class Channels {
 public:
  explicit Channels(Env& env, CommonChannelOptions common = {})
      : env_(env), common_(std::move(common)) {}
  ~Channels();

  // From a coroutine, once, after Config::load: all of `names` or none. They resolve and connect
  // in the background from here on.
  Status start(const runtime::Config& config, const std::vector<std::string>& names);
  // Or one by one: add() as often as wanted, outside coroutines too, then start(). A name is added once.
  Status add(const runtime::Config& config, const std::string& name);
  Status start(const runtime::Config& config);
  bool has(const std::string& name) const { return channels_.contains(name); }
  RoutedChannel& channel(const std::string& name);  // CHECKs that it was added.
  // Waits until each channel has some instance: for a process that must not serve before.
  Status wait_reachable(Call& call);
  void close();

  // From the next call on, of every channel.
  void set_masked_zones(std::set<std::string> zones) { mask_.zones = std::move(zones); }
  const std::set<std::string>& masked_zones() const { return mask_.zones; }
  std::vector<ChannelSnapshot> snapshot() const;

 private:
  void watch_mask(const std::string& path);

  Env& env_;
  const CommonChannelOptions common_;
  ZoneMask mask_;
  std::map<std::string, std::unique_ptr<RoutedChannel>> channels_;
  bool started_ = false;
  runtime::Nursery watching_{env_.scheduler()};
};

}  // namespace hongyan::rpc
