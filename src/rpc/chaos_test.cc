// Goal: codes tell the truth when connections break at any byte: ok was handled once and answered right, unavailable
// was never handled, and only idempotent methods are handled twice. Method: a network that cuts each stream after a
// seeded number of bytes, many callers, a server that restarts; many seeds.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/random.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using runtime::Nursery;
using runtime::Stream;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;
using namespace std::chrono_literals;

// Cuts what the connecting side sends or receives after some bytes.
class CuttingNetwork : public runtime::Network {
 public:
  CuttingNetwork(runtime::Network& inner, Random& random) : inner_(inner), random_(random) {}
  Result<std::unique_ptr<runtime::Listener>> listen(const std::string& address) override {
    return inner_.listen(address);
  }
  Result<std::unique_ptr<Stream>> connect(Call& call, const std::string& address) override {
    auto stream = TRY(inner_.connect(call, address));
    return std::unique_ptr<Stream>(new CutStream(*this, std::move(stream), random_.below(20'000)));
  }
  int cuts = 0;

 private:
  struct CutStream : Stream {
    CutStream(CuttingNetwork& network, std::unique_ptr<Stream> stream, size_t left)
        : network(network), stream(std::move(stream)), left(left) {}
    Result<size_t> read(Call& call, std::span<char> into) override {
      if (left == 0) return cut();
      const size_t count = TRY(stream->read(call, into.first(std::min(into.size(), left))));
      left -= std::min(left, count);
      return count;
    }
    Status write(Call& call, std::string_view bytes) override {
      if (bytes.size() <= left) {
        left -= bytes.size();
        return stream->write(call, bytes);
      }
      (void)stream->write(call, bytes.substr(0, left));
      return cut();
    }
    Result<runtime::Progress> try_read(std::span<char> into) override {
      if (left == 0) return cut();
      const auto got = TRY(stream->try_read(into.first(std::min(into.size(), left))));
      left -= got.bytes;
      // The end may be ours: then nobody says that there is more.
      return runtime::Progress{.bytes = got.bytes, .again = got.again || left == 0, .ended = got.ended};
    }
    Result<runtime::Progress> try_write(std::string_view bytes) override {
      if (bytes.size() > left) {
        (void)stream->try_write(bytes.substr(0, left));
        return cut();
      }
      const auto sent = TRY(stream->try_write(bytes));
      left -= sent.bytes;
      return sent;
    }
    void watch(runtime::StreamWatcher* watcher) override { stream->watch(watcher); }
    Status cut() {
      ++network.cuts;
      stream->close();
      return Status(Code::closed, "cut");
    }
    void close() override { stream->close(); }
    std::string peer() const override { return stream->peer(); }
    CuttingNetwork& network;
    std::unique_ptr<Stream> stream;
    size_t left;
  };
  runtime::Network& inner_;
  Random& random_;
};

class ChaosEnv : public runtime::TestEnv {
 public:
  explicit ChaosEnv(uint64_t seed) : TestEnv(seed), random_(seed) {}
  runtime::Network& network() override { return cutting; }

 private:
  Random random_;

 public:
  CuttingNetwork cutting{TestEnv::network(), random_};
};

struct Outcome {
  int ok = 0;
  int unavailable = 0;
  int unknown = 0;
  int cuts = 0;
};

Outcome run_seed(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ChaosEnv env(seed);
  Random random(seed + 1);
  std::map<std::string, int> handled;
  EchoFake fake;
  fake.on_delete_ = fake.on_open = [&](Call& call, const EchoRequest& request) -> Result<EchoReply> {
    ++handled[request.body()];
    if (random.one_in(4)) TRY(runtime::sleep(call, 1ms * random.below(5)));
    EchoReply reply;
    reply.set_body(request.body());
    return reply;
  };
  Outcome outcome;
  runtime::run_in_coroutine(env, [&] {
    auto server = std::make_unique<Server>(env, "127.0.0.1:7000", std::vector<Served>{{&fake}});
    ASSERT_TRUE(server->start().ok());
    TcpChannel channel(env, "127.0.0.1:7000");
    Nursery callers(env.scheduler());
    int next = 0;
    const auto caller = [&] {
      for (int i = 0; i < 25; ++i) {
        const bool idempotent = random.one_in(2);
        EchoRequest request;
        request.set_body(std::to_string(++next) + std::string(random.below(400), '.'));
        Call call = env.call();
        EchoClient client(channel);
        const auto reply = idempotent ? client.open(call, request) : client.delete_(call, request);
        const int times = handled[request.body()];
        if (reply.ok()) {
          ++outcome.ok;
          EXPECT_EQ(reply->body(), request.body());
          EXPECT_GE(times, 1);
        } else if (reply.code() == Code::unavailable) {
          ++outcome.unavailable;
          EXPECT_EQ(times, 0);
        } else {
          ++outcome.unknown;
          EXPECT_EQ(reply.code(), Code::unknown_outcome);
        }
        EXPECT_LE(times, idempotent ? 2 : 1);
        Call pause = env.call();
        (void)runtime::sleep(pause, 1ms * random.below(20));
      }
    };
    for (int i = 0; i < 8; ++i) callers.spawn("caller", caller);
    callers.spawn("restarts", [&] {
      for (int i = 0; i < 3; ++i) {
        Call pause = env.call();
        (void)runtime::sleep(pause, 1ms * random.below(100));
        server->close(pause);
        server = std::make_unique<Server>(env, "127.0.0.1:7000", std::vector<Served>{{&fake}});
        EXPECT_TRUE(server->start().ok());
      }
    });
    Call for_ever;
    ASSERT_TRUE(callers.join(for_ever).ok());
    channel.close();
    Call call = env.call();
    server->close(call);
  });
  outcome.cuts = env.cutting.cuts;
  return outcome;
}

TEST(Chaos, codes_tell_the_truth_when_connections_break_anywhere) {
  Outcome total;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Outcome one = run_seed(seed);
    total.ok += one.ok;
    total.unavailable += one.unavailable;
    total.unknown += one.unknown;
    total.cuts += one.cuts;
  }
  // A run in which nothing broke proves nothing.
  EXPECT_GT(total.cuts, 200);
  EXPECT_GT(total.unknown, 50);
  EXPECT_GT(total.unavailable, 50);
  EXPECT_GT(total.ok, 20'000);
}

}  // namespace
}  // namespace hongyan::rpc
