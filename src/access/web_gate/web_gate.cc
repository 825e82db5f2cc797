#include "access/web_gate/web_gate.h"

#include <map>
#include <set>

#include "access/web_gate/impl/connection.h"
#include "base/check.h"
#include "runtime/log/log.h"

namespace hongyan::access {

namespace {

constexpr runtime::Duration k_accept_pause = std::chrono::milliseconds(100);  // Out of descriptors: others must close first.

class WebGateImpl : public WebGate {
 public:
  WebGateImpl(Env& env, WebGateDeps deps, WebGateConfig config)
      : env_(env),
        links_(env, deps.entry, deps.presence, config.links),
        shared_{.env = env,
                .config = config,
                .links = links_,
                .commands = WebCommands(env, deps.entry, links_, config.poll_max),
                .site = Site(std::move(deps.site)),
                .counters = WebCounters(env.counters()),
                .budget = api::Budget(config.unfinished_bytes_max),
                .turnstile = api::Turnstile(env.scheduler()),
                .tls = std::move(deps.tls),
                .ready = std::move(deps.ready),
                .seal_key = std::move(deps.seal_key),
                .short_link = std::move(deps.short_link)},
        nursery_(env.scheduler()) {}

  ~WebGateImpl() override { CHECK(connections_.empty()); }

  Status start() override {
    listener_ = TRY(env_.network().listen(shared_.config.address));
    links_.start();
    nursery_.spawn("web accept", [this] { accept_all(); });
    return {};
  }

  std::string address() const override { return listener_->address(); }
  internal::GateService& gate_service() override { return links_; }
  size_t connections() const override { return connections_.size(); }

  void stop(Call& call) override {
    shared_.stopping = true;
    if (listener_ != nullptr) listener_->close();
    const std::set<Connection*> open = connections_;
    for (Connection* connection : open) {
      if (connections_.contains(connection)) connection->wind_down();
    }
    if (!nursery_.join(call).ok()) env_.log().warning("web_gate: {} connections cut at the end", connections_.size());
    nursery_.cancel_and_join();
    links_.stop(call);
  }

 private:
  void accept_all() {
    for (;;) {
      Call call;
      Result<std::unique_ptr<runtime::Stream>> stream = listener_->accept(call);
      if (!stream.ok()) {
        if (stream.code() == Code::closed || stream.code() == Code::cancelled) return;
        env_.log().warning("web_gate: accept: {}", stream.status().detail());
        if (!runtime::sleep(call, k_accept_pause).ok()) return;
        continue;
      }
      take(std::move(*stream));
      env_.scheduler().yield();  // However many knock: those who are inside have their turns.
    }
  }

  void take(std::unique_ptr<runtime::Stream> stream) {
    const std::string address = stream->peer();
    const std::string group = api::is_loopback(address) ? std::string() : api::address_group(address);
    size_t& mine = by_group_[group];
    if (connections_.size() >= shared_.config.connections_max ||
        (!group.empty() && mine >= shared_.config.connections_per_address_max)) {
      if (mine == 0) by_group_.erase(group);
      shared_.counters.refused.add(1);
      return;  // Closed.
    }
    ++mine;
    // A std::function must be copyable; the stream has one owner.
    auto connection = std::make_shared<Connection>(shared_, std::move(stream), address, group);
    connections_.insert(connection.get());
    nursery_.spawn("web connection", [this, group, connection = std::move(connection)]() mutable {
      connection->run();
      connections_.erase(connection.get());
      connection.reset();
      shared_.counters.connections.add(-1);
      const auto found = by_group_.find(group);
      if (--found->second == 0) by_group_.erase(found);
    });
  }

  Env& env_;
  api::LinkTable links_;
  GateShared shared_;
  std::unique_ptr<runtime::Listener> listener_;
  std::set<Connection*> connections_;
  std::map<std::string, size_t> by_group_;
  runtime::Nursery nursery_;
};

}  // namespace

std::unique_ptr<WebGate> make_web_gate(Env& env, WebGateDeps deps, WebGateConfig config) {
  return std::make_unique<WebGateImpl>(env, std::move(deps), std::move(config));
}

}  // namespace hongyan::access
