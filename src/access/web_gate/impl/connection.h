// One connection of the web gate: requests in order, then perhaps a WebSocket link for the rest of its life.
#pragma once

#include <memory>
#include <string>

#include "api/gate/budget.h"
#include "api/gate/turns.h"
#include "access/web_gate/impl/web_commands.h"
#include "access/web_gate/impl/web_counters.h"
#include "access/web_gate/impl/web_link.h"

namespace hongyan::access {

// What all connections of a gate share.
struct GateShared {
  Env& env;
  WebGateConfig config;
  api::LinkTable& links;
  WebCommands commands;
  Site site;
  WebCounters counters;
  api::Budget budget;
  api::Turnstile turnstile;
  std::shared_ptr<runtime::TlsServer> tls;
  std::function<bool()> ready;
  std::string seal_key;
  std::function<HttpResponse(const HttpRequest&, const api::Origin&)> short_link;
  bool stopping = false;
};

class Connection {
 public:
  // `group` is the address group whose part of the budget it takes; empty: a front proxy's.
  Connection(GateShared& gate, std::unique_ptr<runtime::Stream> stream, std::string address, std::string group);

  void run();
  // The gate closes: an idle connection at once, a busy one after its answer.
  void wind_down();

 private:
  enum class Next { request, upgrade, end };
  bool read_request(rpc::HttpParser& parser);
  Next handle(rpc::HttpParser& parser);
  HttpResponse respond(const HttpRequest& request);
  HttpResponse respond_api(const HttpRequest& request, std::string_view command);
  HttpResponse respond_upgrade(const HttpRequest& request);
  HttpResponse respond_metrics(const HttpRequest& request);
  api::Origin origin() { return {.address = address_, .arrived = arrived_, .credit = &credit_}; }
  bool write(const HttpRequest& request, const HttpResponse& response, bool keep_alive);
  bool write_bytes(std::string_view bytes);
  void refuse(int status);

  GateShared& gate_;
  api::Arrivals arrivals_;
  std::unique_ptr<runtime::Stream> stream_;
  api::Credit credit_;
  runtime::Time arrived_{};  // Of the request that is handled.
  std::string address_;
  std::string group_;
  std::unique_ptr<WebLink> link_;
  api::Budget::Share unfinished_;
  bool first_ = true;
  bool waiting_ = false;  // For the first byte of a request.
};

}  // namespace hongyan::access
