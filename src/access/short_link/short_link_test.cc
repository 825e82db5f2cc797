// Goal: what docs/protocol.md promises of the short link. Method: requests as mars sends them, services faked behind a
// real Entry; virtual time for polls.
#include "access/short_link/short_link.h"

#include <gtest/gtest.h>

#include "api/gate/envelope.h"
#include "api/testing/fake_backend.h"

namespace hongyan::access {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read as in the protocol.
using api::testing::FakeBackend;
using api::testing::k_alice;
using api::testing::k_phone;

class ShortLinkTest : public ::testing::Test {
 protected:
  ShortLinkTest() { backend_.log_in(k_alice, k_phone); }

  void with_link(const std::function<void()>& body) {
    entry_ = std::make_unique<api::Entry>(env_, backend_.entry_deps(), api::EntryConfig{});
    link_ = make_short_link(env_, {.entry = *entry_, .presence = internal::PresenceClient(backend_.presence_channel)}, {});
    runtime::run_in_coroutine(env_, [&] {
      link_->start();
      body();
      Call call = env_.call();
      link_->stop(call);
    });
    link_.reset();
  }
  // As mars sends it.
  rpc::HttpResponse post(std::string_view command, std::string_view body, std::string_view connection = "close") {
    rpc::HttpParser parser({});
    parser.feed("POST /s/" + std::string(command) + " HTTP/1.1\r\nAccept: */*\r\nCache-Control: no-cache\r\nConnection: " +
                std::string(connection) + "\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\nContent-Type: application/octet-stream\r\nHost: short.example\r\nUser-Agent: MicroMessenger Client\r\n\r\n" +
                std::string(body));
    EXPECT_TRUE(parser.complete());
    return link_->respond(parser.take(), {.address = "127.0.0.1:9"});
  }
  template <typename Response, typename Request>
  Response ask(std::string_view command, Request request, bool with_ticket = true) {
    if (with_ticket) request.mutable_base()->set_ticket(backend_.ticket(k_alice, k_phone));
    const rpc::HttpResponse answer = post(command, api::make_envelope(request.SerializeAsString()));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/octet-stream");
    return parsed<Response>(answer.body);
  }
  template <typename Response>
  Response parsed(const std::string& body) {
    const auto envelope = api::parse_envelope(body);
    Response response;
    EXPECT_TRUE(envelope.ok() && response.ParseFromString(std::string(envelope->protobuf)));
    return response;
  }
  uint32_t code(std::string_view command, std::string_view body) {
    const rpc::HttpResponse answer = post(command, body);
    EXPECT_EQ(answer.status, 200);
    return parsed<client::SendResponse>(answer.body).base().code();
  }

  runtime::TestEnv env_;
  FakeBackend backend_{env_};
  std::unique_ptr<api::Entry> entry_;
  std::unique_ptr<ShortLink> link_;
};

TEST_F(ShortLinkTest, command_is_answered_200_with_its_body) {
  with_link([&] {
    client::SendRequest send;
    send.add_messages()->set_client_msg_id("m1");
    EXPECT_EQ(ask<client::SendResponse>("send", send).sent(0).client_msg_id(), "m1");
    EXPECT_EQ(ask<client::LoginResponse>("login", client::LoginRequest(), false).uin(), k_alice);
    EXPECT_EQ(ask<client::IdentifyResponse>("identify", client::IdentifyRequest()).base().code(), 0u);
  });
  EXPECT_TRUE(backend_.online.empty()) << "nothing rings here";
}

TEST_F(ShortLinkTest, business_errors_are_200_with_a_code) {
  with_link([&] {
    EXPECT_EQ(ask<client::SendResponse>("send", client::SendRequest(), false).base().code(), 6u);
    EXPECT_EQ(code("nonsense", std::string("\x01\x00", 2)), 14u);
    EXPECT_EQ(code("", ""), 14u);
    EXPECT_EQ(code("send", ""), 115u);
    EXPECT_EQ(code("send", "x"), 115u);
    EXPECT_EQ(code("send", std::string("\x01\x01xyz", 5)), 115u);
    EXPECT_EQ(code("send", std::string("\x01\x00\xff\xff", 4)), 115u);
  });
  EXPECT_TRUE(backend_.sends.empty());
}

TEST_F(ShortLinkTest, commands_are_posted) {
  with_link([&] {
    rpc::HttpParser parser({});
    parser.feed("GET /s/send HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(link_->respond(parser.take(), {.address = "127.0.0.1:9"}).status, 405);
  });
}

TEST_F(ShortLinkTest, keep_alive_is_promised_to_who_asks) {
  with_link([&] {
    const std::string body("\x01\x00", 2);
    const std::string kept = rpc::http_head(post("send", body, "Keep-Alive"), true);
    EXPECT_NE(kept.find("Keep-Alive: timeout=50\r\n"), std::string::npos) << kept;
    const std::string closed = rpc::http_head(post("send", body), false);
    EXPECT_NE(closed.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(closed.find("Keep-Alive"), std::string::npos);
    EXPECT_NE(closed.find("Content-Length: "), std::string::npos);
  });
}

TEST_F(ShortLinkTest, poll_waits_for_a_ring) {
  with_link([&] {
    client::PollRequest poll;
    poll.set_wait_ms(60'000);
    const auto start = env_.now();
    EXPECT_EQ(ask<client::PollResponse>("poll", poll).rings_size(), 0);
    EXPECT_EQ(env_.now() - start, 25s);
    EXPECT_EQ(backend_.online.back().gate(), "short");

    runtime::Nursery nursery(env_.scheduler());
    client::PollResponse answer;
    nursery.spawn("poll", [&] { answer = ask<client::PollResponse>("poll", poll); });
    Call call = env_.call();
    ASSERT_TRUE(runtime::sleep(call, 1s).ok());
    internal::PushRequest push;
    push.set_connection(backend_.online.back().connection());
    push.mutable_ring()->set_version(7);
    ASSERT_TRUE(link_->gate_service().push(call, push).ok());
    ASSERT_TRUE(nursery.join(call).ok());
    ASSERT_EQ(answer.rings_size(), 1);
    EXPECT_EQ(answer.rings(0).version(), 7u);
  });
}

TEST_F(ShortLinkTest, stopping_ends_polls_and_refuses_new_requests) {
  with_link([&] {
    runtime::Nursery nursery(env_.scheduler());
    client::PollRequest poll;
    poll.set_wait_ms(20'000);
    nursery.spawn("poll", [&] { EXPECT_EQ(ask<client::PollResponse>("poll", poll).base().code(), 0u); });
    env_.scheduler().yield();
    env_.scheduler().yield();
    const auto start = env_.now();
    Call call = env_.call();
    link_->stop(call);
    ASSERT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(env_.now(), start);
    EXPECT_EQ(code("send", std::string("\x01\x00", 2)), 1u);
  });
}

}  // namespace
}  // namespace hongyan::access
