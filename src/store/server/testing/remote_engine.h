// An engine of one node behind StoreServer, reached by RemoteStore over a network in memory: for the conformance suite
// and for tests that cut connections. All that is there belongs to the service "inbox".
#pragma once

#include <memory>
#include <optional>

#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "store/engine/testing/local_engine.h"
#include "store/remote/remote_store.h"
#include "store/server/store_guard.h"
#include "store/server/store_server.h"

namespace hongyan::store::conformance {

inline rpc::KeyRing test_ring(char byte) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, byte)}}); }

class RemoteEngine : public Engine {
 public:
  explicit RemoteEngine(EngineKind kind) : local_(kind), guard_(env(), callers()) {
    in_coroutine([&] {
      serve();
      connect();
    });
  }
  ~RemoteEngine() override {
    in_coroutine([&] {
      disconnect();
      stop();
    });
  }
  runtime::TestEnv& env() override { return local_.env(); }
  Store& store() override { return *remote_; }
  void reopen() override {
    in_coroutine([&] {
      disconnect();
      stop();
    });
    local_.reopen();
    in_coroutine([&] {
      serve();
      connect();
    });
  }
  Store& below() { return local_.store(); }
  rpc::ServiceIdentity identity(const std::string& service, char ring) {
    return rpc::ServiceIdentity(env(), {{"store", test_ring(ring)}}, service);
  }
  rpc::TcpChannel& channel() { return *channel_; }

  // The server alone goes and comes back at the same address; in a coroutine.
  void stop() {
    Call call = env().call();
    service_->stop_waiting();
    server_->close(call);
    server_.reset();
    service_.reset();
  }
  void serve() {
    service_.emplace(env(), below(), owners(), [](Call&, const std::string& name) { return Result<std::string>("/checkpoints/" + name); });
    server_.emplace(env(), address_, std::vector<rpc::Served>{{.service = &*service_, .interceptor = &guard_}});
    CHECK(server_->start().ok());
    address_ = server_->address();
  }

 private:
  static rpc::AudienceKeys callers() {
    return {{"inbox", test_ring('i')}, {"group", test_ring('g')}, {"operator", test_ring('o')}};
  }
  static Owners owners() {
    Owners owners{.tables = {{k_plain, "inbox"}, {k_tracked, "inbox"}, {k_value, "inbox"}}, .works = {}};
    for (WorkTag tag = 0; tag < 100; ++tag) owners.works[tag] = "inbox";
    return owners;
  }
  void in_coroutine(const std::function<void()>& body) { runtime::run_in_coroutine(env(), body); }
  void connect() {
    channel_.emplace(env(), address_);
    remote_.emplace(env(), *channel_, identity("inbox", 'i'));
  }
  void disconnect() {
    remote_.reset();
    channel_->close();
    channel_.reset();
  }

  LocalEngine local_;
  StoreGuard guard_;
  std::string address_ = "127.0.0.1:0";
  std::optional<StoreServer> service_;
  std::optional<rpc::Server> server_;
  std::optional<rpc::TcpChannel> channel_;
  std::optional<RemoteStore> remote_;
};

inline EngineParam remote_log_engine() {
  return {"remote_log", [] { return std::make_unique<RemoteEngine>(EngineKind::log); }};
}
inline EngineParam remote_rocks_engine() {
  return {"remote_rocks", [] { return std::make_unique<RemoteEngine>(EngineKind::rocks); }};
}

}  // namespace hongyan::store::conformance
