// Goal: the real Env keeps the promises of env.h. Method: loopback connections, real files and
// threads.
#include "runtime/os/os_env.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"
#include "runtime/os/errors.h"
#include "runtime/os/uring.h"
#include "runtime/testing/env_contract.h"
#include "runtime/testing/run_in_coroutine.h"

namespace hongyan::runtime {
namespace {

// With each of what a loop can wait in.
struct OsTest : testing::TestWithParam<LoopIo> {
  void SetUp() override {
    if (GetParam() == LoopIo::uring && !Uring::make({}).ok()) GTEST_SKIP() << "no io_uring";
  }
  OsTest() {
    std::string name = testing::TempDir() + "hongyan_os_XXXXXX";
    directory = mkdtemp(name.data());
  }
  ~OsTest() override { std::filesystem::remove_all(directory); }

  static std::unique_ptr<Env> make(LoopIo io) {
    OsEnvOptions options;
    options.io = io;
    return make_os_env(options);
  }
  Call call_for(Duration duration) { return background_call(*env, duration); }
  std::string path(const std::string& name) const { return directory + "/" + name; }

  std::string directory;
  std::unique_ptr<Env> env = make(GetParam());
  Scheduler& scheduler = env->scheduler();
};

// Sends what it gets back until the other side ends.
void echo(Env& env, Stream& stream) {
  Call call = background_call(env, 60s);
  char buffer[4096];
  for (;;) {
    auto got = stream.read(call, buffer);
    if (!got.ok() || *got == 0) return;
    if (!stream.write(call, std::string_view(buffer, *got)).ok()) return;
  }
}

TEST_P(OsTest, its_disk_keeps_the_contract) { check_disk_contract(env->disk(), directory); }

TEST_P(OsTest, its_network_keeps_the_contract) {
  run_in_coroutine(*env, [&] { check_network_contract(*env, "127.0.0.1:0"); });
  EXPECT_EQ(scheduler.live(), 0u);
}

// A read that took less than it could hold leaves the kernel alone until there is an event.
TEST_P(OsTest, behind_a_short_read_neither_the_next_bytes_nor_the_end_are_missed) {
  run_in_coroutine(*env, [&] {
    Call call = background_call(*env, 60s);
    auto listener = env->network().listen("127.0.0.1:0").value();
    auto client = env->network().connect(call, listener->address()).value();
    auto server = listener->accept(call).value();
    char buffer[64];
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(client->write(call, "piece").ok());
      if (i % 3 == 0) env->scheduler().yield();  // With the event taken in, or not yet.
      ASSERT_EQ(server->read(call, buffer).value(), 5u);
      if (i % 5 == 0) {
        EXPECT_EQ(server->try_read(buffer)->bytes, 0u);
      }
    }
    // Who has no time is given what is there.
    EXPECT_TRUE(client->write(call, "piece").ok());
    Call now;
    now.deadline = env->now();
    EXPECT_EQ(server->read(now, buffer).value(), 5u);
    EXPECT_EQ(server->read(now, buffer).code(), Code::deadline);
    EXPECT_TRUE(client->write(call, "piece").ok());
    client->close();  // The end comes with the last bytes, and has no event of its own.
    EXPECT_EQ(server->read(call, buffer).value(), 5u);
    EXPECT_EQ(server->read(call, buffer).value(), 0u);
  });
}

TEST_P(OsTest, addresses_are_numbers_or_localhost) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    for (const char* wrong : {"::1:80", "[::1:80", "[]:80", "example.org:80", "1.2.3:4", ":80"}) {
      EXPECT_EQ(env->network().connect(call, wrong).code(), Code::invalid) << wrong;
    }
  });
}

TEST_P(OsTest, two_hundred_streams_echo_at_once) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    auto listener = env->network().listen("127.0.0.1:0").value();
    Nursery nursery(scheduler);
    nursery.spawn("accept", [&] {
      Call accepting;
      for (;;) {
        auto accepted = listener->accept(accepting);
        if (!accepted.ok()) {
          EXPECT_EQ(accepted.code(), Code::closed);
          return;
        }
        nursery.spawn("echo", [&, stream = std::shared_ptr<Stream>(std::move(*accepted))] {
          echo(*env, *stream);
        });
      }
    });
    Nursery clients(scheduler);
    int good = 0;
    for (int i = 0; i < 200; ++i) {
      clients.spawn("client", [&, i] {
        Call mine = call_for(60s);
        auto stream = env->network().connect(mine, listener->address());
        ASSERT_TRUE(stream.ok()) << stream.status().detail();
        for (int round = 0; round < 20; ++round) {
          const std::string text(1 + (i * 37 + round * 101) % 5000,
                                 static_cast<char>('a' + i % 26));
          ASSERT_TRUE((*stream)->write(mine, text).ok());
          ASSERT_EQ(read_exactly(**stream, mine, text.size()), text);
        }
        ++good;
      });
    }
    EXPECT_TRUE(clients.join(call).ok());
    EXPECT_EQ(good, 200);
    listener->close();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

Pair connect_pair(Env& env) {
  Call call = background_call(env, 10s);
  auto listener = env.network().listen("127.0.0.1:0").value();
  auto client = env.network().connect(call, listener->address()).value();
  auto server = listener->accept(call).value();
  return {std::move(client), std::move(server)};
}

TEST_P(OsTest, an_address_is_free_as_soon_as_its_listener_is_closed) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    auto listener = env->network().listen("127.0.0.1:0").value();
    const std::string address = listener->address();
    Nursery nursery(scheduler);
    nursery.spawn("accept", [&] { EXPECT_EQ(listener->accept(call).code(), Code::closed); });
    scheduler.yield();
    listener->close();
    EXPECT_TRUE(nursery.join(call).ok());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(env->network().listen(address).ok()) << i;
  });
}

TEST_P(OsTest, a_stream_that_is_closed_is_closed_at_once_for_its_peer) {
  run_in_coroutine(*env, [&] {
    Pair pair = connect_pair(*env);
    Call call = call_for(10s);
    char buffer[16];
    pair.client->close();
    const Result<Progress> progress = pair.server->try_read(buffer);  // In the same turn.
    EXPECT_TRUE(progress.ok() && progress->ended);
  });
}

TEST_P(OsTest, a_flood_does_not_starve_the_others) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    Pair pair = connect_pair(*env);
    Nursery nursery(scheduler);
    bool over = false;
    nursery.spawn("flood", [&] {
      Call endless;
      while (pair.client->write(endless, std::string(4096, 'x')).ok()) {
      }
    });
    nursery.spawn("sink", [&] {
      Call endless;
      char buffer[64];  // Always more to read than that.
      while (!over && pair.server->read(endless, buffer).ok()) {
      }
      pair.client->close();
    });
    EXPECT_TRUE(sleep(call, 10ms).ok());
    over = true;
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_P(OsTest, an_address_in_use_is_busy_and_localhost_has_one) {
  auto first = env->network().listen("localhost:0").value();
  EXPECT_EQ(first->address().rfind("127.0.0.1:", 0), 0u);
  EXPECT_EQ(env->network().listen(first->address()).code(), Code::busy);
}

TEST_P(OsTest, ipv6_works_where_the_machine_has_it) {
  auto listener = env->network().listen("[::1]:0");
  if (!listener.ok()) GTEST_SKIP() << listener.status().detail();
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    EXPECT_EQ((*listener)->address().rfind("[::1]:", 0), 0u);
    auto client = env->network().connect(call, (*listener)->address());
    ASSERT_TRUE(client.ok());
    auto server = (*listener)->accept(call);
    ASSERT_TRUE(server.ok());
    EXPECT_EQ((*server)->peer().rfind("[::1]:", 0), 0u);
  });
}

TEST_P(OsTest, accept_survives_the_want_of_descriptors_without_spinning) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    env->log().set_level(LogLevel{100});
    auto listener = env->network().listen("127.0.0.1:0").value();
    auto client = env->network().connect(call, listener->address()).value();
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    Call hasty = call_for(150ms);
    EXPECT_EQ(listener->accept(hasty).code(), Code::deadline);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    const int64_t refused = env->counters().counter("hongyan_net_accepts_refused", "").value();
    EXPECT_GE(refused, 1);
    EXPECT_LE(refused, 3);
    EXPECT_TRUE(listener->accept(call).ok());
  });
}

TEST_P(OsTest, lane_work_runs_in_order_on_another_thread_while_the_loop_goes_on) {
  auto lane = env->make_lane("a lane with a long name", 1);
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    std::vector<int> order;
    std::atomic<bool> released = false;
    Nursery nursery(scheduler);
    const auto loop_thread = std::this_thread::get_id();
    nursery.spawn("first", [&] {
      lane->run([&] {
        EXPECT_NE(std::this_thread::get_id(), loop_thread);
        released.wait(false);  // Only the loop can let it go.
        order.push_back(0);
      });
    });
    for (int i = 1; i < 20; ++i) {
      nursery.spawn("later", [&, i] { lane->run([&, i] { order.push_back(i); }); });
    }
    scheduler.yield();
    released = true;
    released.notify_all();
    EXPECT_TRUE(nursery.join(call).ok());
    for (int i = 0; i < 20; ++i) EXPECT_EQ(order[i], i);
  });
}

TEST_P(OsTest, lane_work_outlives_the_patience_of_its_caller) {
  auto lane = env->make_lane("lane", 1);
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    std::atomic<bool> released = false;
    bool finished = false;
    Nursery nursery(scheduler);
    nursery.spawn("caller", [&] {
      lane->run([&] { released.wait(false); });
      finished = true;
    });
    scheduler.yield();
    nursery.cancel();
    scheduler.yield();
    EXPECT_FALSE(finished);
    released = true;
    released.notify_all();
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_TRUE(finished);
  });
}

TEST_P(OsTest, outside_a_coroutine_lane_work_runs_in_place) {
  std::thread::id ran_on;
  env->pool().run([&] { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_P(OsTest, callbacks_posted_by_many_threads_all_arrive_and_wake_a_sleeping_loop) {
  constexpr int k_threads = 4;
  constexpr int k_each = 5000;
  int arrived = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < k_threads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < k_each; ++i) {
        scheduler.post([&] {
          if (++arrived == k_threads * k_each) scheduler.stop();
        });
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  scheduler.run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(arrived, k_threads * k_each);
}

TEST_P(OsTest, sleep_takes_the_time_it_was_given) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    const Time start = env->now();
    EXPECT_TRUE(sleep(call, 3ms).ok());
    EXPECT_GE(env->now() - start, 3ms);
  });
}

TEST_P(OsTest, disk_errors_have_their_codes) {
  auto full = env->disk().open("/dev/full", OpenMode::append).value();
  EXPECT_EQ(full->append("x").code(), Code::no_space);
  EXPECT_EQ(disk_error(EROFS, "x").code(), Code::read_only);
  EXPECT_EQ(disk_error(EDQUOT, "x").code(), Code::no_space);
  EXPECT_EQ(disk_error(EIO, "x").code(), Code::io);
}

TEST_P(OsTest, what_is_stored_is_its_owners_only) {
  EXPECT_TRUE(env->disk().make_directories(path("a")).ok());
  env->disk().open(path("a/file"), OpenMode::create).value();
  for (const std::string& name : {path("a"), path("a/file")}) {
    struct stat status {};
    ASSERT_EQ(stat(name.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0077, 0u) << name;
  }
}

TEST_P(OsTest, random_bytes_differ) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(env->random_bytes(16));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(env->random_bytes(1000).size(), 1000u);
}

TEST_P(OsTest, the_log_is_one_line_an_event_and_cannot_be_forged) {
  auto logging = make_os_env({.log_path = path("log")});
  logging->log().info("first name={}", "a\nb\x1b[2J");
  logging->log().debug("not at this level");
  logging->log().error("second {}", std::string(100'000, 'x'));
  logging.reset();  // Writes what was handed in.
  std::ifstream in(path("log"));
  std::string first;
  std::string second;
  std::string none;
  std::getline(in, first);
  std::getline(in, second);
  EXPECT_FALSE(std::getline(in, none));
  ASSERT_GT(first.size(), 25u);
  EXPECT_EQ(first[10], 'T');
  EXPECT_EQ(first.substr(23), "Z info first name=a\\x0ab\\x1b[2J");
  EXPECT_LT(second.size(), 9000u);
  EXPECT_EQ(second.substr(23, 14), "Z error second");
}

TEST_P(OsTest, a_signal_stops_the_loop) {
  env->log().set_level(LogLevel{100});
  stop_on_signals(*env);
  scheduler.spawn("x", [&] { kill(getpid(), SIGTERM); });
  scheduler.run();
}

INSTANTIATE_TEST_SUITE_P(Io, OsTest, testing::Values(LoopIo::epoll, LoopIo::uring), [](const auto& one) {
  return std::string(one.param == LoopIo::uring ? "uring" : "epoll");
});

}  // namespace
}  // namespace hongyan::runtime
