#include "access/long_link/long_link.h"

#include <map>
#include <set>

#include "access/long_link/proxy.h"
#include "base/check.h"
#include "runtime/log/log.h"

namespace hongyan::access {

namespace {

constexpr runtime::Duration k_accept_pause = std::chrono::milliseconds(100);  // Out of descriptors: others must close first.

class LongLinkImpl : public LongLink {
 public:
  LongLinkImpl(Env& env, LongLinkDeps deps, LongLinkConfig config)
      : env_(env),
        counters_(env.counters()),
        links_(env, deps.entry, deps.presence, config.links),
        commands_(env, deps.entry, links_, config.commands),
        logic_(commands_, counters_),
        proxy_{.env = env,
               .config = config,
               .links = links_,
               .logic = logic_,
               .counters = counters_,
               .budget = api::Budget(config.unfinished_bytes_max),
               .turnstile = api::Turnstile(env.scheduler()),
               .tls = std::move(deps.tls),
               .seal_keys = std::move(deps.seal_keys)},
        nursery_(env.scheduler()) {}

  ~LongLinkImpl() override { CHECK(connections_.empty()); }

  Status start() override {
    CHECK(!proxy_.config.sealed_only || !proxy_.seal_keys.empty());
    if (proxy_.tls == nullptr && !proxy_.config.sealed_only && !api::is_loopback(proxy_.config.address)) {
      return Status(Code::invalid, "long link: " + proxy_.config.address + " is not loopback and needs TLS or sealed bodies");
    }
    listener_ = TRY(env_.network().listen(proxy_.config.address));
    links_.start();
    nursery_.spawn("long link accept", [this] { accept_all(); });
    return {};
  }

  std::string address() const override { return listener_->address(); }
  internal::GateService& gate_service() override { return links_; }
  size_t connections() const override { return connections_.size(); }

  void stop(Call& call) override {
    if (listener_ != nullptr) listener_->close();
    for (ProxyConnection* connection : connections_) connection->close();
    if (!nursery_.join(call).ok()) env_.log().warning("long link: {} connections cut at the end", connections_.size());
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
        env_.log().warning("long link: accept: {}", stream.status().detail());
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
    if (connections_.size() >= proxy_.config.connections_max ||
        (!group.empty() && mine >= proxy_.config.connections_per_address_max)) {
      if (mine == 0) by_group_.erase(group);
      counters_.refused.add(1);
      return;  // Closed.
    }
    ++mine;
    // A std::function must be copyable; the stream has one owner.
    auto connection = std::make_shared<ProxyConnection>(proxy_, std::move(stream), address, group);
    connections_.insert(connection.get());
    nursery_.spawn("long link connection", [this, group, connection = std::move(connection)]() mutable {
      connection->run();
      connections_.erase(connection.get());
      connection.reset();
      const auto found = by_group_.find(group);
      if (--found->second == 0) by_group_.erase(found);
    });
  }

  Env& env_;
  LongLinkCounters counters_;
  api::LinkTable links_;
  api::BodyCommands commands_;
  ProxyLogic logic_;
  ProxyShared proxy_;
  std::unique_ptr<runtime::Listener> listener_;
  std::set<ProxyConnection*> connections_;
  std::map<std::string, size_t> by_group_;
  runtime::Nursery nursery_;
};

}  // namespace

std::unique_ptr<LongLink> make_long_link(Env& env, LongLinkDeps deps, LongLinkConfig config) {
  return std::make_unique<LongLinkImpl>(env, std::move(deps), std::move(config));
}

}  // namespace hongyan::access
