// Goal: bytes pass through TLS unchanged whatever their number, strangers and plain text do not. Method: both ends over
// an in-memory stream; certificates made here.
#include "runtime/tls/tls.h"

#include <gtest/gtest.h>

#include "runtime/coro/sync.h"
#include "runtime/testing/loopback.h"
#include "runtime/testing/test_env.h"

namespace hongyan::runtime {
namespace {

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    identity_ = *make_self_signed("127.0.0.1:0", env_.utc_ms());
    server_ = *make_tls_server(identity_);
    fingerprint_ = *certificate_fingerprint(identity_.certificate_pem);
  }
  // Both ends, shaken hands; null where that failed.
  std::pair<std::unique_ptr<TlsStream>, std::unique_ptr<TlsStream>> connected(const std::string& fingerprint) {
    auto [near, far] = make_stream_pair();
    auto client = tls_connect(std::move(near), fingerprint).value();
    auto server = server_->wrap(std::move(far));
    Nursery nursery(env_.scheduler());
    bool server_ok = false;
    nursery.spawn("server", [&] {
      Call call = env_.call();
      server_ok = server->handshake(call).ok();
    });
    Call call = env_.call();
    const bool client_ok = client->handshake(call).ok();
    if (!client_ok) client->close();
    EXPECT_TRUE(nursery.join(call).ok());
    if (!client_ok) client.reset();
    if (!server_ok) server.reset();
    return {std::move(client), std::move(server)};
  }
  std::string read_all(Stream& stream, size_t bytes) {
    std::string out;
    Call call = env_.call();
    std::vector<char> buffer(1000);
    while (out.size() < bytes) {
      const auto count = stream.read(call, buffer);
      if (!count.ok() || *count == 0) break;
      out.append(buffer.data(), *count);
    }
    return out;
  }

  TestEnv env_;
  TlsIdentity identity_;
  std::shared_ptr<TlsServer> server_;
  std::string fingerprint_;
};

TEST_F(TlsTest, carries_bytes_both_ways_at_once) {
  run_in_coroutine(env_, [&] {
    auto [client, server] = connected(fingerprint_);
    ASSERT_TRUE(client != nullptr && server != nullptr);
    std::string up(1'000'000, '\0'), down(700'001, '\0');
    env_.random(up);
    env_.random(down);
    Nursery nursery(env_.scheduler());
    nursery.spawn("up", [&, &out = *client] {
      Call call = env_.call();
      EXPECT_TRUE(out.write(call, up).ok());
    });
    nursery.spawn("down", [&, &out = *server] {
      Call call = env_.call();
      EXPECT_TRUE(out.write(call, down).ok());
    });
    nursery.spawn("read up", [&, &in = *server] { EXPECT_EQ(read_all(in, up.size()), up); });
    EXPECT_EQ(read_all(*client, down.size()), down);
    Call call = env_.call();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(TlsTest, another_certificate_is_refused) {
  const std::string other = *certificate_fingerprint(make_self_signed("127.0.0.1:0", env_.utc_ms())->certificate_pem);
  ASSERT_NE(other, fingerprint_);
  run_in_coroutine(env_, [&] { EXPECT_EQ(connected(other).first, nullptr); });
}

TEST_F(TlsTest, plain_text_and_garbage_fail_the_handshake) {
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100, '\0'), std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'x')}) {
    run_in_coroutine(env_, [&] {
      auto [near, far] = make_stream_pair();
      auto server = server_->wrap(std::move(far));
      Nursery nursery(env_.scheduler());
      nursery.spawn("stranger", [&] {
        Call call = background_call(env_, 5s);
        (void)near->write(call, bytes).ok();
        near->close();
      });
      Call call = env_.call();
      EXPECT_FALSE(server->handshake(call).ok());
      server->close();
      EXPECT_TRUE(nursery.join(call).ok());
    });
  }
}

TEST_F(TlsTest, silent_peer_runs_into_the_deadline) {
  run_in_coroutine(env_, [&] {
    auto [near, far] = make_stream_pair();
    auto server = server_->wrap(std::move(far));
    Call call = background_call(env_, 10s);
    EXPECT_EQ(server->handshake(call).code(), Code::deadline);
  });
}

TEST_F(TlsTest, end_of_the_stream_is_an_end) {
  run_in_coroutine(env_, [&] {
    auto [client, server] = connected(fingerprint_);
    ASSERT_TRUE(client != nullptr && server != nullptr);
    client->close();
    Call call = env_.call();
    char byte;
    const auto count = server->read(call, std::span(&byte, 1));
    ASSERT_TRUE(count.ok());
    EXPECT_EQ(*count, 0u);
  });
}

TEST(TlsIdentityTest, key_of_another_certificate_and_garbage_are_invalid) {
  const TlsIdentity one = *make_self_signed("example.org:443", 1'700'000'000'000);
  const TlsIdentity other = *make_self_signed("[2001:db8::1]:443", 1'700'000'000'000);
  EXPECT_TRUE(make_tls_server(one).ok());
  EXPECT_TRUE(make_tls_server(other).ok());
  EXPECT_EQ(make_tls_server({.certificate_pem = one.certificate_pem, .key_pem = other.key_pem}).code(), Code::invalid);
  EXPECT_EQ(make_tls_server({.certificate_pem = "x", .key_pem = one.key_pem}).code(), Code::invalid);
  EXPECT_EQ(make_tls_server({.certificate_pem = one.certificate_pem, .key_pem = ""}).code(), Code::invalid);
  EXPECT_EQ(certificate_fingerprint("").code(), Code::invalid);
  EXPECT_EQ(certificate_fingerprint(one.certificate_pem)->size(), 32u * 3 - 1);
}

TEST(TlsIdentityTest, strange_listen_addresses_do_not_reach_the_extension_syntax) {
  EXPECT_TRUE(make_self_signed("a,DNS:evil.example:443", 1'700'000'000'000).ok());
  EXPECT_TRUE(make_self_signed("0.0.0.0:443", 1'700'000'000'000).ok());
  EXPECT_TRUE(make_self_signed("", 1'700'000'000'000).ok());
}

// Two services of one deployment, with an authority of their own.
class TlsMutualTest : public ::testing::Test {
 protected:
  TlsMutualTest() : authority_(*make_tls_authority("test", env_.utc_ms())) {}
  TlsIdentity identity(const std::string& name, int days = 30, int64_t from_ms = 0) {
    return *issue_certificate(authority_, {name}, env_.utc_ms() + from_ms, days);
  }
  // How both handshakes end, and what the client hears after its own.
  struct Ends {
    Code client, server, client_read;
  };
  Ends shake(const TlsMutual& client_side, const TlsMutual& server_side) {
    Ends ends{};
    run_in_coroutine(env_, [&] {
      auto [near, far] = make_stream_pair();
      const auto client_tls = make_mutual_tls_client(env_, client_side).value();
      const auto server_tls = make_mutual_tls_server(env_, server_side).value();
      auto client = client_tls->wrap(std::move(near)).value();
      auto server = server_tls->wrap(std::move(far));
      Nursery nursery(env_.scheduler());
      nursery.spawn("server", [&] {
        Call call = env_.call();
        ends.server = server->handshake(call).code();
        if (ends.server == Code::ok) (void)server->write(call, "x");
        server->close();
      });
      Call call = env_.call();
      ends.client = client->handshake(call).code();
      char byte[1];
      if (ends.client == Code::ok) ends.client_read = client->read(call, byte).code();
      client->close();
      EXPECT_TRUE(nursery.join(call).ok());
    });
    return ends;
  }

  TestEnv env_;
  TlsIdentity authority_;
};

TEST_F(TlsMutualTest, services_of_one_authority_meet_by_name) {
  const Ends ends = shake({identity("chat"), authority_.certificate_pem, {"inbox"}},
                          {identity("inbox"), authority_.certificate_pem, {"chat", "login"}});
  EXPECT_EQ(ends.client, Code::ok);
  EXPECT_EQ(ends.server, Code::ok);
  EXPECT_EQ(ends.client_read, Code::ok);
  EXPECT_EQ(shake({identity("chat"), authority_.certificate_pem, {"inbox"}}, {identity("inbox"), authority_.certificate_pem})
                .server,
            Code::ok);  // Anybody of the authority.
}

TEST_F(TlsMutualTest, strangers_are_refused_on_both_sides) {
  const TlsIdentity other = *make_tls_authority("test", env_.utc_ms());  // Of the same name.
  const auto foreign = *issue_certificate(other, {"inbox"}, env_.utc_ms(), 30);
  const TlsMutual server{identity("inbox"), authority_.certificate_pem, {"chat"}};
  const TlsMutual client{identity("chat"), authority_.certificate_pem, {"inbox"}};
  // The server's side of it.
  EXPECT_EQ(shake({foreign, authority_.certificate_pem, {"inbox"}}, server).server, Code::unauthenticated);
  EXPECT_EQ(shake({identity("feed"), authority_.certificate_pem, {"inbox"}}, server).server, Code::unauthenticated);
  EXPECT_EQ(shake({identity("chat", 1, -3 * 86'400'000LL), authority_.certificate_pem, {"inbox"}}, server).server,
            Code::unauthenticated);  // Expired.
  EXPECT_EQ(shake({identity("chat", 30, 10 * 86'400'000LL), authority_.certificate_pem, {"inbox"}}, server).server,
            Code::unauthenticated);  // Not valid yet.
  const Ends none = shake({{}, authority_.certificate_pem, {"inbox"}}, server);
  EXPECT_EQ(none.server, Code::unauthenticated);  // No certificate at all.
  EXPECT_NE(none.client_read, Code::ok);
  // The client's.
  EXPECT_EQ(shake(client, {foreign, authority_.certificate_pem}).client, Code::unauthenticated);
  EXPECT_EQ(shake(client, {identity("feed"), authority_.certificate_pem}).client, Code::unauthenticated);
  EXPECT_EQ(shake(client, {identity("inbox", 1, -3 * 86'400'000LL), authority_.certificate_pem}).client, Code::unauthenticated);
}

TEST_F(TlsMutualTest, what_is_no_certificate_is_refused_when_it_is_loaded) {
  EXPECT_EQ(make_mutual_tls_server(env_, {identity("a"), "nothing"}).code(), Code::invalid);
  EXPECT_EQ(make_mutual_tls_server(env_, {{.certificate_pem = identity("a").certificate_pem, .key_pem = identity("b").key_pem},
                                          authority_.certificate_pem}).code(),
            Code::invalid);
  EXPECT_EQ(make_mutual_tls_client(env_, {identity("a"), authority_.certificate_pem}).code(), Code::invalid);  // Whom?
  EXPECT_EQ(issue_certificate(authority_, {"a,DNS:b"}, env_.utc_ms(), 1).code(), Code::invalid);
}

TEST_F(TlsMutualTest, a_stream_without_waiting_carries_bytes_whole_though_the_wire_is_full) {
  run_in_coroutine(env_, [&] {
    auto [near, far] = make_stream_pair();
    auto client = make_mutual_tls_client(env_, {identity("chat"), authority_.certificate_pem, {"inbox"}}).value()
                      ->wrap(std::move(near)).value();
    auto server = make_mutual_tls_server(env_, {identity("inbox"), authority_.certificate_pem}).value()->wrap(std::move(far));
    Nursery nursery(env_.scheduler());
    Call call = env_.call();
    nursery.spawn("server", [&] { EXPECT_TRUE(server->handshake(call).ok()); });
    ASSERT_TRUE(client->handshake(call).ok());
    ASSERT_TRUE(nursery.join(call).ok());
    std::string text;
    for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i);
    std::string_view left = text;
    std::string got;
    std::vector<char> buffer(5000);
    while (got.size() < text.size()) {
      const Progress sent = client->try_write(left).value();
      left.remove_prefix(sent.bytes);
      for (bool again = true; again;) {
        const Progress read = server->try_read(buffer).value();
        ASSERT_FALSE(read.ended);
        got.append(buffer.data(), read.bytes);
        again = read.again;
      }
    }
    EXPECT_TRUE(got == text);
    EXPECT_TRUE(left.empty());
    client->close();
    EXPECT_TRUE(server->try_read(buffer)->ended);
  });
}

}  // namespace
}  // namespace hongyan::runtime
