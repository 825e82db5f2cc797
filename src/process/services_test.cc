// Goal: each process holds the keys it needs and no other, and a key file with others is refused. Method: every service's
// dependencies and guards are made from its own key file alone; a missing ring is a CHECK.
#include "process/services.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "process/wiring.h"
#include "runtime/testing/test_env.h"

namespace hongyan::process {
namespace {

class NoStore : public store::Store {
 public:
  Result<store::CommitReply> commit(Call&, store::Commit) override { return none(); }
  std::vector<Result<store::CommitReply>> commit_many(Call&, std::vector<store::Commit>, store::Order) override { return {}; }
  Result<store::ReadReply> read(Call&, const store::Read&) override { return none(); }
  std::vector<Result<store::ReadReply>> read_many(Call&, std::span<const store::Read>) override { return {}; }
  Result<store::ChangesReply> changes(Call&, const store::EntityId&, uint64_t, size_t) override { return none(); }
  Result<std::vector<store::Work>> scan_work(Call&, store::WorkTag, const store::EntityId*, size_t) override { return none(); }
  Result<uint64_t> wait_work(Call&, store::WorkTag, uint64_t) override { return none(); }

 private:
  static Status none() { return Status(Code::unavailable, "no store"); }
};

class NoChannel : public rpc::Channel {
 public:
  Status call(Call&, const rpc::MethodInfo&, const rpc::Message&, rpc::Message&) override {
    return Status(Code::unavailable, "no channel");
  }
};

// One process of a deployment, with the keys of its own file.
class Alone : public Surroundings {
 public:
  Alone(Env& env, Secrets secrets) : env_(env), secrets_(std::move(secrets)) {}
  Env& env() override { return env_; }
  const Secrets& secrets() override { return secrets_; }
  rpc::Revocations& revocations() override { return revocations_; }
  const rpc::PublicLimits& public_limits() override { return limits_; }
  store::Store& store(std::string_view service) override {
    secrets_.ring("store." + std::string(service));
    return store_;
  }
  rpc::Channel& channel(std::string_view) override { return channel_; }

 private:
  Env& env_;
  Secrets secrets_;
  rpc::Revocations revocations_;
  rpc::PublicLimits limits_;
  NoStore store_;
  NoChannel channel_;
};

class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() : secrets_(Secrets::generate(env_)) {
    EXPECT_TRUE(env_.disk().make_directories("/keys").ok());
    EXPECT_TRUE(write_key_files(env_, secrets_, "/keys").ok());
  }
  Secrets keys_of(std::string_view name) {
    auto loaded = Secrets::load(env_, "/keys/" + std::string(name) + ".keys", find_service(name)->keys);
    CHECK(loaded.ok());
    return std::move(*loaded);
  }
  // Dependencies, and the guard of its own door.
  void make(const std::string& name, const std::function<void(Surroundings&)>& make_deps) {
    Alone alone(env_, keys_of(name));
    make_deps(alone);
    const auto endpoint = find_endpoint(name);
    if (endpoint && !endpoint->audience.empty()) guard_of(alone, endpoint->audience, endpoint->methods);
    made_.insert(name);
  }

  runtime::TestEnv env_;
  Secrets secrets_;
  std::set<std::string> made_;
};

TEST_F(ServicesTest, each_service_is_made_from_its_own_keys_alone) {
  make("account", [](auto& around) { account_deps(around); });
  make("device", [](auto& around) { device_deps(around); });
  make("contact", [](auto& around) { contact_deps(around); });
  make("inbox", [](auto& around) { inbox_deps(around); });
  make("group", [](auto& around) { group_deps(around); });
  make("presence", [](auto& around) { presence_deps(around); });
  make("login", [](auto& around) { login_deps(around); });
  make("friend", [](auto& around) { friend_deps(around); });
  make("chat", [](auto& around) { chat_deps(around); });
  make("group_chat", [](auto& around) { group_chat_deps(around); });
  make("message_sync", [](auto& around) { message_sync_deps(around); });
  make("web_gate", [](auto& around) { entry_deps(around); });
  make("long_link", [](auto& around) { entry_deps(around); });
  make("server_port", [](auto& around) { server_port_deps(around, {}); });
  made_.insert("store");  // Its guard is its own: tests/run.d/25-processes.py.
  EXPECT_EQ(made_.size(), services().size());
}

TEST_F(ServicesTest, logic_holds_no_keys_and_data_only_its_own) {
  for (const char* name : {"login", "friend", "chat", "group_chat"}) EXPECT_TRUE(find_service(name)->keys.empty()) << name;
  EXPECT_EQ(find_service("message_sync")->keys, (std::vector<std::string_view>{"snapshot"}));
  for (const ServiceSpec& spec : services()) {
    for (std::string_view key : spec.keys) {
      const bool own = spec.name == "store" || !key.starts_with("store.") || key == "store." + std::string(spec.name);
      const bool mints_or_checks = spec.name == "device" || spec.name == "web_gate" || spec.name == "long_link";
      EXPECT_TRUE(own && (key != "client_ticket" || mints_or_checks)) << spec.name << " holds " << key;
      EXPECT_TRUE(key != "server_api" || spec.name == "server_port") << spec.name;
    }
  }
}

TEST_F(ServicesTest, a_key_file_with_more_or_fewer_keys_is_refused) {
  const std::vector<std::string_view> inbox = find_service("inbox")->keys;
  EXPECT_EQ(Secrets::load(env_, "/keys/contact.keys", inbox).code(), Code::invalid);
  auto fewer = inbox;
  fewer.pop_back();
  EXPECT_EQ(Secrets::load(env_, "/keys/inbox.keys", fewer).code(), Code::invalid);
  auto more = inbox;
  more.push_back("snapshot");
  EXPECT_EQ(Secrets::load(env_, "/keys/inbox.keys", more).code(), Code::invalid);
  EXPECT_EQ(Secrets::load(env_, "/keys/nobody.keys", inbox).code(), Code::not_found);
}

TEST_F(ServicesTest, a_key_file_has_the_deployments_keys) {
  EXPECT_TRUE(keys_of("inbox").ring("grant.contact").verify("purpose", "body", secrets_.ring("grant.contact").sign("purpose", "body")));
}

TEST_F(ServicesTest, no_two_endpoints_share_an_address) {
  std::set<std::string_view> addresses;
  for (const Endpoint& endpoint : endpoints()) EXPECT_TRUE(addresses.insert(endpoint.address).second) << endpoint.name;
}

}  // namespace
}  // namespace hongyan::process
