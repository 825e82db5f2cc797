#include "rpc/server.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "rpc/server_connection.h"
#include "rpc/server_http.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using namespace std::chrono_literals;

namespace {

// Out of descriptors or memory: some time for others to give some back.
constexpr auto k_accept_pause = 100ms;
// A peer that opens a connection and does not finish the handshake.
constexpr auto k_handshake_time_max = 5s;

}  // namespace

Server::Server(Env& env, std::string address, std::vector<Served> services, ServerOptions options)
    : state_(std::make_unique<ServerState>(env, std::move(options))),
      address_(std::move(address)),
      working_(env.scheduler()) {
  for (const Served& served : services) {
    for (const MethodInfo& method : served.service->methods()) state_->add(served, method);
  }
  state_->index();
}

Server::~Server() { CHECK(listener_ == nullptr); }

Status Server::start() {
  CHECK(listener_ == nullptr && !state_->closing);
  listener_ = TRY(state_->env.network().listen(address_));
  address_ = listener_->address();
  working_.spawn("rpc server accepts", [this] { accept_loop(); });
  working_.spawn("rpc server alarms", [this] { state_->watch_alarms(); });
  return {};
}

std::string Server::address() const { return address_; }

void Server::accept_loop() {
  Call for_ever;
  for (;;) {
    auto stream = listener_->accept(for_ever);
    if (stream.code() == Code::closed || stream.code() == Code::cancelled) return;
    if (!stream.ok()) {
      state_->env.log().warning("rpc: accept failed", {{"address", address_}, {"error", stream.status().detail()}});
      if (!runtime::sleep(for_ever, k_accept_pause).ok()) return;
      continue;
    }
    if (state_->connections.size() >= state_->options.connections_max) {
      state_->env.log().warning("rpc: too many connections; the next one was closed", {{"open", connections()}, {"peer", (*stream)->peer()}});
      continue;
    }
    if (state_->options.tls == nullptr) {
      adopt(std::move(stream).value());
      continue;
    }
    const auto tls = std::make_shared<std::unique_ptr<runtime::TlsStream>>(state_->options.tls->wrap(std::move(stream).value()));
    working_.spawn("rpc server shakes hands", [this, tls] {
      Call call = runtime::background_call(state_->env, k_handshake_time_max);
      const Status shaken = (*tls)->handshake(call);
      if (shaken.ok() && !state_->closing) return adopt(std::move(*tls));
      if (shaken.ok()) return;
      const bool stranger = shaken.code() == Code::unauthenticated;
      state_->env.log().warning(stranger ? "rpc: refused a peer which shows no certificate of this deployment" : "rpc: a TLS handshake failed",
                                {{"peer", (*tls)->peer()}, {"error", shaken.detail()}});
    });
  }
}

void Server::adopt(std::unique_ptr<runtime::Stream> stream) {
  auto connection = std::make_unique<ServerConnection>(*state_, std::move(stream));
  ServerConnection& started = *connection;
  started.place = state_->connections.size();
  state_->connections.push_back(std::move(connection));
  started.start();
}

void Server::close(Call& call) {
  ServerState& state = *state_;
  state.closing = true;
  if (listener_ != nullptr) listener_->close();
  // Each may remove itself, and then another stands in its place.
  const auto each = [&state](auto what) {
    for (size_t i = state.connections.size(); i-- > 0;) what(*state.connections[i]);
  };
  each([](ServerConnection& connection) { connection.begin_close(); });
  while (!state.connections.empty()) {
    if (!state.connections_gone.wait(call.deadline).ok()) break;
  }
  for (ServerCall* one = state.in_flight_ring.next; one != &state.in_flight_ring; one = one->next) {
    if (one->coroutine != nullptr) state.scheduler.cancel(one->coroutine);
  }
  each([](ServerConnection& connection) { connection.abort(); });
  while (!state.connections.empty()) state.connections_gone.wait_uncancellable();
  working_.cancel_and_join();
  listener_.reset();
}

size_t Server::connections() const { return state_->connections.size(); }
size_t Server::in_flight() const { return state_->in_flight; }

std::vector<Server::Method> Server::methods() const {
  std::vector<Method> out;
  for (const auto& target : state_->targets) {
    out.push_back({.info = target->method, .running = target->limit.running(), .limit = target->limit.limit()});
  }
  return out;
}

std::vector<Server::Peer> Server::peers(size_t count_max) const {
  std::vector<Peer> out;
  for (const auto& connection : state_->connections) {
    if (out.size() == count_max) break;
    out.push_back(connection->describe());
  }
  return out;
}

}  // namespace hongyan::rpc
