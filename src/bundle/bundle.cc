#include "bundle/bundle.h"

#include <optional>

#include "logic/chat/chat_service.h"
#include "logic/friend/friend_service.h"
#include "logic/group_chat/group_chat_service.h"
#include "logic/message_sync/message_sync_service.h"
#include "model/tables.h"
#include "rpc/guard.h"
#include "rpc/local_channel.h"
#include "runtime/log/log.h"

namespace hongyan::bundle {

namespace {

// A data service with the guard before it. Its channel exists before the service does, so that services may name each
// other whatever the order they are made in.
template <typename ServiceT>
class Seat : public rpc::Channel {
 public:
  Seat(Env& env, const Secrets& secrets, const rpc::Revocations& revocations, std::string audience, const rpc::PublicLimits& limits)
      : audience_(audience),
        guard_(env, audience, secrets.ring("audience." + audience), secrets.issuers({"contact", "group"}), revocations, limits) {}
  void take(std::unique_ptr<ServiceT> service) { service_ = std::move(service); }
  ServiceT& service() { return *service_; }
  void serve(rpc::Service& service) {
    methods_ = service.methods();
    channel_.emplace(service, &guard_);
  }
  GuardedService guarded() { return {.audience = audience_, .methods = methods_, .channel = this}; }
  Status call(Call& call, const rpc::MethodInfo& method, const rpc::Message& request, rpc::Message& response) override {
    CHECK(channel_.has_value());
    return channel_->call(call, method, request, response);
  }

 private:
  const std::string audience_;
  std::span<const rpc::MethodInfo> methods_;
  rpc::Guard guard_;
  std::unique_ptr<ServiceT> service_;
  std::optional<rpc::LocalChannel> channel_;
};

// A logic service: no rows, no guard.
template <typename ServiceT>
class LogicSeat {
 public:
  explicit LogicSeat(std::unique_ptr<ServiceT> service) : service_(std::move(service)), channel_(*service_, nullptr) {}
  rpc::Channel& channel() { return channel_; }
  std::span<const rpc::MethodInfo> methods() const { return service_->methods(); }

 private:
  std::unique_ptr<ServiceT> service_;
  rpc::LocalChannel channel_;
};

class BundleImpl : public Bundle {
 public:
  BundleImpl(Env& env, store::Store& store, const Secrets& secrets, BundleConfig config)
      : env_(env),
        config_(std::move(config)),
        integrator_(env, secrets.audiences({"account", "device", "contact"}), "integrator"),
        presence_(env, secrets, revocations_, "presence", config_.public_limits),
        web_gate_(env, secrets, revocations_, "gate", config_.public_limits),
        short_gate_(env, secrets, revocations_, "gate", config_.public_limits),
        long_gate_(env, secrets, revocations_, "gate", config_.public_limits),
        sealed_gate_(env, secrets, revocations_, "gate", config_.public_limits),
        account_(env, secrets, revocations_, "account", config_.public_limits),
        device_(env, secrets, revocations_, "device", config_.public_limits),
        contact_(env, secrets, revocations_, "contact", config_.public_limits),
        inbox_(env, secrets, revocations_, "inbox", config_.public_limits),
        group_(env, secrets, revocations_, "group", config_.public_limits) {
    make_data(store, secrets);
    make_logic(secrets);
    make_access(secrets);
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
  void make_data(store::Store& store, const Secrets& secrets) {
    const internal::PresenceClient presence(presence_);
    presence_.take(access::make_presence(env_, {.gates = {}, .audiences = secrets.audiences({"gate"})}, {}));
    presence_.serve(presence_.service());
    account_.take(account::make_account(env_, {.store = store, .presence = presence, .audiences = secrets.audiences({"presence"})},
                                        {.region = config_.region, .password_cost = config_.password_cost}));
    account_.serve(account_.service());
    device_.take(device::make_device(env_, {.store = store,
                                            .presence = presence,
                                            .audiences = secrets.audiences({"presence"}),
                                            .client_tickets = secrets.ring("client_ticket"),
                                            .revocations = revocations_}, {}));
    device_.serve(device_.service());
    contact_.take(contact::make_contact(env_, {.store = store,
                                               .account = internal::AccountClient(account_),
                                               .presence = presence,
                                               .audiences = secrets.audiences({"account", "presence"}),
                                               .grants = secrets.ring("grant.contact")}, {}));
    contact_.serve(contact_.service());
    inbox_.take(inbox::make_inbox(env_, {.store = store,
                                         .presence = presence,
                                         .device = internal::DeviceClient(device_),
                                         .contact_grants = secrets.ring("grant.contact"),
                                         .self = rpc::ServiceIdentity(env_, secrets.audiences({"presence", "device"}), "inbox")},
                                  config_.inbox));
    inbox_.serve(inbox_.service());
    group_.take(group::make_group(env_, {.store = store,
                                         .account = internal::AccountClient(account_),
                                         .inbox = internal::InboxClient(inbox_),
                                         .contact_grants = secrets.ring("grant.contact"),
                                         .grants = secrets.ring("grant.group"),
                                         .self = rpc::ServiceIdentity(env_, secrets.audiences({"account", "inbox"}), "group")},
                                  config_.group));
    group_.serve(group_.service());
  }

  void make_logic(const Secrets& secrets) {
    const internal::AccountClient account(account_);
    const internal::ContactClient contact(contact_);
    const internal::DeviceClient device(device_);
    const internal::InboxClient inbox(inbox_);
    const internal::GroupClient group(group_);
    const internal::PresenceClient presence(presence_);
    login_.emplace(logic::make_login(env_, {.account = account, .device = device, .contact = contact, .presence = presence},
                                     {.region = "r" + std::to_string(config_.region), .auth = config_.auth}));
    friend_.emplace(logic::make_friend(env_, {.contact = contact, .account = account}));
    group_chat_.emplace(logic::make_group_chat(env_, {.group = group, .contact = contact, .account = account}));
    chat_.emplace(logic::make_chat(env_, {.account = account,
                                          .contact = contact,
                                          .inbox = inbox,
                                          .group = group,
                                          .presence = presence,
                                          .group_chat = client::GroupChatClient(group_chat_->channel())}));
    message_sync_.emplace(logic::make_message_sync(env_, {.account = account,
                                                          .contact = contact,
                                                          .inbox = inbox,
                                                          .device = device,
                                                          .snapshot_keys = secrets.ring("snapshot")}));
  }

  void make_access(const Secrets& secrets) {
    rpc::CommandTable commands;
    commands.add(login_->methods(), login_->channel());
    commands.add(friend_->methods(), friend_->channel());
    commands.add(chat_->methods(), chat_->channel());
    commands.add(group_chat_->methods(), group_chat_->channel());
    commands.add(message_sync_->methods(), message_sync_->channel());
    entry_.emplace(env_, api::EntryDeps{.commands = std::move(commands),
                                        .client_tickets = secrets.ring("client_ticket"),
                                        .audiences = secrets.audiences({"account", "device", "contact", "inbox", "group", "presence"}),
                                        .revocations = revocations_,
                                        .device = internal::DeviceClient(device_)},
                   config_.entry);
    if (!config_.serve_web) return;
    make_gates(secrets);
    make_server_port(secrets);
  }

  void make_gates(const Secrets& secrets) {
    const internal::PresenceClient presence(presence_);
    short_link_ = access::make_short_link(env_, {.entry = *entry_, .presence = presence}, config_.short_link);
    web_ = access::make_web_gate(env_, {.entry = *entry_,
                                        .presence = presence,
                                        .site = std::move(config_.site),
                                        .tls = config_.web_tls,
                                        .ready = [this] { return ready_; },
                                        .seal_key = access::seal_key_text(secrets.seal_keys()),
                                        .short_link = [this](const rpc::HttpRequest& request, std::string_view address) {
                                          return short_link_->respond(request, address);
                                        }},
                                 config_.web);
    // Over TLS a seal would add nothing; on loopback it is there for whoever writes a client.
    long_link_ = access::make_long_link(env_, {.entry = *entry_,
                                               .presence = presence,
                                               .tls = config_.long_link_tls,
                                               .seal_keys = config_.long_link_tls == nullptr ? secrets.seal_keys() : access::SealKeys()},
                                        config_.long_link);
    if (!config_.sealed_link_address.empty()) make_sealed_link(secrets);
    add_gate(web_gate_, web_->gate_service(), config_.web.links.gate);
    add_gate(short_gate_, short_link_->gate_service(), config_.short_link.links.gate);
    add_gate(long_gate_, long_link_->gate_service(), config_.long_link.links.gate);
  }

  void make_sealed_link(const Secrets& secrets) {
    access::LongLinkConfig config = config_.long_link;
    config.address = config_.sealed_link_address;
    config.sealed_only = true;
    config.links.gate = "sealed";
    sealed_link_ = access::make_long_link(
        env_, {.entry = *entry_, .presence = internal::PresenceClient(presence_), .seal_keys = secrets.seal_keys()}, config);
    add_gate(sealed_gate_, sealed_link_->gate_service(), config.links.gate);
  }

  void make_server_port(const Secrets& secrets) {
    server_port_ = access::make_server_port(
        env_,
        {.account = internal::AccountClient(account_),
         .device = internal::DeviceClient(device_),
         .contact = internal::ContactClient(contact_),
         .inbox = internal::InboxClient(inbox_),
         .group_chat = client::GroupChatClient(group_chat_->channel()),
         .self = integrator_,
         .audiences = secrets.audiences({"account", "contact", "inbox", "group"}),
         .secret = secrets.server_api(),
         .web_url = [this] { return config_.web_url.empty() ? web_url() : config_.web_url; }},
        config_.server_port);
  }

  void add_gate(Seat<internal::GateService>& seat, internal::GateService& service, const std::string& name) {
    seat.serve(service);
    presence_.service().add_gate(name, internal::GateClient(seat));
  }

  Env& env_;
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

  std::optional<LogicSeat<client::LoginService>> login_;
  std::optional<LogicSeat<client::FriendService>> friend_;
  std::optional<LogicSeat<client::GroupChatService>> group_chat_;
  std::optional<LogicSeat<client::ChatService>> chat_;
  std::optional<LogicSeat<client::MessageSyncService>> message_sync_;

  std::optional<api::Entry> entry_;
  std::unique_ptr<access::ShortLink> short_link_;
  std::unique_ptr<access::WebGate> web_;
  std::unique_ptr<access::LongLink> long_link_, sealed_link_;
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
