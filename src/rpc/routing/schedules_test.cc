// Goal: whatever the order of connecting, calling, cancelling, listing and killing, nothing is left
// over: no coroutine, no connection, no call; a call that may not be repeated is done at most once,
// any other reaches three instances at most; extra calls stay within the budget. Method: random
// schedules over real servers and TCP channels on the loopback network in virtual time, one
// environment a seed. HY_LONG=1 runs a million schedules (a campaign), otherwise a slice.
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <map>

#include "rpc/routing/routed_channel.h"
#include "rpc/routing/testing/fake_instances.h"
#include "rpc/server.h"

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Nursery;
using testing::StringValue;
using namespace std::chrono_literals;

class CountingService : public Service {
 public:
  CountingService(runtime::TestEnv& env, Random& random) : env_(env), random_(random) {}
  std::span<const MethodInfo> methods() const override { return methods_; }
  Status handle(Call& call, const MethodInfo& method, const Message& request,
                Message& response) override {
    ++handled[dynamic_cast<const StringValue&>(request).value()];
    if (random_.one_in(3)) TRY(runtime::sleep(call, 1ms * random_.below(40)));
    if (random_.one_in(40)) return Status(Code::unavailable, "something behind it");
    if (random_.one_in(40)) return Status(Code::overloaded, "enough");
    response.CopyFrom(request);
    if (!method.idempotent) ++paid[dynamic_cast<const StringValue&>(request).value()];
    return {};
  }
  std::map<std::string, int> handled;
  std::map<std::string, int> paid;  // Not idempotent, and done.

 private:
  runtime::TestEnv& env_;
  Random& random_;
  std::array<MethodInfo, 2> methods_{testing::test_method("Get", true),
                                     testing::test_method("Pay", false)};
};

struct Totals {
  uint64_t schedules = 0;
  uint64_t calls = 0;
  uint64_t ok = 0;
  uint64_t failed = 0;
  uint64_t kills = 0;
  uint64_t cancels = 0;
  uint64_t backups = 0;
  uint64_t retries = 0;
};

// One environment; `schedules` of them after one another, each with servers and a channel of its
// own.
class Campaign {
 public:
  Campaign(uint64_t seed, Totals& totals)
      : env_(seed), random_(seed + 1), service_(env_, random_), totals_(totals) {}

  ~Campaign() {
    const auto count = [&](const std::string& name) {
      return static_cast<uint64_t>(
          env_.counters().counter("hongyan_rpc_client_chaos_" + name, "").value());
    };
    totals_.backups += count("backups");
    totals_.retries += count("retries");
  }

  void run(int schedules) {
    runtime::run_in_coroutine(env_, [&] {
      const size_t before = env_.scheduler().live();
      for (int i = 0; i < schedules; ++i) {
        one_schedule();
        ++totals_.schedules;
        ASSERT_EQ(env_.scheduler().live(), before) << "schedule " << i << '\n'
                                                   << env_.scheduler().dump();
      }
    });
  }

 private:
  static constexpr int k_servers = 3;

  void start_server(int i) {
    servers_[i] = std::make_unique<Server>(env_, address(i), std::vector<Served>{{&service_}});
    EXPECT_TRUE(servers_[i]->start().ok());
  }
  // With patience it is a restart; without, what runs is cancelled and the answers never leave.
  void stop_server(int i, Duration patience) {
    const std::unique_ptr<Server> server = std::move(servers_[i]);
    Call call = runtime::background_call(env_, patience);
    server->close(call);
    EXPECT_EQ(server->connections(), 0u);
  }
  static std::string address(int i) { return "127.0.0.1:" + std::to_string(7001 + i); }
  std::vector<Instance> some_instances() {
    std::vector<Instance> instances;
    for (int i = 0; i < k_servers; ++i) {
      if (random_.one_in(4)) continue;
      instances.push_back({.address = address(i), .zone = i == 0 ? "x" : "y"});
    }
    return instances;  // May be empty: then the list before stays.
  }
  RoutedChannelOptions some_options() {
    RoutedChannelOptions options;
    options.balance = static_cast<Balance>(random_.below(4));
    options.own_zone = random_.one_in(2) ? "x" : "";
    options.call_time = 1ms * (20 + random_.below(300));
    if (random_.one_in(3)) options.attempt_time = 1ms * (1 + random_.below(30));
    if (random_.one_in(2)) options.backup_after = 1ms * (1 + random_.below(20));
    options.endpoint.connect_time = 1ms * (5 + random_.below(100));
    options.endpoint.linger = 1ms * random_.below(100);
    return options;
  }

  void caller(RoutedChannel& channel, int times) {
    for (int i = 0; i < times; ++i) {
      const bool idempotent = random_.one_in(2);
      StringValue request;
      request.set_value(std::to_string(++next_));
      StringValue response;
      Call call = runtime::background_call(env_, 1ms * (1 + random_.below(400)));
      call.routing_key = random_.below(20);
      const MethodInfo method =
          idempotent ? testing::test_method("Get", true) : testing::test_method("Pay", false);
      const Status status = channel.call(call, method, request, response);
      ++totals_.calls;
      ++(status.ok() ? totals_.ok : totals_.failed);
      if (status.ok()) {
        EXPECT_EQ(response.value(), request.value());
        EXPECT_GE(service_.handled[request.value()], 1);
      }
      Call rest = env_.call();
      (void)runtime::sleep(rest, 1ms * random_.below(10));
    }
  }

  void one_schedule() {
    service_.handled.clear();
    service_.paid.clear();
    for (int i = 0; i < k_servers; ++i) {
      if (!random_.one_in(5)) start_server(i);
    }
    testing::FakeResolver::Directory directory;
    directory.set(some_instances());
    {
      RoutedChannel channel(env_, "chaos", std::make_unique<testing::FakeResolver>(directory),
                            some_options());
      channel.start();
      Nursery callers(env_.scheduler());
      const uint64_t calls_before = totals_.calls;
      const int many = 1 + static_cast<int>(random_.below(6));
      for (int i = 0; i < many; ++i) {
        callers.spawn("caller", [&] { caller(channel, 1 + static_cast<int>(random_.below(4))); });
      }
      const uint64_t steps = random_.below(6);
      for (uint64_t step = 0; step < steps; ++step) {
        Call rest = env_.call();
        (void)runtime::sleep(rest, 1ms * random_.below(30));
        const int i = static_cast<int>(random_.below(k_servers));
        if (random_.one_in(3)) {
          directory.set(some_instances());
        } else if (servers_[i] == nullptr) {
          start_server(i);
        } else {
          stop_server(i, random_.one_in(2) ? 0ms : 50ms);
          ++totals_.kills;
        }
      }
      if (random_.one_in(4)) {
        callers.cancel();
        ++totals_.cancels;
      }
      if (random_.one_in(4)) channel.close();  // Under the callers' hands.
      Call for_ever;
      ASSERT_TRUE(callers.join(for_ever).ok());
      const ChannelSnapshot last = channel.snapshot();
      for (const InstanceSnapshot& one : last.instances) EXPECT_EQ(one.in_flight, 0u);
      channel.close();
      for (int i = 0; i < k_servers; ++i) {
        if (servers_[i] != nullptr) stop_server(i, 50ms);
      }
      uint64_t handled = 0;
      for (const auto& [id, times] : service_.handled) {
        handled += static_cast<uint64_t>(times);
        EXPECT_LE(times, 3);
      }
      for (const auto& [id, times] : service_.paid) EXPECT_EQ(times, 1) << id;
      const uint64_t calls = totals_.calls - calls_before;
      EXPECT_LE(handled, calls + calls / 10 + 10);
    }
  }

  runtime::TestEnv env_;
  Random random_;
  CountingService service_;
  Totals& totals_;
  std::array<std::unique_ptr<Server>, k_servers> servers_;
  uint64_t next_ = 0;
};

TEST(Schedules, leave_no_coroutine_no_connection_and_no_call_behind) {
  const char* wanted = std::getenv("HY_LONG");
  const bool campaign = wanted != nullptr && *wanted != '\0' && *wanted != '0';
  const uint64_t seeds = campaign ? 10'000 : 20;
  Totals totals;
  for (uint64_t seed = 1; seed <= seeds && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Campaign(seed, totals).run(100);
  }
  EXPECT_EQ(totals.schedules, seeds * 100);
  // A campaign in which nothing broke, or nothing worked, proves nothing.
  EXPECT_GT(totals.ok, totals.schedules);
  EXPECT_GT(totals.failed, totals.schedules / 10);
  EXPECT_GT(totals.kills, totals.schedules / 4);
  EXPECT_GT(totals.cancels, totals.schedules / 10);
  EXPECT_GT(totals.backups, totals.schedules / 20);
  EXPECT_GT(totals.retries, totals.schedules / 20);
  std::printf(
      "%lu schedules: %lu calls, %lu answered, %lu failed, %lu backups, %lu retries; %lu servers "
      "stopped, %lu callers cancelled\n",
      totals.schedules, totals.calls, totals.ok, totals.failed, totals.backups, totals.retries,
      totals.kills, totals.cancels);
}

}  // namespace
}  // namespace hongyan::rpc
