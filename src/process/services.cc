#include "process/services.h"

#include <algorithm>
#include <set>

#include "api/client/chat.flags.pb.h"
#include "api/client/chat.rpc.pb.h"
#include "api/client/friend.flags.pb.h"
#include "api/client/friend.rpc.pb.h"
#include "api/client/group.flags.pb.h"
#include "api/client/group.rpc.pb.h"
#include "api/client/login.flags.pb.h"
#include "api/client/login.rpc.pb.h"
#include "api/client/sync.flags.pb.h"
#include "api/client/sync.rpc.pb.h"
#include "api/internal/account.flags.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.flags.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/device.flags.pb.h"
#include "api/internal/device.rpc.pb.h"
#include "api/internal/group.flags.pb.h"
#include "api/internal/group.rpc.pb.h"
#include "api/internal/inbox.flags.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "api/internal/presence.flags.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "rpc/routing/channels.h"
#include "store/remote/store.flags.pb.h"
#include "store/remote/store.rpc.pb.h"

namespace hongyan::process {

namespace {

// Callers have deadlines of their own; the longest wait there is is for work of the store, half a minute.
constexpr int64_t k_call_ms = 60'000;
// What a busy worker that is killed may have had under way; more are told of it.
constexpr int64_t k_extra_burst = 200;

}  // namespace

std::vector<ServiceSpec> services() {
  // A gate makes call tickets for every data service, and checks those of presence.
  const std::vector<std::string_view> gate = {"client_ticket",  "audience.account", "audience.device",   "audience.contact",
                                              "audience.inbox", "audience.group",   "audience.presence", "audience.gate"};
  std::vector<std::string_view> link = gate;
  link.push_back("seal.long_link");
  return {
      {.name = "store", .keys = {"store.account", "store.device", "store.contact", "store.group", "store.inbox", "store.operator"}},
      {.name = "account", .keys = {"store.account", "audience.account", "audience.presence"}, .workers = Workers::own},
      {.name = "device", .keys = {"store.device", "audience.device", "audience.presence", "client_ticket"}, .workers = Workers::own},
      {.name = "contact", .keys = {"store.contact", "audience.contact", "audience.account", "audience.presence", "grant.contact"}, .workers = Workers::own},
      {.name = "inbox", .keys = {"store.inbox", "audience.inbox", "audience.presence", "audience.device", "grant.contact", "grant.group"}, .workers = Workers::own},
      {.name = "group", .keys = {"store.group", "audience.group", "audience.account", "audience.inbox", "grant.contact", "grant.group"}, .workers = Workers::own},
      {.name = "presence", .keys = {"audience.presence", "audience.gate", "grant.contact"}, .workers = Workers::own},
      {.name = "login", .keys = {}, .workers = Workers::shared},
      {.name = "friend", .keys = {}, .workers = Workers::shared},
      {.name = "chat", .keys = {}, .workers = Workers::shared},
      {.name = "group_chat", .keys = {}, .workers = Workers::shared},
      {.name = "message_sync", .keys = {"snapshot"}, .workers = Workers::shared},
      {.name = "web_gate", .keys = gate, .also_serves = {"short_link"}},
      {.name = "long_link", .keys = link, .also_serves = {"sealed_link"}},
      {.name = "server_port",
       .keys = {"server_api", "audience.account", "audience.device", "audience.contact", "audience.inbox", "audience.group"}},
  };
}

std::vector<Endpoint> endpoints() {
  return {
      {.name = "store", .address = "127.0.0.1:7100", .audience = "store", .methods = store::wire::store_methods(), .flags = store::wire::store_flags()},
      {.name = "account", .address = "127.0.0.1:7101", .audience = "account", .methods = internal::account_methods(), .flags = internal::account_flags()},
      {.name = "device", .address = "127.0.0.1:7102", .audience = "device", .methods = internal::device_methods(), .flags = internal::device_flags()},
      {.name = "contact", .address = "127.0.0.1:7103", .audience = "contact", .methods = internal::contact_methods(), .flags = internal::contact_flags()},
      {.name = "inbox", .address = "127.0.0.1:7104", .audience = "inbox", .methods = internal::inbox_methods(), .flags = internal::inbox_flags()},
      {.name = "group", .address = "127.0.0.1:7105", .audience = "group", .methods = internal::group_methods(), .flags = internal::group_flags()},
      {.name = "presence", .address = "127.0.0.1:7106", .audience = "presence", .methods = internal::presence_methods(), .flags = internal::presence_flags(), .balance = rpc::Balance::owner},
      {.name = "login", .address = "127.0.0.1:7111", .audience = "", .methods = client::login_methods(), .flags = client::login_flags(), .balance = rpc::Balance::least_latency},
      {.name = "friend", .address = "127.0.0.1:7112", .audience = "", .methods = client::friend_methods(), .flags = client::friend_flags(), .balance = rpc::Balance::least_latency},
      {.name = "chat", .address = "127.0.0.1:7113", .audience = "", .methods = client::chat_methods(), .flags = client::chat_flags(), .balance = rpc::Balance::least_latency},
      {.name = "group_chat", .address = "127.0.0.1:7114", .audience = "", .methods = client::group_chat_methods(), .flags = client::group_chat_flags(), .balance = rpc::Balance::least_latency},
      {.name = "message_sync", .address = "127.0.0.1:7115", .audience = "", .methods = client::message_sync_methods(), .flags = client::message_sync_flags(), .balance = rpc::Balance::least_latency},
      // The gates' end of the ring. The short link lives on the web gate, the sealed one beside the long link, each
      // with a door of its own for presence.
      {.name = "web_gate", .address = "127.0.0.1:7121", .audience = "gate", .methods = internal::gate_methods(), .flags = internal::gate_flags()},
      {.name = "short_link", .address = "127.0.0.1:7122", .audience = "gate", .methods = internal::gate_methods(), .flags = internal::gate_flags()},
      {.name = "long_link", .address = "127.0.0.1:7123", .audience = "gate", .methods = internal::gate_methods(), .flags = internal::gate_flags()},
      {.name = "sealed_link", .address = "127.0.0.1:7124", .audience = "gate", .methods = internal::gate_methods(), .flags = internal::gate_flags()},
  };
}

std::optional<ServiceSpec> find_service(std::string_view name) {
  for (ServiceSpec& spec : services()) {
    if (spec.name == name) return std::move(spec);
  }
  return {};
}

std::optional<Endpoint> find_endpoint(std::string_view name) {
  for (const Endpoint& endpoint : endpoints()) {
    if (endpoint.name == name) return endpoint;
  }
  return {};
}

Result<std::string> listen_address(const runtime::Config& config, std::string_view endpoint) {
  const std::string key = "services." + std::string(endpoint);
  std::string target = config.text(key);
  if (constexpr std::string_view list = "list://"; target.starts_with(list)) target.erase(0, list.size());
  if (target.find("://") != target.npos || target.find(',') != target.npos) {
    return Status(Code::invalid, key + " says where others find " + std::string(endpoint) + ", not where this process listens: use --listen");
  }
  return target;
}

void declare_endpoints(runtime::Config& config) {
  rpc::declare_zones(config);
  for (const Endpoint& endpoint : endpoints()) {
    config.declare("services." + std::string(endpoint.name), std::string(endpoint.address), "Where other services reach it: host:port, list://a:1,b:1, file:///PATH or dns://NAME:PORT");
    rpc::declare_channel_options(config, std::string(endpoint.name), {.balance = endpoint.balance, .call_ms = k_call_ms, .extra_burst = k_extra_burst});
  }
}

Status write_key_files(Env& env, const Secrets& secrets, const std::string& directory) {
  for (const ServiceSpec& spec : services()) {
    TRY(secrets.write(env, directory + "/" + std::string(spec.name) + ".keys", spec.keys));
  }
  return env.disk().sync_directory(directory);
}

std::vector<std::string_view> issuers_of(std::span<const rpc::MethodInfo> methods) {
  std::set<std::string_view> issuers;
  for (const rpc::MethodInfo& method : methods) {
    if (!method.policy.grant_issuer.empty()) issuers.insert(method.policy.grant_issuer);
  }
  return {issuers.begin(), issuers.end()};
}

}  // namespace hongyan::process
