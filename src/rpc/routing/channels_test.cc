// Goal: settings make the channels they describe, or say which of them is wrong; servers on a real
// wire are found by a file that changes. Method: TestEnv with servers on the loopback network.
#include "rpc/routing/channels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "rpc/routing/testing/fake_instances.h"
#include "rpc/server.h"

namespace hongyan::rpc {
namespace {

using ::testing::HasSubstr;
using testing::StringValue;
using namespace std::chrono_literals;

class NamedService : public Service {
 public:
  explicit NamedService(std::string name) : name_(std::move(name)) {}
  std::span<const MethodInfo> methods() const override { return methods_; }
  Status handle(Call&, const MethodInfo&, const Message&, Message& response) override {
    dynamic_cast<StringValue&>(response).set_value(name_);
    return {};
  }

 private:
  const std::string name_;
  const std::array<MethodInfo, 1> methods_{testing::test_method("Get", true)};
};

runtime::Config config_with(const std::string& toml) {
  runtime::Config config;
  declare_zones(config);
  declare_channel(config, "inbox", "list://127.0.0.1:7001");
  const Status loaded = config.load({.file_name = "test", .file_text = toml});
  EXPECT_TRUE(loaded.ok()) << loaded.detail();
  return config;
}

TEST(Channels, are_made_from_settings_and_follow_their_file) {
  runtime::TestEnv env;
  const auto write = [&](const std::string& text) {
    auto file = env.disk().open("/inbox", runtime::OpenMode::create).value();
    ASSERT_TRUE(file->append(text).ok());
  };
  write("127.0.0.1:7001 zone=a\n127.0.0.1:7002 zone=b\n");
  runtime::run_in_coroutine(env, [&] {
    NamedService first("first");
    NamedService second("second");
    Server one(env, "127.0.0.1:7001", {{&first}});
    Server two(env, "127.0.0.1:7002", {{&second}});
    ASSERT_TRUE(one.start().ok());
    ASSERT_TRUE(two.start().ok());
    Channels channels(env);
    const auto started = channels.start(
        config_with("rpc.zone = 'a'\nrpc.inbox.target = 'file:///inbox'\nrpc.inbox.call_ms = 100"),
        {"inbox"});
    ASSERT_TRUE(started.ok()) << started.detail();
    Call ready = env.call();
    ASSERT_TRUE(channels.wait_reachable(ready).ok());
    const auto who = [&] {
      Call call = env.call();
      StringValue response;
      const Status status = channels.channel("inbox").call(call, testing::test_method("Get", true),
                                                           StringValue(), response);
      return status.ok() ? response.value() : status.detail();
    };
    Call pause = env.call();
    (void)runtime::sleep(pause, 100ms);
    EXPECT_EQ(who(), "first");
    channels.set_masked_zones({"a"});
    EXPECT_EQ(who(), "second");
    channels.set_masked_zones({});
    EXPECT_EQ(who(), "first");
    write("127.0.0.1:7002 zone=b\n");
    (void)runtime::sleep(pause, 3s);
    EXPECT_EQ(who(), "second");
    EXPECT_EQ(channels.snapshot().at(0).instances.size(), 1u);
    channels.close();
    Call call = env.call();
    one.close(call);
    two.close(call);
  });
}

TEST(Channels, a_mask_in_a_file_is_followed_and_a_broken_one_is_not_taken) {
  runtime::TestEnv env;
  const auto write = [&](const std::string& text) {
    auto file = env.disk().open("/mask", runtime::OpenMode::create).value();
    ASSERT_TRUE(file->append(text).ok());
  };
  write("b\n");
  runtime::run_in_coroutine(env, [&] {
    Channels channels(env);
    const auto config = config_with("rpc.masked_zones = 'file:///mask'");
    ASSERT_TRUE(channels.start(config, {"inbox"}).ok());
    using Zones = std::set<std::string>;
    EXPECT_EQ(channels.masked_zones(), Zones{"b"});
    const auto later = [&] {
      Call pause = env.call();
      (void)runtime::sleep(pause, 3s);
      return channels.masked_zones();
    };
    write("a, c\n");
    EXPECT_EQ(later(), (Zones{"a", "c"}));
    write("a=b\n");
    EXPECT_EQ(later(), (Zones{"a", "c"}));
    write("");
    EXPECT_EQ(later(), Zones{});
    channels.close();
    Channels others(env);
    EXPECT_FALSE(others.start(config_with("rpc.masked_zones = 'file:///nowhere'"), {"inbox"}).ok());
  });
}

TEST(Channels, targets_stand_where_a_process_says) {
  runtime::TestEnv env;
  runtime::Config config;
  declare_zones(config);
  declare_channel_options(config, "inbox", {.balance = Balance::owner, .call_ms = 7});
  config.declare("services.inbox", "list://127.0.0.1:7001", "");
  ASSERT_TRUE(config.load({}).ok());
  EXPECT_EQ(config.text("rpc.inbox.balance"), "owner");
  runtime::run_in_coroutine(env, [&] {
    Channels channels(env, {.target_key = [](const std::string& name) { return "services." + name; }});
    EXPECT_FALSE(channels.has("inbox"));
    ASSERT_TRUE(channels.add(config, "inbox").ok());
    EXPECT_TRUE(channels.has("inbox"));
    ASSERT_TRUE(channels.start(config).ok());
    Call pause = env.call();
    (void)runtime::sleep(pause, 10ms);
    EXPECT_EQ(channels.snapshot().at(0).instances.at(0).instance.address, "127.0.0.1:7001");
    channels.close();
  });
}

TEST(Channels, a_wrong_setting_is_named) {
  runtime::TestEnv env;
  runtime::run_in_coroutine(env, [&] {
    Channels channels(env);
    const Status target = channels.start(config_with("rpc.inbox.target = 'etcd://x'"), {"inbox"});
    EXPECT_EQ(target.code(), Code::invalid);
    EXPECT_THAT(target.detail(), HasSubstr("rpc.inbox.target: etcd://x"));
    const Status mask = channels.start(config_with("rpc.masked_zones = 'a b=c'"), {"inbox"});
    EXPECT_EQ(mask.code(), Code::invalid);
    EXPECT_EQ(parse_zones(" b,c , d").value(), (std::set<std::string>{"b", "c", "d"}));
    EXPECT_TRUE(parse_zones("")->empty());
  });
}

}  // namespace
}  // namespace hongyan::rpc
