#include "rpc/routing/channels.h"

#include <algorithm>

#include "base/check.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using runtime::Config;

namespace {

constexpr std::string_view k_file_scheme = "file://";
constexpr size_t k_mask_bytes_max = 64 * 1024;  // More zones than there are campuses.
constexpr runtime::Duration k_mask_period = FileResolver::k_period;

std::string_view name_of(Balance balance) {
  switch (balance) {
    case Balance::hash: return "hash";
    case Balance::owner: return "owner";
    case Balance::round_robin: return "round_robin";
    case Balance::weighted: return "weighted";
    case Balance::least_latency: return "least_latency";
  }
  return "";
}

}  // namespace

void declare_channel_options(Config& config, const std::string& name, const ChannelDefaults& defaults) {
  const std::string key = "rpc." + name + ".";
  config.declare_choice(key + "balance", std::string(name_of(defaults.balance)), "How calls spread over its instances",
                        {"hash", "owner", "round_robin", "weighted", "least_latency"});
  config.declare(key + "call_ms", defaults.call_ms, "The longest a call may take", 1, 600'000);
  config.declare(key + "attempt_ms", 0, "The longest one instance may take; 0: the whole call", 0, 600'000);
  config.declare(key + "connect_ms", 1000, "The longest a connection may take", 1, 60'000);
  config.declare(key + "backup", true, "A second request when the first is unusually late");
  config.declare(key + "extra_percent", 10, "Retries and backups, of all calls", 0, 100);
  config.declare(key + "extra_burst", defaults.extra_burst, "How many of them at once at the most", 0, 10'000);
}

void declare_channel(Config& config, const std::string& name, const std::string& target) {
  config.declare("rpc." + name + ".target", target, "Where " + name + " is: list://, file:// or dns://");
  declare_channel_options(config, name, {});
}

void declare_zones(Config& config) {
  config.declare("rpc.zone", "", "The zone of this process: its instances are called first");
  config.declare("rpc.masked_zones", "", "Zones that get no calls, separated by commas; or file:///PATH, read every 2 s");
}

Result<std::set<std::string>> parse_zones(std::string_view text) {
  std::set<std::string> zones;
  while (!text.empty()) {
    const size_t begin = std::min(text.find_first_not_of(", \n"), text.size());
    text.remove_prefix(begin);
    const std::string word(text.substr(0, text.find_first_of(", \n")));
    text.remove_prefix(word.size());
    if (word.empty()) continue;
    // The same words as in a list of instances.
    const auto parsed = parse_instances("a:1 zone=" + word);
    if (!parsed.ok()) return Status(Code::invalid, "\"" + word + "\" is not a zone");
    zones.insert(word);
  }
  return zones;
}

Channels::~Channels() { CHECK(channels_.empty() || !started_); }

Status Channels::add(const Config& config, const std::string& name) {
  const std::string key = "rpc." + name + ".";
  const std::string target_key = common_.target_key ? common_.target_key(name) : key + "target";
  RoutedChannelOptions options;
  options.balance = TRY(parse_balance(config.text(key + "balance")));
  options.own_zone = config.text("rpc.zone");
  options.mask = &mask_;
  options.call_time = std::chrono::milliseconds(config.integer(key + "call_ms"));
  options.attempt_time = std::chrono::milliseconds(config.integer(key + "attempt_ms"));
  options.endpoint.connect_time = std::chrono::milliseconds(config.integer(key + "connect_ms"));
  options.backup = config.flag(key + "backup");
  options.extra_calls = static_cast<double>(config.integer(key + "extra_percent")) / 100;
  options.extra_burst = options.extra_calls == 0 ? 0 : static_cast<double>(config.integer(key + "extra_burst"));
  options.client_version = common_.client_version;
  options.make_link = common_.make_link;
  if (common_.tls) options.tls = common_.tls(name);
  auto resolver = make_resolver(env_, config.text(target_key), common_.lookup);
  if (!resolver.ok()) return Status(resolver.code(), target_key + ": " + resolver.status().detail());
  const auto [at, fresh] = channels_.try_emplace(
      name, std::make_unique<RoutedChannel>(env_, name, std::move(resolver).value(), std::move(options)));
  CHECK(fresh);
  return {};
}

Status Channels::start(const Config& config) {
  TRY(parse_zones(config.text("rpc.zone")));
  std::string mask = config.text("rpc.masked_zones");
  if (mask.starts_with(k_file_scheme)) {
    mask.erase(0, k_file_scheme.size());
    Call call;
    const std::string text = TRY(read_text(call, env_, mask, k_mask_bytes_max));
    mask_.zones = TRY(parse_zones(text));
    watching_.spawn("rpc mask", [this, mask] { watch_mask(mask); });
  } else {
    mask_.zones = TRY(parse_zones(mask));
  }
  started_ = true;
  for (auto& [name, channel] : channels_) channel->start();
  return {};
}

Status Channels::start(const Config& config, const std::vector<std::string>& names) {
  CHECK(channels_.empty());
  Status status;
  for (const std::string& name : names) {
    if (status.ok()) status = add(config, name);
  }
  if (status.ok()) status = start(config);
  if (!status.ok()) channels_.clear();
  return status;
}

void Channels::watch_mask(const std::string& path) {
  std::string last_failure;
  for (;;) {
    Call call;
    if (!runtime::sleep(call, k_mask_period).ok()) return;
    const auto text = read_text(call, env_, path, k_mask_bytes_max);
    auto zones = text.ok() ? parse_zones(*text) : Result<std::set<std::string>>(text.status());
    if (zones.ok()) {
      last_failure.clear();
      mask_.zones = std::move(*zones);
      continue;
    }
    const std::string failure = zones.status().detail();
    if (failure != last_failure) env_.log().warning("rpc: masked zones stay as they are: {}: {}", path, failure);
    last_failure = failure;
  }
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
  watching_.cancel_and_join();
  for (auto& [name, channel] : channels_) channel->close();
  channels_.clear();
}

std::vector<ChannelSnapshot> Channels::snapshot() const {
  std::vector<ChannelSnapshot> all;
  for (const auto& [name, channel] : channels_) all.push_back(channel->snapshot());
  return all;
}

}  // namespace hongyan::rpc
