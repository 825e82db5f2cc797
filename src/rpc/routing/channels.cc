#include "rpc/routing/channels.h"

#include <algorithm>

#include "base/check.h"

namespace hongyan::rpc {

using runtime::Config;

void declare_channel(Config& config, const std::string& name, const std::string& target) {
  const std::string key = "rpc." + name + ".";
  config.declare(key + "target", target, "Where " + name + " is: list://, file:// or dns://.");
  config.declare_choice(key + "balance", "hash", "How calls spread over its instances.",
                        {"hash", "round_robin", "weighted", "least_latency"});
  config.declare(key + "call_ms", 5000, "The longest a call may take.", 1, 600'000);
  config.declare(key + "attempt_ms", 0, "The longest one instance may take; 0: the whole call.", 0,
                 600'000);
  config.declare(key + "connect_ms", 1000, "The longest a connection may take.", 1, 60'000);
  config.declare(key + "backup", true, "A second request when the first is unusually late.");
  config.declare(key + "extra_percent", 10, "Retries and backups, of all calls.", 0, 100);
}

void declare_zones(Config& config) {
  config.declare("rpc.zone", "", "The zone of this process: its instances are called first.");
  config.declare("rpc.masked_zones", "", "Zones that get no calls, separated by commas.");
}

Result<std::set<std::string>> parse_zones(std::string_view text) {
  std::set<std::string> zones;
  while (!text.empty()) {
    const size_t begin = std::min(text.find_first_not_of(", "), text.size());
    text.remove_prefix(begin);
    const std::string word(text.substr(0, text.find_first_of(", ")));
    text.remove_prefix(word.size());
    if (word.empty()) continue;
    // The same words as in a list of instances.
    const auto parsed = parse_instances("a:1 zone=" + word);
    if (!parsed.ok()) return Status(Code::invalid, "\"" + word + "\" is not a zone");
    zones.insert(word);
  }
  return zones;
}

Channels::~Channels() { CHECK(channels_.empty()); }

Status Channels::start(const Config& config, const std::vector<std::string>& names) {
  CHECK(channels_.empty());
  mask_.zones = TRY(parse_zones(config.text("rpc.masked_zones")));
  TRY(parse_zones(config.text("rpc.zone")));
  std::map<std::string, std::unique_ptr<RoutedChannel>> made;
  for (const std::string& name : names) {
    const std::string key = "rpc." + name + ".";
    RoutedChannelOptions options;
    options.balance = TRY(parse_balance(config.text(key + "balance")));
    options.own_zone = config.text("rpc.zone");
    options.mask = &mask_;
    options.call_time = std::chrono::milliseconds(config.integer(key + "call_ms"));
    options.attempt_time = std::chrono::milliseconds(config.integer(key + "attempt_ms"));
    options.endpoint.connect_time = std::chrono::milliseconds(config.integer(key + "connect_ms"));
    options.backup = config.flag(key + "backup");
    options.extra_calls = static_cast<double>(config.integer(key + "extra_percent")) / 100;
    if (options.extra_calls == 0) options.extra_burst = 0;
    options.client_version = common_.client_version;
    options.make_link = common_.make_link;
    auto resolver = make_resolver(env_, config.text(key + "target"), common_.lookup);
    if (!resolver.ok())
      return Status(resolver.code(), key + "target: " + resolver.status().detail());
    made[name] = std::make_unique<RoutedChannel>(env_, name, std::move(resolver).value(),
                                                 std::move(options));
  }
  channels_ = std::move(made);
  for (auto& [name, channel] : channels_) channel->start();
  return {};
}

RoutedChannel& Channels::channel(const std::string& name) {
  const auto found = channels_.find(name);
  CHECK(found != channels_.end());
  return *found->second;
}

Status Channels::wait_reachable(Call& call) {
  for (auto& [name, channel] : channels_) {
    const Status status = channel->wait_reachable(call);
    if (!status.ok()) return Status(status.code(), "no instance of " + name + " can be reached");
  }
  return {};
}

void Channels::close() {
  for (auto& [name, channel] : channels_) channel->close();
  channels_.clear();
}

std::vector<ChannelSnapshot> Channels::snapshot() const {
  std::vector<ChannelSnapshot> all;
  for (const auto& [name, channel] : channels_) all.push_back(channel->snapshot());
  return all;
}

}  // namespace hongyan::rpc
