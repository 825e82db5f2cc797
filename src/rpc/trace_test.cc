// Goal: spans of one trace make the tree of its calls, over the network and inside a process, and who was not asked to trace
// keeps nothing. Method: servers and channels in a TestEnv; a service that calls another.
#include <gtest/gtest.h>

#include "rpc/guard.h"
#include "rpc/http/testing/http_client.h"
#include "rpc/local_channel.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"
#include "runtime/trace/traceparent.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {
namespace {

using runtime::Span;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;

constexpr runtime::Trace k_sampled{.id = 2, .parent = 3, .id_high = 1, .sampled = true};
constexpr uint64_t k_alice = 101;

struct TraceTest : ::testing::Test {
  // A call of Open at the front is one of Own at the back, as alice.
  void run(const std::function<void(TcpChannel& front)>& body) {
    back_.on_own = [this](Call& call, const EchoRequest&) -> Result<EchoReply> {
      seen_ = call;
      if (fails_) return Status(Code::io, "disk");
      return EchoReply();
    };
    runtime::run_in_coroutine(env_, [&] {
      Server back(env_, "127.0.0.1:0", {{.service = &back_, .interceptor = &guard_}});
      ASSERT_TRUE(back.start().ok());
      TcpChannel to_back(env_, back.address());
      front_.on_open = [&](Call& call, const EchoRequest&) -> Result<EchoReply> {
        const Identity alice{.uin = k_alice, .device = "device-of-16-byt", .expires_ms = env_.utc_ms() + 1000};
        call.ticket = std::make_shared<const std::string>(make_call_ticket({{"echo", ring_}}, alice));
        EchoRequest request;
        request.set_owner(k_alice);
        return EchoClient(to_back).own(call, request);
      };
      Server front(env_, "127.0.0.1:0", {{.service = &front_}});
      ASSERT_TRUE(front.start().ok());
      TcpChannel to_front(env_, front.address());
      address_ = front.address();
      body(to_front);
      Call end = env_.call();
      to_front.close();
      front.close(end);
      to_back.close();
      back.close(end);
    });
  }
  std::vector<const Span*> spans() { return env_.tracer().of_trace(k_sampled.id_high, k_sampled.id); }

  runtime::TestEnv env_;
  const KeyRing ring_ = KeyRing({{.id = 1, .bytes = std::string(32, 'k')}});
  Revocations revocations_;
  Guard guard_{env_, "echo", ring_, {}, revocations_};
  EchoFake front_, back_;
  Call seen_;
  std::string address_;
  bool fails_ = false;
};

TEST_F(TraceTest, each_hop_is_a_child_of_the_one_before_on_both_sides) {
  run([&](TcpChannel& front) {
    Call call = env_.call();
    call.trace = k_sampled;
    ASSERT_TRUE(EchoClient(front).open(call, EchoRequest()).ok());
    EXPECT_EQ(call.trace.parent, k_sampled.parent);  // Of the caller nothing changes.
    const auto all = spans();
    ASSERT_EQ(all.size(), 4u);
    uint64_t parent = k_sampled.parent;
    for (const Span* span : all) {
      EXPECT_EQ(span->parent, parent);
      parent = span->id;
    }
    EXPECT_EQ(all[0]->kind, Span::Kind::client);
    EXPECT_EQ(all[0]->peer, address_);
    EXPECT_EQ(all[1]->kind, Span::Kind::server);
    EXPECT_EQ(all[1]->name, "hongyan.rpc.testing.Echo.Open");
    EXPECT_EQ(all[2]->kind, Span::Kind::client);
    EXPECT_EQ(all[3]->name, "hongyan.rpc.testing.Echo.Own");
    EXPECT_EQ(all[3]->uin, k_alice);  // Checked by the guard.
    EXPECT_EQ(seen_.uin, k_alice);
    EXPECT_EQ(seen_.trace.parent, all[3]->id);
  });
}

TEST_F(TraceTest, a_failure_is_seen_on_every_hop) {
  fails_ = true;
  run([&](TcpChannel& front) {
    Call call = env_.call();
    call.trace = k_sampled;
    EXPECT_EQ(EchoClient(front).open(call, EchoRequest()).code(), Code::io);
    for (const Span* span : spans()) EXPECT_EQ(span->code, Code::io) << span->name;
    EXPECT_EQ(spans().size(), 4u);
  });
}

TEST_F(TraceTest, what_is_not_sampled_has_an_id_on_all_hops_and_leaves_no_span) {
  run([&](TcpChannel& front) {
    Call call = env_.call();
    ASSERT_TRUE(EchoClient(front).open(call, EchoRequest()).ok());
    EXPECT_NE(seen_.trace.id, 0u);  // The front's.
    call.trace = k_sampled;
    call.trace.sampled = false;
    ASSERT_TRUE(EchoClient(front).open(call, EchoRequest()).ok());
    EXPECT_EQ(seen_.trace.id, k_sampled.id);
    EXPECT_EQ(env_.tracer().finished(), 0u);
  });
}

TEST_F(TraceTest, over_http_a_traceparent_begins_it_and_the_answer_says_where_to_look) {
  run([&](TcpChannel&) {
    testing::HttpClient client(env_, address_);
    const auto answer = client.post("/hongyan.rpc.testing.Echo/Open", "{}",
                                    "Content-Type: application/json\r\ntraceparent: " + runtime::format_traceparent(k_sampled) + "\r\n");
    EXPECT_EQ(answer.status, 200);
    const auto all = spans();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0]->parent, k_sampled.parent);
    runtime::Trace answered = k_sampled;
    answered.parent = all[0]->id;
    EXPECT_EQ(answer.field("traceresponse"), runtime::format_traceparent(answered));
  });
}

TEST_F(TraceTest, a_call_inside_the_process_is_one_span) {
  EchoFake fake;
  fake.on_open = [this](Call& call, const EchoRequest&) -> Result<EchoReply> {
    seen_ = call;
    return EchoReply();
  };
  LocalChannel channel(fake, nullptr, &env_.tracer()), silent(fake, nullptr);
  runtime::run_in_coroutine(env_, [&] {
    Call call = env_.call();
    call.trace = k_sampled;
    ASSERT_TRUE(EchoClient(channel).open(call, EchoRequest()).ok());
    ASSERT_EQ(spans().size(), 1u);
    EXPECT_EQ(spans()[0]->kind, Span::Kind::internal);
    EXPECT_EQ(spans()[0]->parent, k_sampled.parent);
    EXPECT_EQ(seen_.trace.parent, spans()[0]->id);
    ASSERT_TRUE(EchoClient(silent).open(call, EchoRequest()).ok());
    EXPECT_EQ(seen_.trace.parent, k_sampled.parent);
    EXPECT_EQ(spans().size(), 1u);
  });
}

}  // namespace
}  // namespace hongyan::rpc
