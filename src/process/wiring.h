// The wiring diagram: what each service is made from, said once for the bundle, where the others are seats beside it,
// and for the services' own executables, where they are behind TCP channels. Nothing here decides anything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "access/long_link/long_link.h"
#include "access/presence/presence.h"
#include "access/server_port/server_port.h"
#include "access/short_link/short_link.h"
#include "access/web_gate/web_gate.h"
#include "api/gate/entry.h"
#include "data/account/account_service.h"
#include "data/contact/contact_service.h"
#include "data/device/device_service.h"
#include "data/group/group_service.h"
#include "data/inbox/inbox_service.h"
#include "logic/chat/chat_service.h"
#include "logic/friend/friend_service.h"
#include "logic/group_chat/group_chat_service.h"
#include "logic/login/login_service.h"
#include "logic/message_sync/message_sync_service.h"
#include "process/secrets.h"
#include "rpc/guard.h"
#include "store/entity/store.h"

namespace hongyan::process {

// Where a service finds the others. Everything it hands out lives as long as it does.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual Env& env() = 0;
  virtual const Secrets& secrets() = 0;
  virtual rpc::Revocations& revocations() = 0;
  virtual const rpc::PublicLimits& public_limits() = 0;
  virtual store::Store& store(std::string_view service) = 0;   // As that service.
  virtual rpc::Channel& channel(std::string_view name) = 0;    // Of services.h's endpoints.
};

account::AccountDeps account_deps(Surroundings& around);
device::DeviceDeps device_deps(Surroundings& around);
contact::ContactDeps contact_deps(Surroundings& around);
inbox::InboxDeps inbox_deps(Surroundings& around);
group::GroupDeps group_deps(Surroundings& around);

logic::LoginDeps login_deps(Surroundings& around);
logic::FriendDeps friend_deps(Surroundings& around);
logic::GroupChatDeps group_chat_deps(Surroundings& around);
logic::ChatDeps chat_deps(Surroundings& around);
logic::MessageSyncDeps message_sync_deps(Surroundings& around);

// Gates are added when they exist.
access::PresenceDeps presence_deps(Surroundings& around);
// Every client command, by the service that answers it.
api::EntryDeps entry_deps(Surroundings& around);
// Site, TLS and readiness are their maker's.
access::WebGateDeps web_gate_deps(Surroundings& around, api::Entry& entry, access::ShortLink& short_link);
access::ShortLinkDeps short_link_deps(Surroundings& around, api::Entry& entry);
access::LongLinkDeps long_link_deps(Surroundings& around, api::Entry& entry);
access::ServerPortDeps server_port_deps(Surroundings& around, std::function<std::string()> web_url);

// What tools and the server port are: the service "integrator".
rpc::ServiceIdentity integrator(Surroundings& around);
std::unique_ptr<rpc::Guard> guard_of(Surroundings& around, std::string_view audience, std::span<const rpc::MethodInfo> methods);

}  // namespace hongyan::process
