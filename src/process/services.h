// Every service that has an executable of its own: its name, where it is reached unless the settings say otherwise, what
// it serves, and which keys it may hold. A key that isn't listed can't be used by that process: a stolen chat process
// signs nothing, a stolen inbox process can't speak for the contacts. Ports are on 127.0.0.1 by default.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "process/secrets.h"
#include "rpc/flags.h"
#include "rpc/routing/balancer.h"
#include "rpc/service.h"
#include "runtime/config/config.h"

namespace hongyan::process {

// How a service may run as a master with workers.
enum class Workers {
  none,
  shared,  // Behind one address: it keeps nothing between calls.
  own,     // Each has an address and is a routing target: what it remembers is of the keys that it gets.
};

struct ServiceSpec {
  std::string_view name;                                   // "account": hongyan-account, account.keys, services.account
  std::vector<std::string_view> keys;                      // Purposes (secrets.h).
  Workers workers = Workers::none;
  std::vector<std::string_view> also_serves = {};          // Endpoints beside the one of its name.
};

// An address of the deployment, with what is served there.
struct Endpoint {
  std::string_view name;                                   // "account": the setting services.account
  std::string_view address;                                // The default.
  std::string_view audience;                               // Of the tickets it wants; empty: none, it holds no data.
  std::span<const rpc::MethodInfo> methods;
  std::span<const rpc::MethodFlags> flags;
  rpc::Balance balance = rpc::Balance::hash;               // How its callers spread over instances, unless told.
};

std::vector<ServiceSpec> services();
std::optional<ServiceSpec> find_service(std::string_view name);
std::vector<Endpoint> endpoints();
std::optional<Endpoint> find_endpoint(std::string_view name);

// services.account and so on: a target (rpc/routing/resolver.h), with how it is called in rpc.account.*.
void declare_endpoints(runtime::Config& config);
// Where a service listens that is told nothing else: at its target, if that is one address. Code::invalid says what to do.
Result<std::string> listen_address(const runtime::Config& config, std::string_view endpoint);
// NAME.keys for each service; the directory is there.
Status write_key_files(Env& env, const Secrets& secrets, const std::string& directory);
// Those whose keys sign the grants that `methods` take.
std::vector<std::string_view> issuers_of(std::span<const rpc::MethodInfo> methods);

}  // namespace hongyan::process
