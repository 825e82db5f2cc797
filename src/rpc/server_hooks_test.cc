// Goal: what decides about calls is asked before anything is made for them, and what watches them sees each exactly
// once; limits hold; connections cost nothing between calls; TLS can be asked for. Method: server and channel in a
// TestEnv.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "rpc/frame.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using runtime::Nursery;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;
using namespace std::chrono_literals;

class Gate : public Admission {
 public:
  Verdict ask(const Arrival& arrival) override {
    ++asked;
    last_ticket = std::string(arrival.ticket);
    last_key = arrival.routing_key;
    if (arrival.priority.business > 100) return {Code::overloaded, "not today"};
    return {};
  }
  uint32_t level() const override { return says; }
  void started(const MethodInfo&, runtime::Duration queue_wait) override {
    ++begun;
    longest_wait = std::max(longest_wait, queue_wait);
  }
  void ended(const MethodInfo&, runtime::Duration, Code code) override { ++codes[code]; }
  uint32_t says = k_level_open;
  int asked = 0, begun = 0;
  runtime::Duration longest_wait{};
  std::string last_ticket;
  uint64_t last_key = 0;
  std::map<Code, int> codes;
};

class Watcher : public Observer {
 public:
  void on_start(CallRecord& record, Call& call) override {
    ++starts;
    call.trace.parent = 99;
    EXPECT_EQ(record.method->name.empty(), false);
  }
  void on_end(const CallRecord& record) override {
    ++ends[record.code];
    if (!record.handled) ++refused;
    EXPECT_LE(record.arrived, record.started);
    EXPECT_LE(record.started, record.ended);
    bytes_in += record.request_bytes;
    bytes_out += record.answer_bytes;
  }
  int starts = 0, refused = 0;
  size_t bytes_in = 0, bytes_out = 0;
  std::map<Code, int> ends;
};

struct Heard : LevelListener {
  void on_level(uint32_t level) override { levels.push_back(level); }
  std::vector<uint32_t> levels;
};

class ServerHooksTest : public ::testing::Test {
 protected:
  ServerHooksTest() {
    fake_.on_open = [this](Call& call, const EchoRequest& request) -> Result<EchoReply> {
      seen_ = call;
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
    fake_.on_delete_ = [this](Call& call, const EchoRequest&) -> Result<EchoReply> {
      TRY(runtime::sleep(call, 10ms));
      return EchoReply();
    };
  }
  void run(ServerOptions options, ChannelOptions channel_options, const std::function<void()>& body) {
    runtime::run_in_coroutine(env_, [&] {
      server_ = std::make_unique<Server>(env_, "127.0.0.1:0", std::vector<Served>{{&fake_, nullptr}}, std::move(options));
      ASSERT_TRUE(server_->start().ok());
      channel_ = std::make_unique<TcpChannel>(env_, server_->address(), std::move(channel_options));
      body();
      Call call = env_.call();
      server_->close(call);
      channel_->close();
      channel_.reset();
      server_.reset();
    });
  }
  Code open(const std::string& body, uint8_t business = 50) {
    Call call = env_.call();
    call.priority = {.business = business, .user = static_cast<uint8_t>(asked_++ * 37 % 128)};
    call.routing_key = 5;
    call.ticket = std::make_shared<const std::string>(ticket_);
    EchoRequest request;
    request.set_body(body);
    return EchoClient(*channel_).open(call, request).code();
  }

  const KeyRing ring_{{{.id = 1, .bytes = std::string(32, 'k')}}};
  const Identity alice_{.uin = 7, .device = "d", .epoch = 1, .feature_level = 2, .expires_ms = 1000};
  std::string ticket_ = make_service_ticket({{"echo", ring_}}, "notify", 1000);
  int asked_ = 0;
  runtime::TestEnv env_;
  EchoFake fake_;
  Call seen_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<TcpChannel> channel_;
};

TEST_F(ServerHooksTest, admission_is_asked_before_the_handler_and_its_level_travels_in_every_answer) {
  Gate gate;
  gate.says = 77;
  Heard heard;
  run({.admission = &gate}, {.levels = &heard}, [&] {
    EXPECT_EQ(open("x"), Code::ok);
    EXPECT_EQ(open("x", 101), Code::overloaded);
    EXPECT_EQ(gate.asked, 2);
    EXPECT_EQ(gate.begun, 1);
    EXPECT_EQ(gate.codes[Code::ok], 1);
    EXPECT_EQ(gate.last_ticket, ticket_);
    EXPECT_EQ(gate.last_key, 5u);
    EXPECT_EQ(seen_.routing_key, 5u);
    EXPECT_EQ(heard.levels, (std::vector<uint32_t>{77, 77}));
  });
}

TEST_F(ServerHooksTest, a_call_has_no_better_priority_than_its_ticket_allows) {
  Gate gate;
  run({.admission = &gate}, {}, [&] {
    ticket_ = make_call_ticket({{"echo", ring_}}, alice_, runtime::Priority{.business = 60, .user = 90});
    EXPECT_EQ(open("x", 20), Code::ok);
    EXPECT_EQ(seen_.priority.business, 60);
    EXPECT_EQ(seen_.priority.user, 90);
    EXPECT_EQ(open("x", 61), Code::ok);  // It may ask for less.
    EXPECT_EQ(seen_.priority.business, 61);
    ticket_ = make_call_ticket({{"echo", ring_}}, alice_);
    EXPECT_EQ(open("x", 20), Code::overloaded);  // Nobody vouched for any.
    ticket_ = "nonsense";
    EXPECT_EQ(open("x", 20), Code::overloaded);
  });
}

// A call takes 5 ms of the loop, and 40 come at once, again and again: one in four is important.
TEST_F(ServerHooksTest, an_overloaded_server_refuses_the_less_important_and_its_callers_keep_them_back) {
  fake_.on_open = [&](Call&, const EchoRequest&) -> Result<EchoReply> {
    env_.advance(5ms);
    return EchoReply();
  };
  run({}, {}, [&] {
    std::map<int, std::map<Code, int>> codes;
    for (int round = 0; round < 40; ++round) {
      codes.clear();
      Nursery callers(env_.scheduler());
      for (int i = 0; i < 40; ++i) {
        callers.spawn("caller", [&, business = i % 4 == 0 ? 20 : 90] { ++codes[business][open("x", static_cast<uint8_t>(business))]; });
      }
      Call call = env_.call();
      ASSERT_TRUE(callers.join(call).ok());
    }
    EXPECT_EQ(codes[20][Code::ok], 10);
    EXPECT_GT(codes[90][Code::overloaded], 15);
    EXPECT_GT(channel_->level().kept_back(), 100u);
  });
}

// Nobody's own word makes a server's callers stay away for long.
TEST_F(ServerHooksTest, a_server_that_says_it_takes_nothing_is_believed_for_a_second) {
  Gate gate;
  gate.says = 77;  // All of these are less important.
  run({.admission = &gate}, {}, [&] {
    EXPECT_EQ(open("x"), Code::ok);
    EXPECT_EQ(open("x"), Code::ok);  // Asks.
    EXPECT_EQ(open("x"), Code::overloaded);
    EXPECT_EQ(gate.asked, 2);
    Call call;
    ASSERT_TRUE(runtime::sleep(call, 1s).ok());
    EXPECT_EQ(open("x"), Code::ok);
    EXPECT_EQ(gate.asked, 3);
  });
}

TEST_F(ServerHooksTest, the_time_before_the_start_is_told_as_queueing) {
  Gate gate;
  // Each handler keeps the loop for a while.
  fake_.on_open = [&](Call&, const EchoRequest&) -> Result<EchoReply> {
    env_.advance(30ms);
    return EchoReply();
  };
  run({.admission = &gate}, {}, [&] {
    Nursery callers(env_.scheduler());
    for (int i = 0; i < 4; ++i) callers.spawn("caller", [&] { EXPECT_EQ(open("x"), Code::ok); });
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_GE(gate.longest_wait, 90ms);
  });
}

TEST_F(ServerHooksTest, an_observer_sees_every_call_once) {
  Watcher watcher;
  run({.in_flight_max = 2, .observer = &watcher}, {}, [&] {
    EXPECT_EQ(open("12345"), Code::ok);
    EXPECT_EQ(seen_.trace.parent, 99u);
    Nursery callers(env_.scheduler());
    for (int i = 0; i < 3; ++i) {
      callers.spawn("caller", [&] {
        Call call = env_.call();
        (void)EchoClient(*channel_).delete_(call, {});
      });
    }
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(watcher.starts, 3);
    EXPECT_EQ(watcher.ends[Code::ok], 3);
    EXPECT_EQ(watcher.ends[Code::overloaded], 1);
    EXPECT_EQ(watcher.refused, 1);
    EXPECT_EQ(watcher.bytes_in, 7u);
    EXPECT_EQ(watcher.bytes_out, 7u);
  });
}

TEST_F(ServerHooksTest, a_method_has_its_own_limit) {
  ServerOptions options;
  options.limits["hongyan.rpc.testing.Echo.Delete"] = {.fixed = 2};
  run(options, {}, [&] {
    Nursery callers(env_.scheduler());
    std::map<Code, int> codes;
    for (int i = 0; i < 5; ++i) {
      callers.spawn("caller", [&] {
        Call call = env_.call();
        ++codes[EchoClient(*channel_).delete_(call, {}).code()];
      });
    }
    callers.spawn("other", [&] { EXPECT_EQ(open("x"), Code::ok); });
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(codes[Code::ok], 2);
    EXPECT_EQ(codes[Code::overloaded], 3);
    for (const Server::Method& method : server_->methods()) EXPECT_EQ(method.running, 0u);
  });
}

TEST_F(ServerHooksTest, work_that_became_late_while_it_waited_for_the_loop_is_not_started) {
  int handled = 0;
  fake_.on_open = [&](Call&, const EchoRequest&) -> Result<EchoReply> {
    ++handled;
    env_.advance(100ms);
    return EchoReply();
  };
  run({}, {}, [&] {
    Nursery callers(env_.scheduler());
    std::map<Code, int> codes;
    for (int i = 0; i < 5; ++i) {
      callers.spawn("caller", [&] {
        Call call = background_call(env_, 250ms);
        ++codes[EchoClient(*channel_).open(call, {}).code()];
      });
    }
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(handled, 3);
  });
}

TEST_F(ServerHooksTest, an_idle_connection_has_no_coroutine) {
  run({}, {}, [&] {
    ASSERT_EQ(open("x"), Code::ok);
    const size_t before = env_.scheduler().live();
    std::vector<std::unique_ptr<runtime::Stream>> peers;
    for (int i = 0; i < 100; ++i) {
      Call call = env_.call();
      peers.push_back(env_.network().connect(call, server_->address()).value());
      std::string ping;
      put_frame(ping, {.kind = FrameKind::ping});
      ASSERT_TRUE(peers.back()->write(call, ping).ok());
      char pong[200];
      ASSERT_TRUE(peers.back()->read(call, pong).ok());
    }
    EXPECT_EQ(server_->connections(), 101u);
    EXPECT_EQ(env_.scheduler().live(), before);
    EXPECT_EQ(server_->peers(1000).size(), 101u);
  });
}

TEST_F(ServerHooksTest, services_can_ask_each_other_for_certificates) {
  const auto authority = *runtime::make_tls_authority("test", env_.utc_ms());
  const auto identity = [&](const char* name) { return *runtime::issue_certificate(authority, {name}, env_.utc_ms(), 30); };
  ServerOptions options;
  options.tls = *runtime::make_mutual_tls_server(env_, {identity("echo"), authority.certificate_pem, {"caller"}});
  const auto client = [&](const char* name, const char* server) {
    return *runtime::make_mutual_tls_client(env_, {identity(name), authority.certificate_pem, {server}});
  };
  run(options, {.tls = client("caller", "echo")}, [&] {
    EXPECT_EQ(open("secret"), Code::ok);
    EXPECT_EQ(open(std::string(1'000'000, 'x')), Code::ok);
    for (const auto& [name, server] : {std::pair("stranger", "echo"), std::pair("caller", "other")}) {
      TcpChannel other(env_, server_->address(), {.tls = client(name, server)});
      Call call = env_.call();
      const Code code = EchoClient(other).open(call, {}).code();
      EXPECT_TRUE(code == Code::unavailable || code == Code::unknown_outcome) << name;
      other.close();
    }
    TcpChannel plain(env_, server_->address());
    Call call = env_.call();
    EXPECT_NE(EchoClient(plain).open(call, {}).code(), Code::ok);
    plain.close();
    EXPECT_EQ(open("still here"), Code::ok);
  });
}

}  // namespace
}  // namespace hongyan::rpc
