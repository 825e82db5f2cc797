// Goal: a command gets the same answer whichever way it comes: long link, short link, web. Method: the whole server in a
// test environment; for each command of the table, requests that fail at each stage and requests that succeed, sent over
// all three channels and compared as messages.
#include <gtest/gtest.h>

#include <map>

#include "access/long_link/testing/long_link_client.h"
#include "api/client/friend.pb.h"
#include "api/client/group.pb.h"
#include "api/client/sync.rpc.pb.h"
#include "api/gate/envelope.h"
#include "api/json/json.h"
#include "bundle/bundle.h"
#include "rpc/http/testing/http_client.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::bundle {
namespace {

using access::testing::LongLinkClient;
using rpc::Message;
using rpc::testing::HttpClient;

const std::string k_device_a(16, 'a'), k_device_b(16, 'b');

class ChannelsTest : public ::testing::Test {
 protected:
  ChannelsTest() {
    BundleConfig config;
    config.password_cost = account::k_password_cost_least;
    config.entry.per_device = {};
    config.entry.per_address = {};
    config.web.address = config.long_link.address = config.server_port.address = "127.0.0.1:0";
    bundle_ = make_bundle(env_, store_, secrets_, std::move(config));
  }

  void with_server(const std::function<void()>& body) {
    runtime::run_in_coroutine(env_, [&] {
      ASSERT_TRUE(bundle_->start().ok());
      body();
      Call call = env_.call();
      bundle_->stop(call);
    });
    bundle_.reset();
  }

  const rpc::ServedCommand& command(std::string_view path) { return *bundle_->entry().commands().by_path(path); }
  std::unique_ptr<Message> fresh(const Message* of) { return std::unique_ptr<Message>(of->New()); }

  std::unique_ptr<Message> over_long_link(const rpc::ServedCommand& command, const std::string& bytes) {
    LongLinkClient link(env_, bundle_->long_link_address());
    link.write(LongLinkClient::frame(command.method->command_id, 7, api::make_envelope(bytes)));
    const auto frame = link.receive();
    EXPECT_TRUE(frame && frame->seq == 7);
    return frame ? parsed(command, frame->body) : nullptr;
  }
  std::unique_ptr<Message> over_short_link(const rpc::ServedCommand& command, const std::string& bytes) {
    const auto answer = HttpClient(env_, bundle_->web_address())
                            .post("/s/" + std::string(command.method->command_path), api::make_envelope(bytes), "");
    EXPECT_EQ(answer.status, 200);
    return parsed(command, answer.body);
  }
  std::unique_ptr<Message> over_web(const rpc::ServedCommand& command, const Message& request) {
    const auto answer = HttpClient(env_, bundle_->web_address())
                            .post("/api/v1/" + std::string(command.method->command_path), *api::json_from_message(request));
    EXPECT_EQ(answer.status, 200);
    auto response = fresh(command.method->response());
    EXPECT_TRUE(api::message_from_json(answer.body, *response).ok()) << answer.body;
    return response;
  }
  std::unique_ptr<Message> parsed(const rpc::ServedCommand& command, const std::string& body) {
    auto response = fresh(command.method->response());
    const auto envelope = api::parse_envelope(body);
    EXPECT_TRUE(envelope.ok() && response->ParseFromString(std::string(envelope->protobuf)));
    return response;
  }

  // What may differ between two equal answers: the clock's reading, and tickets and snapshots, which are made anew.
  static std::string stable(Message& response) {
    client::BaseResponse& base = api::base_of_response(response);
    base.clear_server_time_ms();
    base.clear_new_ticket();
    for (const char* name : {"ticket", "refresh", "snapshot", "device_epoch"}) {
      if (const auto* field = response.GetDescriptor()->FindFieldByName(name)) response.GetReflection()->ClearField(&response, field);
    }
    return response.DebugString();
  }
  uint32_t expect_equal(const rpc::ServedCommand& command, const Message& request) {
    const std::string bytes = request.SerializeAsString();
    auto link = over_long_link(command, bytes), post = over_short_link(command, bytes), web = over_web(command, request);
    const std::string on_link = stable(*link);
    EXPECT_EQ(on_link, stable(*post)) << command.method->command_path;
    EXPECT_EQ(on_link, stable(*web)) << command.method->command_path;
    return api::base_of_response(*link).code();
  }
  // Answered by the gates, so no table has a channel for it.
  static rpc::ServedCommand identify() { return {.method = &client::link_methods()[0], .channel = nullptr}; }
  template <typename Response, typename Request>
  Response ask(std::string_view path, const Request& request) {
    const auto answer = over_short_link(command(path), request.SerializeAsString());
    EXPECT_EQ(api::base_of_response(*answer).code(), 0u) << answer->DebugString();
    return static_cast<const Response&>(*answer);
  }
  client::LoginResponse sign_up(const std::string& name, const std::string& device) {
    client::RegisterRequest request;
    request.set_user_name(name);
    request.set_nickname(name);
    request.set_password("not a good one");
    request.mutable_base()->set_device_id(device);
    request.mutable_device()->set_id(device);
    return ask<client::LoginResponse>("register", request);
  }

  runtime::TestEnv env_;
  store::TestStore store_{env_};
  Secrets secrets_ = Secrets::generate(env_);
  std::unique_ptr<Bundle> bundle_;
};

TEST_F(ChannelsTest, every_command_fails_alike_without_a_ticket_and_with_an_empty_request) {
  with_server([&] {
    const auto ada = sign_up("ada", k_device_a);
    size_t commands = 0;
    for (const auto& [id, command] : bundle_->entry().commands().all()) {
      ++commands;
      const auto request = fresh(command.method->request());
      EXPECT_EQ(expect_equal(command, *request), command.method->command_anonymous ? 5u : 6u) << command.method->command_path;
      api::base_of_request(*request).set_ticket("forged");
      expect_equal(command, *request);
      if (command.method->command_path == "logout") continue;  // It succeeds, once.
      api::base_of_request(*request).set_ticket(ada.ticket());
      expect_equal(command, *request);
    }
    EXPECT_GE(commands, 25u);
  });
}

TEST_F(ChannelsTest, commands_that_succeed_answer_alike) {
  with_server([&] {
    const auto ada = sign_up("ada", k_device_a), bob = sign_up("bob", k_device_b);
    const auto with = [](const client::LoginResponse& who, auto request) {
      request.mutable_base()->set_ticket(who.ticket());
      request.mutable_base()->set_feature_level(2);
      return request;
    };
    const auto equal = [&](std::string_view path, const Message& request) { EXPECT_EQ(expect_equal(command(path), request), 0u) << path; };

    EXPECT_EQ(expect_equal(identify(), client::IdentifyRequest()), 6u);
    EXPECT_EQ(expect_equal(identify(), with(ada, client::IdentifyRequest())), 0u);
    client::AddFriendRequest add = with(ada, client::AddFriendRequest());
    add.set_uin(bob.uin());
    add.set_greeting("hello");
    ask<client::AddFriendResponse>("friend/add", add);  // Repeated, each is news to the other: not equal by version.
    client::AcceptFriendRequest accept = with(bob, client::AcceptFriendRequest());
    accept.set_uin(ada.uin());
    ask<client::AcceptFriendResponse>("friend/accept", accept);

    client::SendRequest send = with(ada, client::SendRequest());
    client::Message& message = *send.add_messages();
    message.mutable_conversation()->set_type(1);
    message.mutable_conversation()->set_id(bob.uin());
    message.set_client_msg_id("m1");
    message.set_kind(60'001);
    message.set_content(std::string("\0\xff\x01", 3));
    message.set_ext(std::string("\x80\0", 2));
    message.set_digest("[\xe9\xb8\xbf]");
    equal("send", send);  // Sent once, answered three times.
    message.set_digest("another");
    EXPECT_EQ(ask<client::SendResponse>("send", send).sent(0).code(), 107u);
    expect_equal(command("send"), send);

    client::HistoryRequest history = with(bob, client::HistoryRequest());
    history.mutable_conversation()->set_type(1);
    history.mutable_conversation()->set_id(ada.uin());
    equal("history", history);
    EXPECT_EQ(ask<client::HistoryResponse>("history", history).messages(0).content(), message.content());
    client::MarkReadRequest read = with(bob, client::MarkReadRequest());
    *read.mutable_conversation() = history.conversation();
    read.set_position(1);
    equal("read", read);
    client::FindUserRequest find = with(ada, client::FindUserRequest());
    find.set_user_name("bob");
    equal("user/find", find);
    equal("sync", with(bob, client::SyncRequest()));
    equal("conversation/list", with(bob, client::ListConversationsRequest()));
    equal("contact/list", with(ada, client::ListContactsRequest()));
    equal("profile/get", with(ada, client::GetProfileRequest()));
    client::SetProfileRequest profile = with(ada, client::SetProfileRequest());
    profile.set_nickname("Ada");
    profile.add_fields("nickname");
    ask<client::SetProfileResponse>("profile/set", profile);
    client::CreateGroupRequest group = with(ada, client::CreateGroupRequest());
    group.set_client_group_id("g");
    group.set_name("two");
    group.add_members(bob.uin());
    equal("group/create", group);
    client::PollRequest poll = with(bob, client::PollRequest());
    equal("poll", poll);
  });
}

}  // namespace
}  // namespace hongyan::bundle
