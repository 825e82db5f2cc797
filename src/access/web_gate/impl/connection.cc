#include "access/web_gate/impl/connection.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "api/gate/read_buffer.h"

namespace hongyan::access {

using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_read_bytes = 4096;
constexpr size_t k_read_in_a_row = 64 * 1024;  // Then the others have their turn.
constexpr size_t k_write_bytes = 64 * 1024;
constexpr size_t k_drain_bytes_max = 1024 * 1024;
constexpr Duration k_drain_limit = std::chrono::seconds(1);
constexpr std::string_view k_short_link = "/s/";
constexpr std::string_view k_api = "/api/v1/";
constexpr std::string_view k_metrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
constexpr uint16_t k_close_going_away = 1001;

HttpResponse plain(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.fields.emplace_back("Cache-Control", "no-store");
  response.body = std::move(text);
  return response;
}

HttpResponse only(std::string_view methods) {
  HttpResponse response = plain(405, "method not allowed\n");
  response.fields.emplace_back("Allow", methods);
  return response;
}

bool equal_fold(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return low(x) == low(y);
  });
}

std::string_view without_port(std::string_view host, std::string_view port) {
  return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

// A page of another site may open a WebSocket here with its visitor's network; its Origin tells.
bool same_origin(std::string_view origin, std::string_view host) {
  for (const auto& [scheme, port] : {std::pair{"https://", ":443"}, std::pair{"http://", ":80"}}) {
    if (!origin.starts_with(scheme)) continue;
    const std::string_view authority = origin.substr(std::string_view(scheme).size());
    return !authority.empty() && equal_fold(without_port(authority, port), without_port(host, port));
  }
  return false;
}

bool is_json(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const size_t end = type.find_last_not_of(" \t");
  return end != std::string_view::npos && equal_fold(type.substr(0, end + 1), "application/json");
}

}  // namespace

Connection::Connection(GateShared& gate, std::unique_ptr<runtime::Stream> stream, std::string address, std::string group)
    : gate_(gate),
      arrivals_(gate.env.scheduler()),
      stream_(std::move(stream)),
      address_(std::move(address)),
      group_(std::move(group)),
      unfinished_(gate.budget, group_) {
  gate_.counters.connections.add(1);
}

void Connection::run() {
  (void)credit_.pass(gate_.turnstile);
  if (gate_.tls != nullptr) {
    auto tls = gate_.tls->wrap(std::move(stream_));
    Call call = runtime::background_call(gate_.env, gate_.config.header_limit);
    const Status shaken = tls->handshake(call);
    stream_ = std::move(tls);
    if (!shaken.ok()) return;
  }
  arrivals_.watch(*stream_);
  rpc::HttpParser parser(gate_.config.http);
  while (read_request(parser)) {
    const Next next = handle(parser);
    if (next == Next::end) return;
    if (next == Next::request) continue;
    std::string early = parser.take_rest();
    link_ = std::make_unique<WebLink>(gate_.env, gate_.config, gate_.commands, gate_.links, gate_.counters, gate_.budget,
                                      *stream_, arrivals_, gate_.turnstile, credit_, address_, group_);
    link_->run(std::move(early));
    link_.reset();
    return;
  }
}

void Connection::wind_down() {
  if (link_ != nullptr) return link_->close(k_close_going_away, "server closes");
  if (waiting_) stream_->close();
}

bool Connection::read_request(rpc::HttpParser& parser) {
  const WebGateConfig& config = gate_.config;
  // A new connection has no right to silence: whoever opens one has something to say.
  const bool fresh = std::exchange(first_, false) || !parser.idle();
  Time limit = runtime::after(gate_.env.now(), fresh ? config.header_limit : config.idle_limit);
  api::ReadBuffer buffer;
  bool in_body = false;
  size_t in_a_row = 0;
  arrived_ = gate_.env.scheduler().read_clock();
  while (!parser.complete()) {
    if (parser.error() != 0) {
      refuse(parser.error());
      return false;
    }
    if (parser.in_body() && !in_body) {
      in_body = true;
      limit = runtime::after(gate_.env.now(), config.body_limit);
    }
    if (!unfinished_.resize(parser.unfinished_bytes())) {
      refuse(503);
      return false;
    }
    if (parser.wants_continue()) {
      parser.continued();
      if (!write_bytes("HTTP/1.1 100 Continue\r\n\r\n")) return false;
    }
    Call call;
    call.deadline = limit;
    waiting_ = parser.idle();
    if (waiting_ && gate_.stopping) return false;
    std::optional<runtime::MayPark> may_park;
    if (waiting_) may_park.emplace();  // Nobody else knows of this stack.
    const Result<size_t> count = arrivals_.read(*stream_, call, buffer.room());
    may_park.reset();
    if (count.code() == Code::deadline) {
      gate_.counters.slow.add(1);
      if (!waiting_) refuse(408);
      return false;
    }
    if (!count.ok() || *count == 0) return false;
    if (waiting_ && !fresh) limit = runtime::after(gate_.env.now(), config.header_limit);
    waiting_ = false;
    arrived_ = arrivals_.last();
    parser.feed(buffer.took(*count));
    in_a_row += *count;
    if (in_a_row < k_read_in_a_row) continue;
    in_a_row = 0;
    // Of all strangers that send long bodies one is read in a turn: of a hundred, everybody would wait for a hundred.
    if (!credit_.pass(gate_.turnstile)) gate_.env.scheduler().yield();
  }
  return true;
}

Connection::Next Connection::handle(rpc::HttpParser& parser) {
  const HttpRequest request = parser.take();
  if (request.body.size() <= WebCommands::k_short_bytes_max) (void)unfinished_.resize(0);  // A longer one counts until it is done.
  // Kept waiting on purpose: that is no overload.
  if (credit_.pass(gate_.turnstile)) arrived_ = gate_.env.scheduler().read_clock();
  gate_.counters.requests.add(1);
  const HttpResponse response = respond(request);
  (void)unfinished_.resize(0);
  const bool upgraded = response.status == 101;
  const bool keep_alive = request.keep_alive && !response.close && !gate_.stopping;
  if (!write(request, response, keep_alive)) return Next::end;
  if (upgraded) return Next::upgrade;
  // Bytes behind a refused upgrade are of no known protocol.
  return keep_alive && !request.has_token("connection", "upgrade") ? Next::request : Next::end;
}

HttpResponse Connection::respond(const HttpRequest& request) {
  const std::string_view path = request.path();
  if (path.starts_with(k_short_link) && gate_.short_link) return gate_.short_link(request, origin());
  if (path.starts_with(k_api)) return respond_api(request, path.substr(k_api.size()));
  if (request.method != "GET" && request.method != "HEAD") return only("GET, HEAD");
  if (path == "/ws") return respond_upgrade(request);
  if (path == "/healthz") return plain(200, "ok");
  if (path == "/readyz") return !gate_.stopping && (!gate_.ready || gate_.ready()) ? plain(200, "ok") : plain(503, "not ready");
  if (path == "/seal-key" && !gate_.seal_key.empty()) return plain(200, gate_.seal_key + "\n");
  if (path == "/metrics") return respond_metrics(request);
  if (path.starts_with("/api/")) return plain(404, "not found\n");
  return gate_.site.serve(request);
}

HttpResponse Connection::respond_api(const HttpRequest& request, std::string_view command) {
  if (!gate_.commands.known(command)) return plain(404, "no such command\n");
  if (request.method != "POST") return only("POST");
  if (!is_json(request.field("content-type"))) return plain(415, "the body must be application/json\n");
  HttpResponse response;
  response.content_type = "application/json";
  response.fields.emplace_back("Cache-Control", "no-store");
  Call call;
  api::Origin from = origin();
  from.traceparent = request.field("traceparent");
  response.body = gate_.commands.run(call, command, request.body, from, nullptr);
  return response;
}

HttpResponse Connection::respond_upgrade(const HttpRequest& request) {
  if (!request.has_token("upgrade", "websocket") || !request.has_token("connection", "upgrade") ||
      request.field("sec-websocket-version") != "13") {
    HttpResponse response = plain(426, "this is a WebSocket\n");
    response.fields.emplace_back("Upgrade", "websocket");
    response.fields.emplace_back("Sec-WebSocket-Version", "13");
    return response;
  }
  if (request.method != "GET" || request.minor != 1 || !request.body.empty()) return plain(400, "not a WebSocket handshake\n");
  const std::string_view origin = request.field("origin");
  if (!origin.empty() && !same_origin(origin, request.field("host"))) return plain(403, "another site's page\n");
  const Result<std::string> accept = web_socket_accept(request.field("sec-websocket-key"));
  if (!accept.ok()) return plain(400, "not a WebSocket handshake\n");
  if (gate_.stopping) return plain(503, "closing\n");
  HttpResponse response;
  response.status = 101;
  response.fields.emplace_back("Upgrade", "websocket");
  response.fields.emplace_back("Connection", "Upgrade");
  response.fields.emplace_back("Sec-WebSocket-Accept", *accept);
  return response;
}

HttpResponse Connection::respond_metrics(const HttpRequest& request) {
  const bool proxied = !request.field("x-forwarded-for").empty() || !request.field("forwarded").empty();
  if (!api::is_loopback(address_) || proxied) return plain(403, "metrics are for this machine only\n");
  HttpResponse response = plain(200, gate_.env.counters().open_metrics());
  response.content_type = k_metrics_type;
  return response;
}

bool Connection::write(const HttpRequest& request, const HttpResponse& response, bool keep_alive) {
  std::string bytes = rpc::http_head(response, keep_alive);
  const bool bodiless = request.method == "HEAD" || response.status == 101 || response.status == 304;
  const std::string_view body = bodiless ? std::string_view()
                                : response.shared_body.data() != nullptr ? response.shared_body
                                                                         : std::string_view(response.body);
  // One write where it is small: two would be two packets and, with delayed acknowledgements, a pause.
  if (body.size() <= k_write_bytes) {
    bytes += body;
    return write_bytes(bytes);
  }
  return write_bytes(bytes) && write_bytes(body);
}

bool Connection::write_bytes(std::string_view bytes) {
  for (size_t at = 0; at < bytes.size(); at += k_write_bytes) {
    Call call = runtime::background_call(gate_.env, gate_.config.write_limit);
    const Status status = stream_->write(call, bytes.substr(at, k_write_bytes));
    if (status.ok()) continue;
    if (status.code() == Code::deadline) gate_.counters.slow.add(1);
    return false;
  }
  return true;
}

// Says why, then reads a little of what is still coming: closing on unread bytes would reset the connection and could
// destroy the answer.
void Connection::refuse(int status) {
  gate_.counters.bad_requests.add(1);
  HttpResponse response = plain(status, std::string(rpc::http_reason(status)) + "\n");
  if (!write_bytes(rpc::http_head(response, false) + response.body)) return;
  Call call = runtime::background_call(gate_.env, k_drain_limit);
  std::vector<char> buffer(k_read_bytes);
  for (size_t drained = 0; drained < k_drain_bytes_max;) {
    const Result<size_t> count = stream_->read(call, buffer);
    if (!count.ok() || *count == 0) return;
    drained += *count;
  }
}

}  // namespace hongyan::access
