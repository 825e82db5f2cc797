// Goal: server and channel do over the kernel's sockets what they do in memory, whatever the loop
// waits in. Method: both in one real Env, with epoll and with io_uring.
#include <gtest/gtest.h>

#include <memory>

#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/log/log.h"
#include "runtime/os/testing/io_env.h"
#include "runtime/testing/run_in_coroutine.h"

namespace hongyan::rpc {
namespace {

using runtime::LoopIo;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;
using namespace std::chrono_literals;

class SocketsTest : public ::testing::TestWithParam<LoopIo> {
 protected:
  void SetUp() override {
    if (env_ == nullptr) GTEST_SKIP() << "no io_uring";
    fake_.on_open = [](Call&, const EchoRequest& request) -> Result<EchoReply> {
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
    fake_.on_delete_ = [this](Call& call, const EchoRequest&) -> Result<EchoReply> {
      TRY(never_.wait(call.deadline));
      return EchoReply();
    };
  }
  void run(const std::function<void()>& body) { runtime::run_in_coroutine(*env_, body); }
  Call call_for(runtime::Duration limit) { return background_call(*env_, limit); }
  std::unique_ptr<Server> serve(const std::string& address = "127.0.0.1:0") {
    auto server = std::make_unique<Server>(*env_, address, std::vector<Served>{{&fake_, nullptr}});
    const Status started = server->start();
    EXPECT_TRUE(started.ok()) << started.detail();
    return server;
  }
  void expect_echo(Channel& channel, const std::string& body) {
    Call call = call_for(60s);
    EchoRequest request;
    request.set_body(body);
    const auto reply = EchoClient(channel).open(call, request);
    ASSERT_TRUE(reply.ok()) << reply.status().detail();
    EXPECT_TRUE(reply->body() == body);
  }

  std::unique_ptr<runtime::Env> env_ = runtime::make_io_env(GetParam());
  EchoFake fake_;
  runtime::WaitList never_;
};

TEST_P(SocketsTest, many_calls_on_many_connections_are_answered) {
  run([this] {
    const auto server = serve();
    std::vector<std::unique_ptr<TcpChannel>> channels;
    for (int i = 0; i < 20; ++i)
      channels.push_back(std::make_unique<TcpChannel>(*env_, server->address()));
    runtime::Nursery nursery(env_->scheduler());
    for (size_t c = 0; c < channels.size(); ++c) {
      for (size_t i = 0; i < 20; ++i) {
        nursery.spawn("caller", [&, c, i] {
          for (size_t n = 0; n < 10; ++n)
            expect_echo(*channels[c], std::string(1 + (c * 7 + i * 131 + n * 997) % 9'000, 'x'));
        });
      }
    }
    Call call = call_for(60s);
    EXPECT_TRUE(nursery.join(call).ok());
    for (const auto& channel : channels) channel->close();
    server->close(call);
  });
  EXPECT_EQ(env_->scheduler().live(), 0u);
}

TEST_P(SocketsTest, large_bodies_pass_in_both_directions_at_once) {
  run([this] {
    const auto server = serve();
    TcpChannel channel(*env_, server->address());
    runtime::Nursery nursery(env_->scheduler());
    for (int i = 0; i < 8; ++i) {
      nursery.spawn("caller", [&, i] {
        expect_echo(channel, std::string(500'000, static_cast<char>('a' + i)));
      });
    }
    Call call = call_for(60s);
    EXPECT_TRUE(nursery.join(call).ok());
    channel.close();
    server->close(call);
  });
}

TEST_P(SocketsTest, a_server_that_ends_is_replaced_on_its_address_at_once) {
  run([this] {
    auto server = serve();
    const std::string address = server->address();
    TcpChannel channel(*env_, address);
    for (int i = 0; i < 5; ++i) {
      expect_echo(channel, "hello");
      Call call = call_for(60s);
      server->close(call);
      server = serve(address);
    }
    expect_echo(channel, "hello");
    channel.close();
    Call call = call_for(60s);
    server->close(call);
  });
}

TEST_P(SocketsTest, a_call_ends_with_its_deadline) {
  run([this] {
    const auto server = serve();
    TcpChannel channel(*env_, server->address());
    expect_echo(channel, "hello");
    Call hasty = call_for(20ms);
    EXPECT_EQ(EchoClient(channel).delete_(hasty, EchoRequest()).code(), Code::deadline);
    expect_echo(channel, "hello");
    channel.close();
    Call call = call_for(60s);
    server->close(call);
  });
}

INSTANTIATE_TEST_SUITE_P(Io, SocketsTest, ::testing::Values(LoopIo::epoll, LoopIo::uring),
                         [](const auto& one) { return runtime::name_of(one.param); });

}  // namespace
}  // namespace hongyan::rpc
