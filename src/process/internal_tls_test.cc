// Goal: the certificates of a deployment let its services reach each other by name, and nobody else; they are made once
// and renewed in time. Method: files on a disk in memory, two ends of one stream, a clock that jumps.
#include "process/internal_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "process/services.h"
#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"

namespace hongyan::process {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class InternalTlsTest : public ::testing::Test {
 protected:
  InternalTlsTest() { make("/data", "/tls"); }
  void make(const std::string& data, const std::string& to) {
    ASSERT_TRUE(env_.disk().make_directories(data).ok());
    ASSERT_TRUE(env_.disk().make_directories(to).ok());
    const Status written = write_certificates(env_, data, to);
    ASSERT_TRUE(written.ok()) << written.detail();
  }
  runtime::Config config(const std::string& toml) {
    runtime::Config config;
    declare_internal_tls(config);
    EXPECT_TRUE(config.load({.file_name = "test", .file_text = toml}).ok());
    return config;
  }
  Result<InternalTls> load(const std::string& service, const std::string& directory = "/tls") {
    return InternalTls::load(env_, config("[internal_tls]\nca = '" + directory + "/ca.pem'\ncertificate = '" + directory +
                                          "/{service}.pem'\nkey = '" + directory + "/{service}.key'"), service);
  }
  // What the caller and the server think of each other.
  std::pair<Code, Code> meet(const InternalTls& caller, std::string_view endpoint, const InternalTls& server) {
    Code ours = Code::internal, theirs = Code::internal;
    runtime::run_in_coroutine(env_, [&] {
      auto listener = env_.network().listen("127.0.0.1:7000").value();
      runtime::Nursery nursery(env_.scheduler());
      nursery.spawn("server", [&] {
        Call call = env_.call();
        auto stream = server.server()->wrap(listener->accept(call).value());
        theirs = stream->handshake(call).code();
        if (theirs == Code::ok) (void)stream->write(call, "x").ok();
      });
      Call call = env_.call();
      auto stream = caller.client(env_, endpoint)->wrap(env_.network().connect(call, "127.0.0.1:7000").value()).value();
      ours = stream->handshake(call).code();
      char byte;
      if (ours == Code::ok) ours = stream->read(call, std::span(&byte, 1)).code();  // What the server refuses shows here.
      stream->close();
      EXPECT_TRUE(nursery.join(call).ok());
      listener->close();
    });
    return {ours, theirs};
  }
  std::string text(const std::string& path) { return env_.disk().open(path, runtime::OpenMode::read).value()->read_at(0, 1 << 20).value(); }

  runtime::TestEnv env_;
};

TEST_F(InternalTlsTest, every_service_is_reached_under_the_names_of_its_endpoints) {
  for (const ServiceSpec& spec : services()) {
    auto server = load(std::string(spec.name));
    ASSERT_TRUE(server.ok()) << server.status().detail();
    if (!find_endpoint(spec.name)) continue;
    EXPECT_EQ(meet(*load("chat"), spec.name, *server), std::pair(Code::ok, Code::ok)) << spec.name;
    for (const std::string_view other : spec.also_serves) {
      EXPECT_EQ(meet(*load("presence"), other, *server), std::pair(Code::ok, Code::ok)) << other;
    }
  }
  EXPECT_EQ(meet(*InternalTls::load_operator(env_, "/tls"), "", *load("inbox")), std::pair(Code::ok, Code::ok));
}

TEST_F(InternalTlsTest, one_service_answers_for_no_other_and_a_stranger_for_none) {
  EXPECT_EQ(meet(*load("chat"), "inbox", *load("group")).first, Code::unauthenticated);
  make("/other", "/foreign");
  EXPECT_EQ(meet(*load("chat", "/foreign"), "inbox", *load("inbox")).first, Code::unauthenticated);
  // It trusts the deployment's authority and has a certificate of its own.
  const auto stranger = InternalTls::load(
      env_, config("[internal_tls]\nca = '/tls/ca.pem'\ncertificate = '/foreign/chat.pem'\nkey = '/foreign/chat.key'"), "chat");
  ASSERT_TRUE(stranger.ok());
  const auto [ours, theirs] = meet(*stranger, "inbox", *load("inbox"));
  EXPECT_NE(ours, Code::ok);
  EXPECT_EQ(theirs, Code::unauthenticated);
}

TEST_F(InternalTlsTest, plain_without_settings_and_nothing_by_halves) {
  const auto plain = InternalTls::load(env_, config(""), "chat");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->server(), nullptr);
  EXPECT_EQ(plain->client(env_, "inbox"), nullptr);
  const auto half = InternalTls::load(env_, config("internal_tls.ca = '/tls/ca.pem'"), "chat");
  EXPECT_EQ(half.code(), Code::invalid);
  EXPECT_THAT(half.status().detail(), HasSubstr("internal_tls.certificate"));
  const auto missing = load("nobody");
  EXPECT_EQ(missing.code(), Code::not_found);
  EXPECT_THAT(missing.status().detail(), HasSubstr("internal_tls.certificate: /tls/nobody.pem"));
  const auto wrong = InternalTls::load(
      env_, config("[internal_tls]\nca = '/tls/ca.pem'\ncertificate = '/tls/chat.pem'\nkey = '/tls/inbox.key'"), "chat");
  EXPECT_EQ(wrong.code(), Code::invalid);
}

TEST_F(InternalTlsTest, certificates_are_kept_while_they_are_good_and_renewed_in_time) {
  const std::string authority = text("/data/internal-ca.pem"), before = text("/tls/message-sync.pem");
  EXPECT_FALSE(env_.disk().exists("/tls/internal-ca.key"));
  make("/data", "/tls");
  EXPECT_EQ(text("/tls/message-sync.pem"), before);
  env_.jump_utc_ms(int64_t{200} * 86'400'000);
  make("/data", "/tls");
  EXPECT_EQ(text("/tls/message-sync.pem"), before);
  env_.jump_utc_ms(int64_t{60} * 86'400'000);
  make("/data", "/tls");
  EXPECT_NE(text("/tls/message-sync.pem"), before);
  EXPECT_EQ(text("/data/internal-ca.pem"), authority);
  EXPECT_EQ(meet(*load("chat"), "inbox", *load("inbox")), std::pair(Code::ok, Code::ok));
}

}  // namespace
}  // namespace hongyan::process
