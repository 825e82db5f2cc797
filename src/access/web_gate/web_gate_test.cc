// Goal: docs/protocol-web.md, sentence by sentence. Method: real bytes over the test network, services faked behind a
// real Entry; virtual time for everything slow.
#include "access/web_gate/web_gate.h"

#include <gtest/gtest.h>

#include "api/json/json.h"
#include "access/web_gate/testing/web_client.h"
#include "api/testing/fake_backend.h"
#include "runtime/coro/sanitizers.h"

namespace hongyan::access {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read as in the protocol.
using api::testing::FakeBackend;
using api::testing::k_alice;
using api::testing::k_hour_ms;
using api::testing::k_phone;
using testing::WebClient;
using testing::WebSocketClient;

#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
constexpr bool k_parks = false;
#else
constexpr bool k_parks = true;
#endif

class WebGateTest : public ::testing::Test {
 protected:
  WebGateTest() {
    backend_.log_in(k_alice, k_phone);
    env_.scheduler().set_parking({});  // Whatever may be parked is, whenever it waits.
  }

  // A gate for as long as `body` runs, inside a coroutine.
  void with_gate(const std::function<void()>& body) {
    api::EntryConfig entry_config;
    entry_config.per_device = {};
    entry_config.per_address = {};
    entry_ = std::make_unique<api::Entry>(env_, backend_.entry_deps(), entry_config);
    WebGateDeps deps{.entry = *entry_,
                     .presence = internal::PresenceClient(backend_.presence_channel),
                     .site = {{"/index.html", "<home>"}, {"/assets/big.js", std::string(300'000, 'j')}},
                     .tls = tls_,
                     .ready = [this] { return ready_; },
                     .seal_key = "1:abc"};
    gate_ = make_web_gate(env_, std::move(deps), config_);
    runtime::run_in_coroutine(env_, [&] {
      ASSERT_TRUE(gate_->start().ok());
      body();
      Call call = env_.call();
      gate_->stop(call);
      EXPECT_EQ(gate_->connections(), 0u);
    });
    gate_.reset();
  }
  WebClient client() { return WebClient(env_, gate_->address()); }
  std::string ticket() const { return backend_.ticket(k_alice, k_phone); }
  std::string base() const { return R"("base":{"ticket":")" + to_base64(ticket()) + R"("})"; }
  std::string base_of(const std::string& ticket) const { return R"("base":{"ticket":")" + to_base64(ticket) + R"("})"; }
  void wait(runtime::Duration duration) {
    Call call;
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }
  internal::PushRequest ring(uint64_t version, uint32_t kind = 0) const {
    internal::PushRequest request;
    request.set_connection(backend_.online.back().connection());
    request.mutable_ring()->set_key(3);
    request.mutable_ring()->set_version(version);
    request.mutable_ring()->set_kind(kind);
    return request;
  }
  Status push(const internal::PushRequest& request) {
    Call call = env_.call();
    return gate_->gate_service().push(call, request).status();
  }
  WebSocketClient web_socket() {
    WebSocketClient socket(env_, gate_->address());
    EXPECT_EQ(socket.open(), 101);
    return socket;
  }
  WebSocketClient identified() {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"i","path":"identify","body":{)" + base() + "}}");
    EXPECT_NE(socket.receive().find(R"({"id":"i","body":{"base":{"serverTimeMs")"), std::string::npos);
    return socket;
  }

  runtime::TestEnv env_;
  FakeBackend backend_{env_};
  WebGateConfig config_{.address = "127.0.0.1:0"};
  std::shared_ptr<runtime::TlsServer> tls_;
  bool ready_ = true;
  std::unique_ptr<api::Entry> entry_;
  std::unique_ptr<WebGate> gate_;
};

// --- HTTP ---

TEST_F(WebGateTest, command_answers_200_with_the_response) {
  with_gate([&] {
    const auto answer = client().post("/api/v1/send", "{" + base() + R"(,"messages":[{"clientMsgId":"m1"}]})");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("content-type"), "application/json");
    EXPECT_EQ(answer.field("cache-control"), "no-store");
    EXPECT_NE(answer.body.find(R"("sent":[{"clientMsgId":"m1"}])"), std::string::npos) << answer.body;
    EXPECT_EQ(backend_.sends.size(), 1u);
  });
}

TEST_F(WebGateTest, business_errors_are_200_with_a_code) {
  with_gate([&] {
    EXPECT_NE(client().post("/api/v1/send", "{}").body.find(R"("base":{"code":6,"class":3)"), std::string::npos);
    const auto bad = client().post("/api/v1/send", "{\"base\":");
    EXPECT_EQ(bad.status, 200);
    EXPECT_NE(bad.body.find(R"("code":5,"class":5)"), std::string::npos);
    EXPECT_EQ(client().post("/api/v1/send", "").status, 200);
    EXPECT_EQ(client().post("/api/v1/send", std::string(100'000, '[')).status, 200);
  });
  EXPECT_TRUE(backend_.sends.empty());
}

TEST_F(WebGateTest, broken_http_gets_its_status) {
  with_gate([&] {
    EXPECT_EQ(client().post("/api/v1/nonsense", "{}").status, 404);
    EXPECT_EQ(client().post("/api/v1/identify", "{}").status, 200) << "it checks the ticket, as on every channel";
    EXPECT_EQ(client().post("/api/v2/send", "{}").status, 405);
    EXPECT_EQ(client().get("/api/v1/send").status, 405);
    EXPECT_EQ(client().post("/", "{}").status, 405);
    EXPECT_EQ(client().post("/api/v1/send", "{}", "Content-Type: text/plain\r\n").status, 415);
    EXPECT_EQ(client().post("/api/v1/send", "{}", "Content-Type: application/json; charset=utf-8\r\n").status, 200);
    EXPECT_EQ(client().post("/api/v1/send", std::string(1024 * 1024 + 1, ' ')).status, 413);
    EXPECT_EQ(client().raw("GARBAGE\r\n\r\n").status, 400);
  });
}

TEST_F(WebGateTest, request_may_be_split_at_every_byte) {
  const std::string body = "{" + base() + "}";
  const std::string request = "POST /api/v1/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
  with_gate([&] {
    for (size_t cut = 1; cut < request.size(); ++cut) {
      WebClient one = client();
      one.write(request.substr(0, cut));
      env_.scheduler().yield();
      one.write(request.substr(cut));
      EXPECT_EQ(one.read_answer().status, 200) << cut;
    }
  });
  EXPECT_EQ(backend_.sends.size(), request.size() - 1);
}

TEST_F(WebGateTest, pipelined_requests_are_answered_in_order_on_one_connection) {
  with_gate([&] {
    WebClient one = client();
    one.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing.js HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(one.read_answer().body, "ok");
    EXPECT_EQ(one.read_answer().status, 404);
    EXPECT_EQ(one.read_answer().status, 200);
    EXPECT_EQ(gate_->connections(), 1u);
  });
}

TEST_F(WebGateTest, site_health_and_metrics_are_served) {
  with_gate([&] {
    EXPECT_EQ(client().get("/").body, "<home>");
    EXPECT_EQ(client().get("/chat/7").body, "<home>");
    EXPECT_EQ(client().get("/assets/big.js").body.size(), 300'000u);
    const auto head = client().raw("HEAD /assets/big.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(head.field("content-length"), "300000");
    EXPECT_EQ(client().get("/healthz").body, "ok");
    EXPECT_EQ(client().get("/readyz").status, 200);
    ready_ = false;
    EXPECT_EQ(client().get("/readyz").status, 503);
    EXPECT_EQ(client().get("/seal-key").body, "1:abc\n");
    const auto metrics = client().get("/metrics");
    EXPECT_EQ(metrics.status, 200);
    EXPECT_NE(metrics.body.find("hongyan_web_requests"), std::string::npos);
    EXPECT_EQ(client().get("/metrics", "X-Forwarded-For: 10.0.0.1\r\n").status, 403);
  });
}

TEST_F(WebGateTest, every_answer_has_the_security_headers_and_no_cors) {
  with_gate([&] {
    for (const auto& answer : {client().get("/"), client().post("/api/v1/send", "{}"), client().get("/nothing.js"), client().raw("X\r\n\r\n")}) {
      EXPECT_NE(answer.field("content-security-policy").find("frame-ancestors 'none'"), std::string::npos);
      EXPECT_EQ(answer.field("x-content-type-options"), "nosniff");
      EXPECT_EQ(answer.field("access-control-allow-origin"), "");
      EXPECT_EQ(answer.field("set-cookie"), "");
    }
  });
}

TEST_F(WebGateTest, continue_is_said_when_asked) {
  with_gate([&] {
    WebClient one = client();
    one.write("POST /api/v1/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(one.read_answer().status, 100);
    one.write("{}");
    EXPECT_EQ(one.read_answer().status, 200);
  });
}

TEST_F(WebGateTest, slow_header_is_closed_after_ten_seconds) {
  with_gate([&] {
    WebClient one = client();
    const runtime::Time start = env_.now();
    one.write("GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 8; ++i) {
      wait(1s);
      one.write("X");  // A byte now and then buys no time.
    }
    EXPECT_EQ(one.read_answer().status, 408);
    EXPECT_EQ(env_.now() - start, 10s);
  });
}

TEST_F(WebGateTest, slow_body_is_closed_after_thirty_seconds) {
  with_gate([&] {
    WebClient one = client();
    const runtime::Time start = env_.now();
    one.write("POST /api/v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 5; ++i) {
      wait(5s);
      one.write("X");
    }
    EXPECT_EQ(one.read_answer().status, 408);
    EXPECT_EQ(env_.now() - start, 30s);
  });
}

TEST_F(WebGateTest, silent_connections_are_closed) {
  with_gate([&] {
    WebClient silent = client();
    WebClient idle = client();
    const runtime::Time start = env_.now();
    idle.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(idle.read_answer().status, 200);
    EXPECT_TRUE(silent.ended());
    EXPECT_EQ(env_.now() - start, 10s);
    EXPECT_TRUE(idle.ended());
    EXPECT_EQ(env_.now() - start, 75s);
  });
}

TEST_F(WebGateTest, reader_who_does_not_read_is_closed) {
  with_gate([&] {
    WebClient one = client();
    one.write("GET /assets/big.js HTTP/1.1\r\nHost: x\r\n\r\n");
    wait(31s);
    EXPECT_EQ(gate_->connections(), 0u);
  });
}

TEST_F(WebGateTest, connections_over_the_limit_are_closed_at_once) {
  config_.connections_max = 2;
  with_gate([&] {
    WebClient first = client(), second = client();
    wait(1ms);
    WebClient third = client();
    EXPECT_TRUE(third.ended());
    first.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(first.read_answer().status, 200);
  });
}

TEST_F(WebGateTest, half_received_bodies_together_are_bounded) {
  config_.unfinished_bytes_max = 100'000;
  with_gate([&] {
    std::vector<WebClient> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(client());
      clients.back().write("POST /api/v1/send HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(40'000, 'x'));
    }
    int refused = 0;
    for (WebClient& one : clients) refused += one.read_answer().status == 503;
    EXPECT_GE(refused, 2);
    EXPECT_EQ(client().get("/healthz").status, 200);
  });
}

TEST_F(WebGateTest, long_requests_count_until_they_are_done) {
  config_.unfinished_bytes_max = 100'000;
  backend_.sync_held = true;
  const std::string padding(80'000, ' ');
  const auto release = [&] {
    backend_.sync_held = false;
    backend_.sync_released.notify_all();
  };
  with_gate([&] {
    WebClient first = client();
    first.write(WebClient::post_text("/api/v1/sync", "{" + base() + "}" + padding));
    wait(1ms);
    EXPECT_EQ(client().post("/api/v1/sync", "{" + base() + "}" + padding).status, 503);
    release();
    EXPECT_EQ(first.read_answer().status, 200);
    EXPECT_EQ(client().post("/api/v1/sync", "{" + base() + "}" + padding).status, 200);

    backend_.sync_held = true;
    WebSocketClient link = identified(), other = identified();
    link.send(R"({"id":"1","path":"sync","body":{)" + padding + "}}");
    wait(1ms);
    other.send(R"({"id":"2","path":"sync","body":{)" + padding + "}}");
    EXPECT_EQ(other.closed(), 1013);
    release();
    EXPECT_NE(link.receive().find(R"("id":"1")"), std::string::npos);
    link.send(R"({"id":"3","path":"sync","body":{)" + padding + "}}");
    EXPECT_NE(link.receive().find(R"("id":"3")"), std::string::npos);
  });
}

TEST_F(WebGateTest, of_strangers_who_send_long_bodies_one_is_read_in_a_turn) {
  constexpr size_t k_strangers = 10, k_body = 640 * 1024, k_read_in_a_turn = 64 * 1024;
  struct Turns : runtime::TurnStart {
    explicit Turns(runtime::Scheduler& s) : scheduler(s) { scheduler.at_turn_start(*this); }
    void on_turn_start() override {
      ++count;
      if (counting) scheduler.at_turn_start(*this);
    }
    runtime::Scheduler& scheduler;
    size_t count = 0;
    bool counting = true;
  };
  with_gate([&] {
    Turns turns(env_.scheduler());
    runtime::Nursery strangers(env_.scheduler());
    for (size_t i = 0; i < k_strangers; ++i) {
      strangers.spawn("stranger", [&] {
        const auto answer = client().post("/api/v1/send", std::string(k_body, '['));
        EXPECT_NE(answer.body.find(R"("code":5)"), std::string::npos) << answer.body;
      });
    }
    Call call;
    ASSERT_TRUE(strangers.join(call).ok());
    turns.counting = false;
    EXPECT_GE(turns.count, k_strangers * (k_body / k_read_in_a_turn));
    env_.scheduler().yield();  // It is told once more.
    wait(1ms);
  });
}

TEST_F(WebGateTest, a_long_request_is_parsed_as_a_short_one) {
  with_gate([&] {
    std::string messages;
    for (int i = 0; i < 16; ++i) messages += (i == 0 ? "" : ",") + (R"({"clientMsgId":"m)" + std::to_string(i) + R"(","content":")" + std::string(40'000, 'A') + "\"}");
    const auto answer = client().post("/api/v1/send", "{" + base() + ",\"messages\":[" + messages + "]}");
    EXPECT_EQ(answer.status, 200);
    EXPECT_NE(answer.body.find(R"({"clientMsgId":"m15"})"), std::string::npos) << answer.body;
    ASSERT_EQ(backend_.sends.size(), 1u);
  });
}

TEST_F(WebGateTest, stop_lets_a_running_request_finish) {
  backend_.sync_held = true;
  with_gate([&] {
    WebClient one = client();
    one.write(WebClient::post_text("/api/v1/sync", "{" + base() + "}"));
    wait(1ms);
    env_.scheduler().spawn("release", [&] {
      wait(2s);
      backend_.sync_held = false;
      backend_.sync_released.notify_all();
    });
    Call call = env_.call();
    gate_->stop(call);
    const auto answer = one.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("connection"), "close");
  });
}

// --- Long polling ---

TEST_F(WebGateTest, poll_waits_for_the_ring) {
  with_gate([&] {
    WebClient one = client();
    const runtime::Time start = env_.now();
    one.write(WebClient::post_text("/api/v1/poll", "{" + base() + R"(,"waitMs":20000})"));
    wait(3s);
    ASSERT_EQ(backend_.online.size(), 1u);
    EXPECT_EQ(env_.scheduler().stats().parked_now, k_parks ? 1u : 0u);
    ASSERT_TRUE(push(ring(12)).ok());
    EXPECT_NE(one.read_answer().body.find(R"("rings":[{"version":"12","key":3}])"), std::string::npos);
    EXPECT_EQ(env_.now() - start, 3s);
  });
}

TEST_F(WebGateTest, poll_ends_after_its_time_and_after_25_seconds_at_most) {
  with_gate([&] {
    const runtime::Time start = env_.now();
    WebClient one = client();
    one.write(WebClient::post_text("/api/v1/poll", "{" + base() + R"(,"waitMs":5000})"));
    EXPECT_EQ(one.read_answer().status, 200);
    EXPECT_EQ(env_.now() - start, 5s);
    one.write(WebClient::post_text("/api/v1/poll", "{" + base() + R"(,"waitMs":4294967295})"));
    EXPECT_NE(one.read_answer().body.find("serverTimeMs"), std::string::npos);
    EXPECT_EQ(env_.now() - start, 30s);
  });
}

TEST_F(WebGateTest, poll_answers_at_once_when_the_snapshot_is_behind) {
  backend_.poll_now.add_rings()->set_version(4);
  with_gate([&] {
    const runtime::Time start = env_.now();
    EXPECT_NE(client().post("/api/v1/poll", "{" + base() + R"(,"waitMs":20000})").body.find(R"("rings":[{"version":"4"}])"), std::string::npos);
    EXPECT_EQ(env_.now(), start);
  });
}

TEST_F(WebGateTest, poll_needs_a_ticket) {
  with_gate([&] { EXPECT_NE(client().post("/api/v1/poll", R"({"waitMs":20000})").body.find(R"("code":6)"), std::string::npos); });
}

// --- WebSocket ---

TEST_F(WebGateTest, handshake_checks_what_the_rfc_and_the_origin_demand) {
  with_gate([&] {
    const auto status = [&](const std::string& fields) {
      return client().raw("GET /ws HTTP/1.1\r\nHost: chat.example:8080\r\nConnection: Upgrade\r\n" + fields + "\r\n").status;
    };
    const std::string upgrade = "Upgrade: websocket\r\n", version = "Sec-WebSocket-Version: 13\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    EXPECT_EQ(status(upgrade + version + key), 101);
    EXPECT_EQ(status(upgrade + version + key + "Origin: http://chat.example:8080\r\n"), 101);
    EXPECT_EQ(status(upgrade + version + key + "Origin: https://CHAT.example:8080\r\n"), 101);
    for (const char* origin : {"http://evil.example", "http://chat.example", "http://chat.example:8081", "null", "chat.example:8080",
                               "http://chat.example:8080.evil.example", "file://"}) {
      EXPECT_EQ(status(upgrade + version + key + "Origin: " + origin + "\r\n"), 403) << origin;
    }
    EXPECT_EQ(status(upgrade + key + "Sec-WebSocket-Version: 8\r\n"), 426);
    EXPECT_EQ(status(version + key), 426);
    EXPECT_EQ(status(upgrade + version), 400);
    EXPECT_EQ(status(upgrade + version + "Sec-WebSocket-Key: short\r\n"), 400);
    EXPECT_EQ(client().get("/ws").status, 426);
  });
}

TEST_F(WebGateTest, frame_is_answered_with_its_id) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"7","path":"send","body":{)" + base() + R"(,"messages":[{"clientMsgId":"m1"}]}})");
    const std::string answer = socket.receive();
    EXPECT_TRUE(answer.starts_with(R"({"id":"7","body":{"base":{"serverTimeMs")")) << answer;
    EXPECT_TRUE(api::check_json(answer).ok());
  });
}

TEST_F(WebGateTest, identified_link_needs_no_ticket_and_hears_rings) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"1","path":"send","body":{}})");
    EXPECT_NE(socket.receive().find(R"("code":6)"), std::string::npos);
    socket.send(R"({"id":"2","path":"identify","body":{)" + base() + "}}");
    EXPECT_NE(socket.receive().find(R"({"id":"2","body":{"base":{"serverTimeMs")"), std::string::npos);
    ASSERT_EQ(backend_.online.size(), 1u);
    socket.send(R"({"id":"3","path":"send"})");
    EXPECT_EQ(socket.receive().find("\"code\""), std::string::npos);
    ASSERT_TRUE(push(ring(12)).ok());
    EXPECT_EQ(socket.receive(), R"({"ring":{"version":"12","key":3}})");
  });
  EXPECT_EQ(backend_.offline.size(), 1u);
}

TEST_F(WebGateTest, failed_identify_binds_nothing) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"1","path":"identify","body":{)" + base_of(backend_.ticket(k_alice, k_phone, 7)) + "}}");
    EXPECT_NE(socket.receive().find(R"("code":113,"class":3)"), std::string::npos);
    EXPECT_TRUE(backend_.online.empty());
  });
}

TEST_F(WebGateTest, logged_out_ring_precedes_close_4001) {
  with_gate([&] {
    WebSocketClient socket = identified();
    backend_.sessions[{k_alice, k_phone}].second = false;
    ASSERT_TRUE(push(ring(1, 2)).ok());
    EXPECT_EQ(socket.receive(), R"({"ring":{"version":"1","key":3,"kind":2}})");
    EXPECT_EQ(socket.closed(), 4001);
  });
}

TEST_F(WebGateTest, newer_login_of_the_device_closes_the_older_link_with_4002) {
  with_gate([&] {
    WebSocketClient old = identified();
    backend_.log_in(k_alice, k_phone, 2);
    WebSocketClient fresh = web_socket();
    fresh.send(R"({"id":"i","path":"identify","body":{)" + base_of(backend_.ticket(k_alice, k_phone, 2)) + "}}");
    EXPECT_EQ(fresh.receive().find("\"code\""), std::string::npos);
    EXPECT_EQ(old.closed(), 4002);
    ASSERT_TRUE(push(ring(5)).ok());
    EXPECT_NE(fresh.receive().find("ring"), std::string::npos);
  });
}

TEST_F(WebGateTest, new_ticket_comes_in_the_answer) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"1","path":"identify","body":{)" + base_of(backend_.ticket(k_alice, k_phone, 1, k_hour_ms)) + "}}");
    EXPECT_NE(socket.receive().find("newTicket"), std::string::npos);
  });
}

TEST_F(WebGateTest, frames_that_are_no_frames_close_with_1007) {
  with_gate([&] {
    for (const char* text : {"", "x", "[]", "{}", R"({"id":"1"})", R"({"path":"send"})", R"({"id":7,"path":"send"})", R"({"id":"","path":"send"})",
                             R"({"id":"1","id":"2","path":"send"})", R"({"id":"1","path":"send"}x)"}) {
      WebSocketClient socket = web_socket();
      socket.send(text);
      EXPECT_EQ(socket.closed(), 1007) << text;
    }
  });
}

TEST_F(WebGateTest, unknown_path_and_wrong_body_are_answered) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    socket.send(R"({"id":"1","path":"nonsense","body":{}})");
    EXPECT_NE(socket.receive().find(R"({"id":"1","body":{"base":{"code":14,"class":5)"), std::string::npos);
    socket.send(R"({"id":"2","path":"send","body":{"base":7}})");
    EXPECT_NE(socket.receive().find(R"({"id":"2","body":{"base":{"code":5)"), std::string::npos);
  });
}

TEST_F(WebGateTest, sixty_fifth_request_in_flight_is_refused) {
  backend_.sync_held = true;
  with_gate([&] {
    WebSocketClient socket = identified();
    for (int i = 0; i < 65; ++i) socket.send(R"({"id":")" + std::to_string(i) + R"(","path":"sync"})");
    EXPECT_NE(socket.receive().find(R"({"id":"64","body":{"base":{"code":3,"class":2)"), std::string::npos);
    backend_.sync_held = false;
    backend_.sync_released.notify_all();
    for (int i = 0; i < 64; ++i) EXPECT_EQ(socket.receive().find("\"code\""), std::string::npos);
  });
}

TEST_F(WebGateTest, answers_come_as_they_finish) {
  backend_.sync_held = true;
  with_gate([&] {
    WebSocketClient socket = identified();
    socket.send(R"({"id":"slow","path":"sync"})");
    socket.send(R"({"id":"quick","path":"send"})");
    EXPECT_TRUE(socket.receive().starts_with(R"({"id":"quick")"));
    backend_.sync_held = false;
    backend_.sync_released.notify_all();
    EXPECT_TRUE(socket.receive().starts_with(R"({"id":"slow")"));
  });
}

TEST_F(WebGateTest, server_pings_every_30_seconds_and_closes_after_75_of_silence) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    const runtime::Time start = env_.now();
    EXPECT_EQ(socket.receive_frame().opcode, 9);
    EXPECT_EQ(env_.now() - start, 30s);
    EXPECT_EQ(socket.receive_frame().opcode, 9);
    EXPECT_EQ(socket.closed(), 1001);
    EXPECT_EQ(env_.now() - start, 75s);
  });
}

TEST_F(WebGateTest, link_that_answers_pings_stays) {
  with_gate([&] {
    WebSocketClient socket = web_socket();
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(socket.receive_frame().opcode, 9);
      socket.write_frame(10, "");
    }
    EXPECT_EQ(gate_->connections(), 1u);
  });
}

TEST_F(WebGateTest, link_nobody_reads_is_cut) {
  config_.link_output_bytes_max = 200'000;
  with_gate([&] {
    WebSocketClient socket = identified();
    for (uint64_t i = 0; i < 10'000 && gate_->connections() == 1; ++i) (void)push(ring(i)).ok();
    wait(31s);
    EXPECT_EQ(gate_->connections(), 0u);
  });
}

TEST_F(WebGateTest, closing_a_tab_does_not_undo_what_it_asked) {
  backend_.sync_held = true;
  with_gate([&] {
    {
      WebSocketClient socket = identified();
      socket.send(R"({"id":"1","path":"sync"})");
      wait(1ms);
    }
    wait(1s);
    EXPECT_EQ(gate_->connections(), 1u);  // Its request is not cancelled.
    backend_.sync_held = false;
    backend_.sync_released.notify_all();
    wait(3s);
    EXPECT_EQ(gate_->connections(), 0u);
  });
}

TEST_F(WebGateTest, stop_says_goodbye_to_links) {
  with_gate([&] {
    WebSocketClient socket = identified();
    Call call = env_.call();
    gate_->stop(call);
    EXPECT_EQ(socket.closed(), 1001);
  });
}

// --- Many, hostile, sealed ---

TEST_F(WebGateTest, thousand_idle_links_work_and_go) {
  with_gate([&] {
    std::vector<std::unique_ptr<WebSocketClient>> links;
    for (int i = 0; i < 1000; ++i) links.push_back(std::make_unique<WebSocketClient>(web_socket()));
    EXPECT_EQ(gate_->connections(), 1000u);
    wait(1s);
    EXPECT_EQ(env_.scheduler().stats().parked_now, k_parks ? 1000u : 0u);
    links.front()->send(R"({"id":"1","path":"send"})");
    EXPECT_NE(links.front()->receive().find(R"("id":"1")"), std::string::npos);
    links.clear();
    wait(3s);
    EXPECT_EQ(gate_->connections(), 0u);
  });
}

TEST_F(WebGateTest, hostile_bytes_leave_nothing_behind) {
  Random random(7);
  with_gate([&] {
    const std::string good = WebClient::post_text("/api/v1/send", "{" + base() + "}");
    for (int i = 0; i < 2000; ++i) {
      std::string bytes = good.substr(0, 1 + random.below(good.size()));
      for (uint64_t edits = random.below(5); edits > 0; --edits) bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      WebClient one = client();
      one.write(bytes);
      if (i % 100 == 0) wait(1ms);
    }
    wait(120s);
    EXPECT_EQ(gate_->connections(), 0u);
    EXPECT_EQ(client().get("/healthz").status, 200);
  });
}

TEST_F(WebGateTest, tls_carries_requests_and_links) {
  const auto identity = runtime::make_self_signed("10.1.2.3:8080", env_.utc_ms());
  ASSERT_TRUE(identity.ok());
  auto server = runtime::make_tls_server(*identity);
  ASSERT_TRUE(server.ok());
  tls_ = *server;
  const std::string fingerprint = *runtime::certificate_fingerprint(identity->certificate_pem);
  with_gate([&] {
    WebClient one(env_, gate_->address(), fingerprint);
    one.write("GET /assets/big.js HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(one.read_answer().body.size(), 300'000u);
    WebSocketClient socket(env_, gate_->address(), fingerprint);
    EXPECT_EQ(socket.open(), 101);
    socket.send(R"({"id":"1","path":"send"})");
    EXPECT_NE(socket.receive().find(R"("id":"1")"), std::string::npos);
    EXPECT_TRUE(client().raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 0);  // Plain bytes get nothing.
  });
}

}  // namespace
}  // namespace hongyan::access
