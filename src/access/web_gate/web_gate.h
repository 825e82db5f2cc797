// The web's door: one port serves the site, the JSON API, WebSocket links and long polling (docs/protocol-web.md).
//
// What it promises: a request is read completely before it is run; requests of one connection are answered in order,
// those of a WebSocket as they finish. Whoever is slow, idle or too much is closed, on the limits below; no limit
// depends on anything the other side says. No cookies, no CORS: a page of another origin can neither read answers nor
// open a link in somebody's name. /metrics is for loopback peers without a proxy in between.
//
// Lifecycle: make, start() once, stop() once, then destroy. Owning thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "rpc/http/http.h"
#include "access/web_gate/site.h"
#include "api/gate/entry.h"
#include "api/gate/link_table.h"
#include "api/internal/presence.rpc.pb.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::access {

struct WebGateDeps {
  api::Entry& entry;
  internal::PresenceClient presence;
  SiteFiles site;                                   // load_site()
  std::shared_ptr<runtime::TlsServer> tls = {};     // Null: plain HTTP.
  std::function<bool()> ready = {};                 // For /readyz; null: ready.
  std::string seal_key = {};                        // For /seal-key: what clients of the sealed long link pin.
  // Answers what comes under /s/ (the short link), given the peer's address; null: nothing is there.
  std::function<rpc::HttpResponse(const rpc::HttpRequest&, const api::Origin&)> short_link = {};
};

struct WebGateConfig {
  std::string address = "127.0.0.1:8080";
  size_t connections_max = 10'000;                              // About 16 KiB each when idle.
  size_t connections_per_address_max = 256;                     // Not for loopback: a front proxy is one address.
  runtime::Duration header_limit = std::chrono::seconds(10);    // From a request's first byte to its header's last.
  runtime::Duration body_limit = std::chrono::seconds(30);
  runtime::Duration write_limit = std::chrono::seconds(30);     // For each 64 KiB.
  runtime::Duration idle_limit = std::chrono::seconds(75);      // Between requests; for links, between frames.
  runtime::Duration ping = std::chrono::seconds(30);
  runtime::Duration poll_max = std::chrono::seconds(25);        // Below the timeouts of common proxies.
  rpc::HttpLimits http = {};
  size_t link_requests_max = 64;                                // In flight per link.
  size_t link_output_bytes_max = 4 * 1024 * 1024;               // Unread answers; over it the link is cut.
  size_t unfinished_bytes_max = 8 * 1024 * 1024;                // Of all half-received bodies and messages together.
  api::LinkTableConfig links = {};
};

class WebGate {
 public:
  virtual ~WebGate() = default;
  virtual Status start() = 0;                                   // Code::busy: the address is taken.
  virtual std::string address() const = 0;                      // With the real port.
  virtual void stop(Call& call) = 0;                            // Lets what runs finish until the call's deadline.
  virtual internal::GateService& gate_service() = 0;            // For presence, under config.links.gate.
  virtual size_t connections() const = 0;
};

std::unique_ptr<WebGate> make_web_gate(Env& env, WebGateDeps deps, WebGateConfig config);

}  // namespace hongyan::access
