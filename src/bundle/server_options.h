// The settings of hongyan-server and how they become a BundleConfig: one TOML file, HONGYAN_* variables, options.
#pragma once

#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "runtime/config/config.h"

namespace hongyan::bundle {

// Every key, with default, limits and help.
void declare_settings(runtime::Config& config);

// The parts that come straight from the settings; site, TLS and addresses are filled by the server.
Result<BundleConfig> bundle_config(const runtime::Config& config);

// Where the long link listens: its own setting, else as the site.
const std::string& long_link_host(const runtime::Config& config);
// "127.0.0.1", "::1", "localhost": what only this machine reaches.
bool is_loopback(const std::string& host);
// "127.0.0.1:8080", "[::1]:8080".
std::string join_address(const std::string& host, int64_t port);

}  // namespace hongyan::bundle
