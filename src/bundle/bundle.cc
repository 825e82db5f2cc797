#include "bundle/bundle.h"

#include <map>
#include <optional>

#include "model/tables.h"
#include "process/wiring.h"
#include "rpc/pages/wiring.h"
#include "rpc/guard.h"
#include "rpc/local_channel.h"
#include "runtime/env/profiler.h"
#include "runtime/log/log.h"

namespace hongyan::bundle {

namespace {

// A data service with the guard before it. Its channel exists before the service does, so that services may name each
// other whatever the order they are made in.
template <typename ServiceT>
class Seat : public rpc::Channel {
 public:
  Seat(process::Surroundings& around, std::string_view audience, std::span<const rpc::MethodInfo> methods)
      : audience_(audience), guard_(process::guard_of(around, audience, methods)), tracer_(around.env().tracer()) {}
  void take(std::unique_ptr<ServiceT> service) { service_ = std::move(service); }
  ServiceT& service() { return *service_; }
  void serve(rpc::Service& service) {
    methods_ = service.methods();
    channel_.emplace(service, guard_.get(), &tracer_);
  }
  GuardedService guarded() { return {.audience = audience_, .methods = methods_, .channel = this}; }
  Status call(Call& call, const rpc::MethodInfo& method, const rpc::Message& request, rpc::Message& response) override {
    CHECK(channel_.has_value());
    return channel_->call(call, method, request, response);
  }

 private:
  const std::string audience_;
  std::span<const rpc::MethodInfo> methods_;
  std::unique_ptr<rpc::Guard> guard_;
  runtime::Tracer& tracer_;
  std::unique_ptr<ServiceT> service_;
  std::optional<rpc::LocalChannel> channel_;
};

// A logic service: no rows, no guard.
template <typename ServiceT>
class LogicSeat : public rpc::Channel {
 public:
  void take(Env& env, std::unique_ptr<ServiceT> service) {
    service_ = std::move(service);
    channel_.emplace(*service_, nullptr, &env.tracer());
  }
  Status call(Call& call, const rpc::MethodInfo& method, const rpc::Message& request, rpc::Message& response) override {
    CHECK(channel_.has_value());
    return channel_->call(call, method, request, response);
  }

 private:
  std::unique_ptr<ServiceT> service_;
  std::optional<rpc::LocalChannel> channel_;
};

class BundleImpl : public Bundle, private process::Surroundings {
 public:
  BundleImpl(Env& env, store::Store& store, const Secrets& secrets, BundleConfig config)
      : env_(env),
        store_(store),
        secrets_(secrets),
        config_(std::move(config)),
        integrator_(process::integrator(*this)),
        presence_(*this, "presence", internal::presence_methods()),
        web_gate_(*this, "gate", internal::gate_methods()),
        short_gate_(*this, "gate", internal::gate_methods()),
        long_gate_(*this, "gate", internal::gate_methods()),
        sealed_gate_(*this, "gate", internal::gate_methods()),
        account_(*this, "account", internal::account_methods()),
        device_(*this, "device", internal::device_methods()),
        contact_(*this, "contact", internal::contact_methods()),
        inbox_(*this, "inbox", internal::inbox_methods()),
        group_(*this, "group", internal::group_methods()) {
    make_data();
    make_logic();
    make_access();
  }

  Status start() override {
    account_.service().start();
    contact_.service().start();
    inbox_.service().start();
    group_.service().start();
    if (config_.serve_web) {
      short_link_->start();
      TRY(web_->start());
      TRY(long_link_->start());
      if (sealed_link_ != nullptr) TRY(sealed_link_->start());
      TRY(server_port_->start());
    }
    ready_ = true;
    return {};
  }

  // Access first, so that nothing new comes in; then what works in the background.
  void stop(Call& call) override {
    ready_ = false;
    if (runtime::Profiler* const profiler = env_.profiler()) profiler->end_early();
    if (config_.serve_web) {
      server_port_->stop(call);
      short_link_->stop(call);
      web_->stop(call);
      long_link_->stop(call);
      if (sealed_link_ != nullptr) sealed_link_->stop(call);
    }
    for (const Status& status : {group_.service().stop(call), inbox_.service().stop(call),
                                 contact_.service().stop(call), account_.service().stop(call)}) {
      if (!status.ok()) env_.log().warning("bundle: a worker did not stop: {}", status.detail());
    }
    presence_.service().stop(call);
  }

  std::string web_address() const override { return config_.serve_web ? web_->address() : ""; }
  std::string web_url() const override {
    return !config_.serve_web ? "" : (config_.web_tls != nullptr ? "https://" : "http://") + web_->address();
  }
  std::string server_api_address() const override { return config_.serve_web ? server_port_->address() : ""; }
  std::string long_link_address() const override { return config_.serve_web ? long_link_->address() : ""; }
  std::string sealed_link_address() const override { return sealed_link_ != nullptr ? sealed_link_->address() : ""; }
  api::Entry& entry() override { return *entry_; }
  internal::PresenceClient presence() override { return internal::PresenceClient(presence_); }
  void add_gate(const std::string& name, internal::GateService& gate) override {
    CHECK(web_ == nullptr);
    add_gate(web_gate_, gate, name);
  }
  IntegratorClients integrator() override {
    return {.account = internal::AccountClient(account_), .device = internal::DeviceClient(device_),
            .contact = internal::ContactClient(contact_), .self = integrator_};
  }
  std::vector<GuardedService> guarded() override {
    std::vector<GuardedService> all = {presence_.guarded(), web_gate_.guarded(), short_gate_.guarded(), long_gate_.guarded(),
                                       account_.guarded(), device_.guarded(), contact_.guarded(), inbox_.guarded(), group_.guarded()};
    if (sealed_link_ != nullptr) all.push_back(sealed_gate_.guarded());
    return all;
  }

 private:
  Env& env() override { return env_; }
  const Secrets& secrets() override { return secrets_; }
  rpc::Revocations& revocations() override { return revocations_; }
  const rpc::PublicLimits& public_limits() override { return config_.public_limits; }
  store::Store& store(std::string_view) override { return store_; }
  rpc::Channel& channel(std::string_view name) override {
    const std::map<std::string_view, rpc::Channel*> channels = {
        {"account", &account_}, {"device", &device_}, {"contact", &contact_},
        {"inbox", &inbox_},     {"group", &group_},   {"presence", &presence_},
        {"login", &login_},     {"friend", &friend_}, {"group_chat", &group_chat_},
        {"chat", &chat_},       {"message_sync", &message_sync_}};
    return *channels.at(name);
  }

  void make_data() {
    presence_.take(access::make_presence(env_, process::presence_deps(*this), {}));
    presence_.serve(presence_.service());
    account_.take(account::make_account(env_, process::account_deps(*this),
                                        {.region = config_.region, .password_cost = config_.password_cost}));
    account_.serve(account_.service());
    device_.take(device::make_device(env_, process::device_deps(*this), {}));
    device_.serve(device_.service());
    contact_.take(contact::make_contact(env_, process::contact_deps(*this), {}));
    contact_.serve(contact_.service());
    inbox_.take(inbox::make_inbox(env_, process::inbox_deps(*this), config_.inbox));
    inbox_.serve(inbox_.service());
    group_.take(group::make_group(env_, process::group_deps(*this), config_.group));
    group_.serve(group_.service());
  }

  void make_logic() {
    login_.take(env_, logic::make_login(env_, process::login_deps(*this),
                                  {.region = "r" + std::to_string(config_.region), .auth = config_.auth}));
    friend_.take(env_, logic::make_friend(env_, process::friend_deps(*this)));
    group_chat_.take(env_, logic::make_group_chat(env_, process::group_chat_deps(*this)));
    chat_.take(env_, logic::make_chat(env_, process::chat_deps(*this)));
    message_sync_.take(env_, logic::make_message_sync(env_, process::message_sync_deps(*this)));
  }

  void make_access() {
    entry_.emplace(env_, process::entry_deps(*this), config_.entry);
    if (!config_.serve_web) return;
    make_gates();
    access::ServerPortDeps deps = process::server_port_deps(*this, [this] { return config_.web_url.empty() ? web_url() : config_.web_url; });
    pages_.emplace(env_, config_.about, page_sources());
    deps.pages = [this](const rpc::HttpRequest& request, bool secret) {
      Call call;
      return rpc::page_response(call, *pages_, request, secret);
    };
    server_port_ = access::make_server_port(env_, std::move(deps), config_.server_port);
  }

  rpc::PageSources page_sources() {
    rpc::PageSources sources;
    sources.methods = [this] {
      std::vector<rpc::MethodRow> rows;
      for (const GuardedService& service : guarded()) {
        for (const rpc::MethodInfo& method : service.methods) rows.push_back(rpc::method_row(method));
      }
      return rows;
    };
    sources.status = [this] {
      return std::vector<std::pair<std::string, rpc::Cell>>{{"ready", ready_ ? "yes" : "no"},
                                                            {"web_connections", static_cast<uint64_t>(web_->connections())},
                                                            {"long_link_connections", static_cast<uint64_t>(long_link_->connections())}};
    };
    return sources;
  }

  void make_gates() {
    short_link_ = access::make_short_link(env_, process::short_link_deps(*this, *entry_), config_.short_link);
    access::WebGateDeps web = process::web_gate_deps(*this, *entry_, *short_link_);
    web.site = std::move(config_.site);
    web.tls = config_.web_tls;
    web.ready = [this] { return ready_; };
    web.seal_key = access::seal_key_text(secrets_.seal_keys());
    web_ = access::make_web_gate(env_, std::move(web), config_.web);
    access::LongLinkDeps long_link = process::long_link_deps(*this, *entry_);
    long_link.tls = config_.long_link_tls;
    // Over TLS a seal would add nothing; on loopback it is there for whoever writes a client.
    if (long_link.tls == nullptr) long_link.seal_keys = secrets_.seal_keys();
    long_link_ = access::make_long_link(env_, std::move(long_link), config_.long_link);
    if (!config_.sealed_link_address.empty()) make_sealed_link();
    add_gate(web_gate_, web_->gate_service(), config_.web.links.gate);
    add_gate(short_gate_, short_link_->gate_service(), config_.short_link.links.gate);
    add_gate(long_gate_, long_link_->gate_service(), config_.long_link.links.gate);
  }

  void make_sealed_link() {
    const access::LongLinkConfig config = process::sealed_link_config(config_);
    access::LongLinkDeps deps = process::long_link_deps(*this, *entry_);
    deps.seal_keys = secrets_.seal_keys();
    sealed_link_ = access::make_long_link(env_, std::move(deps), config);
    add_gate(sealed_gate_, sealed_link_->gate_service(), config.links.gate);
  }

  void add_gate(Seat<internal::GateService>& seat, internal::GateService& service, const std::string& name) {
    seat.serve(service);
    presence_.service().add_gate(name, internal::GateClient(seat));
  }

  Env& env_;
  store::Store& store_;
  const Secrets secrets_;
  BundleConfig config_;
  rpc::Revocations revocations_;
  rpc::ServiceIdentity integrator_;
  bool ready_ = false;

  Seat<access::Presence> presence_;
  Seat<internal::GateService> web_gate_, short_gate_, long_gate_, sealed_gate_;  // Each served by the gate of that name.
  Seat<account::Service> account_;
  Seat<internal::DeviceService> device_;
  Seat<contact::Service> contact_;
  Seat<inbox::InboxRoom> inbox_;
  Seat<group::Service> group_;

  LogicSeat<client::LoginService> login_;
  LogicSeat<client::FriendService> friend_;
  LogicSeat<client::GroupChatService> group_chat_;
  LogicSeat<client::ChatService> chat_;
  LogicSeat<client::MessageSyncService> message_sync_;

  std::optional<api::Entry> entry_;
  std::unique_ptr<access::ShortLink> short_link_;
  std::unique_ptr<access::WebGate> web_;
  std::unique_ptr<access::LongLink> long_link_, sealed_link_;
  std::optional<rpc::Pages> pages_;
  std::unique_ptr<access::ServerPort> server_port_;
};

}  // namespace

std::vector<store::TableSpec> tables() {
  std::vector<store::TableSpec> specs;
  for (const model::TableName& table : model::k_tables) {
    specs.push_back({.id = table.id, .name = table.name, .table_class = store::TableClass::rows, .tracked = table.tracked});
  }
  return specs;
}

std::unique_ptr<Bundle> make_bundle(Env& env, store::Store& store, const Secrets& secrets, BundleConfig config) {
  return std::make_unique<BundleImpl>(env, store, secrets, std::move(config));
}

}  // namespace hongyan::bundle
