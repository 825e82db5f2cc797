// Goal: every method can be called over HTTP/1.1 on the port of the frames, with the same limits, and nothing that two
// parsers could read differently is served. Method: server in a TestEnv (virtual time, streams in memory), requests by
// hand.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/bytes.h"
#include "rpc/options.pb.h"
#include "rpc/reflection.h"
#include "rpc/server.h"
#include "rpc/server_http.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"
#include "runtime/trace/traceparent.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {
namespace {

using runtime::Nursery;
using runtime::Stream;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;
using namespace std::chrono_literals;

const std::string k_open = "/hongyan.rpc.testing.Echo/Open";
const std::string k_delete = "/hongyan.rpc.testing.Echo/Delete";

std::string post(const std::string& path, const std::string& body, const std::string& fields = "",
                 const std::string& type = "application/json") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + type + "\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// {"body": base64 of `text`}
std::string json(const std::string& text) { return R"({"body":")" + to_base64(text) + "\"}"; }

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

class Browser {
 public:
  Browser(runtime::TestEnv& env, const std::string& address) : env_(env) {
    Call call = env.call();
    stream_ = env.network().connect(call, address).value();
  }
  void send(std::string_view bytes) {
    Call call = env_.call();
    (void)stream_->write(call, bytes);
  }
  // Status 0: the connection has ended.
  Answer receive(bool head_only = false) {
    const size_t end = until("\r\n\r\n");
    if (end == std::string::npos) return {};
    Answer answer;
    answer.head = have_.substr(0, end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const size_t at = answer.head.find("Content-Length: ");
    const size_t length = at == std::string::npos || head_only ? 0 : std::stoul(answer.head.substr(at + 16));
    have_.erase(0, end + 4);
    while (have_.size() < length && more()) {
    }
    answer.body = have_.substr(0, length);
    have_.erase(0, length);
    return answer;
  }
  Answer ask(const std::string& request) {
    send(request);
    return receive();
  }
  bool at_end() { return have_.empty() && !more(); }
  void close() { stream_->close(); }

 private:
  bool more() {
    char buffer[1000];
    Call call = env_.call();
    const auto count = stream_->read(call, buffer);
    if (!count.ok() || *count == 0) return false;
    have_.append(buffer, *count);
    return true;
  }
  size_t until(std::string_view mark) {
    for (;;) {
      const size_t at = have_.find(mark);
      if (at != std::string::npos || !more()) return at;
    }
  }
  runtime::TestEnv& env_;
  std::unique_ptr<Stream> stream_;
  std::string have_;
};

class ServerHttpTest : public ::testing::Test {
 protected:
  ServerHttpTest() {
    fake_.on_open = [this](Call& call, const EchoRequest& request) -> Result<EchoReply> {
      ++handled_;
      seen_ = call;
      if (request.body() == "fail") return Status(Code::not_found, "no such \"thing\"");
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
    fake_.on_delete_ = [this](Call& call, const EchoRequest& request) -> Result<EchoReply> {
      ++handled_;
      while (!released_) TRY(release_.wait(call.deadline));
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
  }
  void run(const std::function<void(const std::string& address)>& body, ServerOptions options = {}) {
    runtime::run_in_coroutine(env_, [&] {
      server_ = std::make_unique<Server>(env_, "127.0.0.1:0", std::vector<Served>{{&fake_, nullptr}}, std::move(options));
      ASSERT_TRUE(server_->start().ok());
      body(server_->address());
      release();
      Call call = env_.call();
      server_->close(call);
      server_.reset();
    });
  }
  void release() {
    released_ = true;
    release_.wake_all();
  }
  void settle() { (void)runtime::sleep(settled_, 1ms); }

  runtime::TestEnv env_;
  Call settled_;
  EchoFake fake_;
  std::unique_ptr<Server> server_;
  int handled_ = 0;
  Call seen_;
  bool released_ = false;
  runtime::WaitList release_;
};

TEST_F(ServerHttpTest, a_method_is_called_with_json_or_protobuf_and_frames_go_on_beside_it) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const Answer answer = browser.ask(post(k_open, json("hello")));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, json("hello"));
    EXPECT_NE(answer.head.find("Content-Type: application/json\r\n"), std::string::npos);
    EchoRequest request;
    request.set_body("binary");
    const Answer binary = browser.ask(post(k_open, request.SerializeAsString(), "", "application/x-protobuf"));
    EchoReply reply;
    ASSERT_TRUE(reply.ParseFromString(binary.body));
    EXPECT_EQ(reply.body(), "binary");
    TcpChannel channel(env_, address);
    Call call = env_.call();
    EXPECT_EQ(EchoClient(channel).open(call, request)->body(), "binary");
    EXPECT_EQ(server_->connections(), 2u);
    channel.close();
  });
}

TEST_F(ServerHttpTest, errors_are_a_code_and_a_text_with_a_status_that_fits) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const Answer failed = browser.ask(post(k_open, json("fail")));
    EXPECT_EQ(failed.status, 404);
    EXPECT_EQ(failed.body, "{\"code\":8,\"text\":\"no such \\\"thing\\\"\"}\n");
    EXPECT_EQ(browser.ask(post(k_open, "{")).status, 400);
    EXPECT_EQ(browser.ask(post(k_open, "{\"body\":\"\xff\"}")).status, 400);
    EXPECT_EQ(browser.ask(post(k_open, "\xff\xff", "", "application/x-protobuf")).status, 400);
    EXPECT_EQ(browser.ask(post(k_open, "{}", "", "text/plain")).status, 415);
    EXPECT_EQ(browser.ask(post("/hongyan.rpc.testing.Echo/Nothing", "{}")).status, 404);
    EXPECT_EQ(browser.ask("GET " + k_open + " HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
    EXPECT_EQ(browser.ask(post("/hongyan.rpc.testing.Echo/Own", "{}")).status, 501);  // The fake has none.
    EXPECT_EQ(browser.ask(post(k_open, "{}", "Hongyan-Priority: 300\r\n")).status, 400);
    EXPECT_EQ(browser.ask(post(k_open, "{}", "Hongyan-Timeout-Ms: soon\r\n")).status, 400);
    EXPECT_EQ(browser.ask(post(k_open, "{}", "Hongyan-Ticket: ***\r\n")).status, 401);
    EXPECT_EQ(browser.ask(post(k_open, "{}")).status, 200);  // The connection went through all of it.
    EXPECT_EQ(handled_, 2);
  });
}

TEST_F(ServerHttpTest, fields_become_the_call) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const auto start = env_.now();
    const KeyRing ring({{.id = 1, .bytes = std::string(32, 'k')}});
    const std::string ticket = make_service_ticket({{"echo", ring}}, "notify", 1000);
    ASSERT_EQ(browser.ask(post(k_open, "{}", "Hongyan-Timeout-Ms: 1500\r\nHongyan-Ticket: " + to_base64(ticket) +
                                                 "\r\nHongyan-Priority: 9/100\r\nHongyan-Routing-Key: 77\r\n"
                                                 "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"))
                  .status,
              200);
    EXPECT_EQ(seen_.deadline - start, 1500ms);
    EXPECT_EQ(*seen_.ticket, ticket);
    EXPECT_EQ(seen_.priority.business, 9);
    EXPECT_EQ(seen_.priority.user, 100);
    EXPECT_EQ(seen_.routing_key, 77u);
    EXPECT_EQ(seen_.trace.id_high, 0x0af7651916cd43ddu);
    EXPECT_EQ(seen_.trace.id, 0x8448eb211c80319cu);
    EXPECT_TRUE(seen_.trace.sampled);
    const auto spans = env_.tracer().of_trace(seen_.trace.id_high, seen_.trace.id);
    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0]->parent, 0xb7ad6b7169203331u);
    EXPECT_EQ(seen_.trace.parent, spans[0]->id);
    ASSERT_EQ(browser.ask(post(k_open, "{}", "grpc-timeout: 2S\r\ntraceparent: 00-zz\r\n")).status, 200);
    EXPECT_EQ(seen_.deadline - env_.now(), 2s);
    EXPECT_NE(seen_.trace.id, 0x8448eb211c80319cu);  // One of its own.
    EXPECT_FALSE(seen_.trace.sampled);
    EXPECT_EQ(browser.ask(post(k_open, "{}", "Hongyan-Timeout-Ms: 0\r\n")).status, 504);
  });
}

TEST_F(ServerHttpTest, a_call_ends_at_its_deadline) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const auto start = env_.now();
    EXPECT_EQ(browser.ask(post(k_delete, "{}", "Hongyan-Timeout-Ms: 2000\r\n")).status, 504);
    EXPECT_EQ(env_.now() - start, 2s);
  });
}

// A pool whose work takes until somebody lets it go on.
class HeldPool : public runtime::Lane {
 public:
  void run(const std::function<void()>& work) override {
    ++asked;
    while (held) gate.wait_uncancellable();
    work();
  }
  void let_go() {
    held = false;
    gate.wake_all();
  }
  int asked = 0;
  bool held = true;
  runtime::WaitList gate;
};

struct EnvWithHeldPool : runtime::TestEnv {
  runtime::Lane& pool() override { return held; }
  HeldPool held;
};

TEST(ServerHttpLargeJson, is_translated_in_the_pool_while_others_are_served) {
  EnvWithHeldPool env;
  EchoFake fake;
  fake.on_open = [](Call&, const EchoRequest& request) -> Result<EchoReply> {
    EchoReply reply;
    reply.set_body(request.body());
    return reply;
  };
  Server server(env, "server:1", {{&fake, nullptr}});
  const std::string text(300'000, 'x'), body = json(text);
  runtime::run_in_coroutine(env.scheduler(), [&] {
    ASSERT_TRUE(server.start().ok());
    Browser large(env, "server:1"), broken(env, "server:1"), left(env, "server:1"), small(env, "server:1");
    large.send(post(k_open, body));
    broken.send(post(k_open, body.substr(0, body.size() - 1)));
    left.send(post(k_open, body));
    EXPECT_EQ(small.ask(post(k_open, json("hello"))).body, json("hello"));
    EXPECT_EQ(env.held.asked, 3);
    left.close();
    env.held.let_go();
    EXPECT_EQ(large.receive().body, body);
    const Answer refused = broken.receive();
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find("JSON"), std::string::npos);
    Call call = env.call();
    server.close(call);
  });
  EXPECT_EQ(env.held.asked, 5);  // Two of the answers as well.
}

TEST_F(ServerHttpTest, pipelined_requests_are_answered_in_order_though_one_waits) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    browser.send(post(k_open, json("1")) + post(k_delete, json("2")) + post(k_open, json("3")));
    settle();
    EXPECT_EQ(handled_, 2);  // The third waits for the second.
    release();
    for (const char* body : {"1", "2", "3"}) EXPECT_EQ(browser.receive().body, json(body));
  });
}

TEST_F(ServerHttpTest, a_request_cut_at_every_byte_is_answered_and_a_chunked_one_too) {
  run([&](const std::string& address) {
    const std::string chunked = "POST " + k_open + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for (const std::string& bytes : {post(k_open, "{}"), chunked}) {
      for (size_t cut = 1; cut < bytes.size(); ++cut) {
        Browser browser(env_, address);
        browser.send(std::string_view(bytes).substr(0, cut));
        settle();
        browser.send(std::string_view(bytes).substr(cut));
        ASSERT_EQ(browser.receive().status, 200) << cut;
      }
    }
  });
}

TEST_F(ServerHttpTest, smuggling_shapes_are_refused_and_end_the_connection) {
  run([&](const std::string& address) {
    const std::string head = "POST " + k_open + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for (const std::string& request : {
             head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
             head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
             head + "A: b\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
             head + "A: b\nContent-Length: 2\r\n\r\n{}",
             head + "Content-Length : 2\r\n\r\n{}",
             head + "Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
             head + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
             "POST " + k_open + " HTTP/1.1\r\n\r\n",
         }) {
      Browser browser(env_, address);
      const Answer answer = browser.ask(request + post(k_open, "{}"));
      EXPECT_EQ(answer.status, 400) << request;
      EXPECT_NE(answer.head.find("Connection: close"), std::string::npos);
      EXPECT_TRUE(browser.at_end());
    }
    EXPECT_EQ(handled_, 0);
  });
}

TEST_F(ServerHttpTest, floods_are_refused) {
  run([&](const std::string& address) {
    std::string many;
    for (int i = 0; i < 200; ++i) many += "A: b\r\n";
    EXPECT_EQ(Browser(env_, address).ask(post(k_open, "{}", many)).status, 431);
    EXPECT_EQ(Browser(env_, address).ask(post(k_open, "{}", "A: " + std::string(20'000, 'b') + "\r\n")).status, 431);
    EXPECT_EQ(Browser(env_, address).ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").status, 413);
    EXPECT_EQ(handled_, 0);
  });
}

TEST_F(ServerHttpTest, a_head_that_does_not_come_is_given_up_and_an_idle_connection_later) {
  run([&](const std::string& address) {
    Browser slow(env_, address);
    slow.send("POST / HTTP/1.1\r\nHost:");
    const auto start = env_.now();
    EXPECT_EQ(slow.receive().status, 408);
    EXPECT_EQ(env_.now() - start, 10s);
    EXPECT_TRUE(slow.at_end());
    Browser body(env_, address);
    body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    EXPECT_EQ(body.receive().status, 408);
    Browser idle(env_, address);
    ASSERT_EQ(idle.ask(post(k_open, "{}")).status, 200);
    const auto quiet = env_.now();
    EXPECT_TRUE(idle.at_end());
    EXPECT_EQ(env_.now() - quiet, 60s);
  });
}

TEST_F(ServerHttpTest, says_continue_only_when_asked) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const std::string whole = post(k_open, "{}", "Expect: 100-continue\r\n");
    browser.send(std::string_view(whole).substr(0, whole.size() - 2));
    EXPECT_EQ(browser.receive().status, 100);
    browser.send("{}");
    EXPECT_EQ(browser.receive().status, 200);
  });
}

TEST_F(ServerHttpTest, what_is_no_method_is_a_page_if_there_is_one) {
  class Pages : public PageHandler {
   public:
    bool page(Call&, const HttpRequest& request, HttpResponse& response) override {
      if (request.path() != "/status") return false;
      response.content_type = "text/plain";
      response.body = "fine";
      return true;
    }
  } pages;
  ServerOptions options;
  options.pages = &pages;
  run(
      [&](const std::string& address) {
        Browser browser(env_, address);
        EXPECT_EQ(browser.ask("GET /status?x=1 HTTP/1.1\r\nHost: x\r\n\r\n").body, "fine");
        browser.send("HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_NE(browser.receive(true).head.find("Content-Length: 4"), std::string::npos);
        EXPECT_EQ(browser.ask("GET /none HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
        EXPECT_EQ(browser.ask("GET /status HTTP/1.0\r\n\r\n").body, "fine");
        EXPECT_TRUE(browser.at_end());
      },
      options);
}

TEST_F(ServerHttpTest, a_closing_server_answers_what_it_took_and_ends) {
  run([&](const std::string& address) {
    Browser busy(env_, address), idle(env_, address);
    ASSERT_EQ(idle.ask(post(k_open, "{}")).status, 200);
    busy.send(post(k_delete, json("x")));
    settle();
    Nursery closers(env_.scheduler());
    closers.spawn("closer", [&] {
      Call call = env_.call();
      server_->close(call);
    });
    settle();
    EXPECT_TRUE(idle.at_end());
    release();
    const Answer answer = busy.receive();
    EXPECT_EQ(answer.body, json("x"));
    EXPECT_NE(answer.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(busy.at_end());
    Call call = env_.call();
    ASSERT_TRUE(closers.join(call).ok());
  });
}

TEST_F(ServerHttpTest, a_caller_that_left_does_not_stop_its_call) {
  run([&](const std::string& address) {
    {
      Browser browser(env_, address);
      browser.send(post(k_delete, json("x")));
      settle();
    }
    settle();
    EXPECT_EQ(server_->in_flight(), 1u);
    release();
    settle();
    EXPECT_EQ(server_->in_flight(), 0u);
    EXPECT_EQ(server_->connections(), 0u);
  });
}

TEST(Traceparent, is_read_as_its_standard_says) {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  ASSERT_TRUE(runtime::parse_traceparent(good).has_value());
  EXPECT_FALSE(runtime::parse_traceparent(good)->sampled);
  EXPECT_TRUE(runtime::parse_traceparent("01" + good.substr(2) + "-more").has_value());
  for (const std::string& bad : {std::string(), good.substr(1), good + "0", good + "-x", "ff" + good.substr(2),
                                 std::string("00-00000000000000000000000000000000-b7ad6b7169203331-00"),
                                 std::string("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
                                 std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00"),
                                 std::string("00-0af7651916cd43dd-448eb211c80319c-b7ad6b7169203331-00")}) {
    EXPECT_FALSE(runtime::parse_traceparent(bad).has_value()) << bad;
  }
}

TEST_F(ServerHttpTest, what_is_served_is_told_with_its_policies_and_imports) {
  run([&](const std::string& address) {
    Browser browser(env_, address);
    const Answer answer = browser.ask("GET " + std::string(k_descriptors_path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(answer.status, 200);
    google::protobuf::FileDescriptorSet set;
    ASSERT_TRUE(set.ParseFromString(answer.body));
    google::protobuf::DescriptorPool pool;
    for (const auto& file : set.file()) EXPECT_NE(pool.BuildFile(file), nullptr) << file.name() << ": an import is missing";
    const auto* service = pool.FindServiceByName("hongyan.rpc.testing.Echo");
    ASSERT_NE(service, nullptr);
    EXPECT_EQ(service->method_count(), 9);
    const auto& methods = set.file(set.file_size() - 1).service(0);
    EXPECT_EQ(methods.method(0).options().GetExtension(policy).owner(), "owner");
    EXPECT_TRUE(methods.method(4).options().GetExtension(idempotent));
  });
}

}  // namespace
}  // namespace hongyan::rpc
