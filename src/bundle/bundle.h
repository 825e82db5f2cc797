// All services of one deployment in one process, wired with in-process channels: each call runs inline through the
// same guards as over the network. The server (main.cc) gives it the real Env and the embedded store, the simulator
// its own. Nothing here decides anything: it is the wiring diagram.
//
// Owning thread only. start() in a coroutine; stop() before destruction; the store outlives the bundle.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
#include "logic/login/login_service.h"
#include "process/secrets.h"
#include "process/settings.h"
#include "rpc/pages/pages.h"
#include "runtime/env/env.h"
#include "store/entity/store.h"

namespace hongyan::bundle {

using process::Secrets;

struct BundleConfig : process::RoomSettings {
  rpc::Pages::About about = {.program = "hongyan", .version = {}, .process = 0};
  bool serve_web = true;                                // False: no listener; whoever holds entry() is the access.
  access::SiteFiles site = {};
  std::shared_ptr<runtime::TlsServer> web_tls = {};
  std::shared_ptr<runtime::TlsServer> long_link_tls = {};
};

// The list of tables for whoever opens the store.
std::vector<store::TableSpec> tables();

// What tools and the server port call as the service "integrator".
struct IntegratorClients {
  internal::AccountClient account;
  internal::DeviceClient device;
  internal::ContactClient contact;
  rpc::ServiceIdentity self;
};

// A service that other services call, behind its guard.
struct GuardedService {
  std::string_view audience;
  std::span<const rpc::MethodInfo> methods;
  rpc::Channel* channel;
};

class Bundle {
 public:
  virtual ~Bundle() = default;
  virtual Status start() = 0;
  virtual void stop(Call& call) = 0;
  // With the real ports; empty when nothing listens.
  virtual std::string web_address() const = 0;
  virtual std::string web_url() const = 0;  // With its scheme.
  virtual std::string server_api_address() const = 0;
  virtual std::string long_link_address() const = 0;
  virtual std::string sealed_link_address() const = 0;  // Empty: there is none.
  virtual api::Entry& entry() = 0;
  // Without the web: whom a gate tells who is online, and by which name its rings reach it. Once, before anybody
  // connects; the gate is there as long as the bundle works.
  virtual internal::PresenceClient presence() = 0;
  virtual void add_gate(const std::string& name, internal::GateService& gate) = 0;
  virtual IntegratorClients integrator() = 0;
  // All of them, for tools and tests that walk every method.
  virtual std::vector<GuardedService> guarded() = 0;
};

std::unique_ptr<Bundle> make_bundle(Env& env, store::Store& store, const Secrets& secrets, BundleConfig config);

}  // namespace hongyan::bundle
