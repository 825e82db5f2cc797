// The settings of a deployment and how they become the rooms' configurations: one TOML file, HONGYAN_* variables,
// options. The bundle and the services' own executables read the same keys.
#pragma once

#include <string>

#include "access/long_link/long_link.h"
#include "access/server_port/server_port.h"
#include "access/short_link/short_link.h"
#include "access/web_gate/web_gate.h"
#include "api/gate/entry.h"
#include "data/account/account_service.h"
#include "data/group/group_service.h"
#include "data/inbox/inbox_service.h"
#include "logic/login/login_service.h"
#include "rpc/guard.h"
#include "runtime/config/config.h"

namespace hongyan::process {

// What each room is told; the parts that come straight from the settings. Site and TLS are files: their users load them.
struct RoomSettings {
  uint32_t region = 0;
  logic::AuthMode auth = logic::AuthMode::both;
  account::PasswordCost password_cost;
  inbox::InboxConfig inbox;
  group::GroupConfig group;
  api::EntryConfig entry;
  rpc::PublicLimits public_limits{.per_user = {.per_second = 20, .burst = 200}, .per_service = {.per_second = 2'000, .burst = 20'000}};
  access::WebGateConfig web;
  access::ShortLinkConfig short_link;                   // On the web gate's port.
  access::LongLinkConfig long_link;
  std::string sealed_link_address = {};                 // A second long link, of sealed bodies; empty: none.
  access::ServerPortConfig server_port;
  std::string web_url = {};                             // What people open; empty: the web gate's own address.
};

// Every key, with default, limits and help.
void declare_settings(runtime::Config& config);
Result<RoomSettings> room_settings(const runtime::Config& config);

// What Scheduler::set_parking() is told.
runtime::Duration park_after(const runtime::Config& config);

// Of that second long link.
access::LongLinkConfig sealed_link_config(const RoomSettings& settings);

// Where the long link listens: its own setting, else as the site.
const std::string& long_link_host(const runtime::Config& config);
// "127.0.0.1", "::1", "localhost": what only this machine reaches.
bool is_loopback(const std::string& host);
// "127.0.0.1:8080", "[::1]:8080".
std::string join_address(const std::string& host, int64_t port);

}  // namespace hongyan::process
