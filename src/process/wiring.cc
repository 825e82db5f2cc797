#include "process/wiring.h"

#include "process/services.h"

namespace hongyan::process {

namespace {

// A client of the endpoint of that name.
template <typename Client>
Client to(Surroundings& around, std::string_view name) {
  return Client(around.channel(name));
}

internal::AccountClient account(Surroundings& around) { return to<internal::AccountClient>(around, "account"); }
internal::DeviceClient device(Surroundings& around) { return to<internal::DeviceClient>(around, "device"); }
internal::ContactClient contact(Surroundings& around) { return to<internal::ContactClient>(around, "contact"); }
internal::InboxClient inbox(Surroundings& around) { return to<internal::InboxClient>(around, "inbox"); }
internal::GroupClient group(Surroundings& around) { return to<internal::GroupClient>(around, "group"); }
internal::PresenceClient presence(Surroundings& around) { return to<internal::PresenceClient>(around, "presence"); }

}  // namespace

account::AccountDeps account_deps(Surroundings& around) {
  return {.store = around.store("account"),
          .presence = presence(around),
          .audiences = around.secrets().audiences({"presence"})};
}

device::DeviceDeps device_deps(Surroundings& around) {
  return {.store = around.store("device"),
          .presence = presence(around),
          .audiences = around.secrets().audiences({"presence"}),
          .client_tickets = around.secrets().ring("client_ticket"),
          .revocations = around.revocations()};
}

contact::ContactDeps contact_deps(Surroundings& around) {
  return {.store = around.store("contact"),
          .account = account(around),
          .presence = presence(around),
          .audiences = around.secrets().audiences({"account", "presence"}),
          .grants = around.secrets().ring("grant.contact")};
}

inbox::InboxDeps inbox_deps(Surroundings& around) {
  return {.store = around.store("inbox"),
          .presence = presence(around),
          .device = device(around),
          .contact_grants = around.secrets().ring("grant.contact"),
          .self = rpc::ServiceIdentity(around.env(), around.secrets().audiences({"presence", "device"}), "inbox")};
}

group::GroupDeps group_deps(Surroundings& around) {
  return {.store = around.store("group"),
          .account = account(around),
          .inbox = inbox(around),
          .contact_grants = around.secrets().ring("grant.contact"),
          .grants = around.secrets().ring("grant.group"),
          .self = rpc::ServiceIdentity(around.env(), around.secrets().audiences({"account", "inbox"}), "group")};
}

logic::LoginDeps login_deps(Surroundings& around) {
  return {.account = account(around), .device = device(around), .contact = contact(around), .presence = presence(around)};
}

logic::FriendDeps friend_deps(Surroundings& around) { return {.contact = contact(around), .account = account(around)}; }

logic::GroupChatDeps group_chat_deps(Surroundings& around) {
  return {.group = group(around), .contact = contact(around), .account = account(around)};
}

logic::ChatDeps chat_deps(Surroundings& around) {
  return {.account = account(around),
          .contact = contact(around),
          .inbox = inbox(around),
          .group = group(around),
          .presence = presence(around),
          .group_chat = to<client::GroupChatClient>(around, "group_chat")};
}

logic::MessageSyncDeps message_sync_deps(Surroundings& around) {
  return {.account = account(around),
          .contact = contact(around),
          .inbox = inbox(around),
          .device = device(around),
          .snapshot_keys = around.secrets().ring("snapshot")};
}

access::PresenceDeps presence_deps(Surroundings& around) {
  return {.gates = {}, .audiences = around.secrets().audiences({"gate"})};
}

api::EntryDeps entry_deps(Surroundings& around) {
  rpc::CommandTable commands;
  commands.add(client::login_methods(), around.channel("login"));
  commands.add(client::friend_methods(), around.channel("friend"));
  commands.add(client::chat_methods(), around.channel("chat"));
  commands.add(client::group_chat_methods(), around.channel("group_chat"));
  commands.add(client::message_sync_methods(), around.channel("message_sync"));
  return {.commands = std::move(commands),
          .client_tickets = around.secrets().ring("client_ticket"),
          .audiences = around.secrets().audiences({"account", "device", "contact", "inbox", "group", "presence"}),
          .revocations = around.revocations(),
          .device = device(around)};
}

access::WebGateDeps web_gate_deps(Surroundings& around, api::Entry& entry, access::ShortLink& short_link) {
  return {.entry = entry,
          .presence = presence(around),
          .site = {},
          .short_link = [&short_link](const rpc::HttpRequest& request, const api::Origin& origin) {
            return short_link.respond(request, origin);
          }};
}

access::ShortLinkDeps short_link_deps(Surroundings& around, api::Entry& entry) {
  return {.entry = entry, .presence = presence(around)};
}

access::LongLinkDeps long_link_deps(Surroundings& around, api::Entry& entry) {
  return {.entry = entry, .presence = presence(around)};
}

access::ServerPortDeps server_port_deps(Surroundings& around, std::function<std::string()> web_url) {
  return {.account = account(around),
          .device = device(around),
          .contact = contact(around),
          .inbox = inbox(around),
          .group_chat = to<client::GroupChatClient>(around, "group_chat"),
          .self = integrator(around),
          .audiences = around.secrets().audiences({"account", "contact", "inbox", "group"}),
          .secret = around.secrets().server_api(),
          .web_url = std::move(web_url)};
}

rpc::ServiceIdentity integrator(Surroundings& around) {
  return rpc::ServiceIdentity(around.env(), around.secrets().audiences({"account", "device", "contact"}), "integrator");
}

std::unique_ptr<rpc::Guard> guard_of(Surroundings& around, std::string_view audience, std::span<const rpc::MethodInfo> methods) {
  return std::make_unique<rpc::Guard>(around.env(), std::string(audience),
                                      around.secrets().ring("audience." + std::string(audience)),
                                      around.secrets().issuers(issuers_of(methods)), around.revocations(),
                                      around.public_limits());
}

}  // namespace hongyan::process
