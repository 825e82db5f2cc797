// Goal: the real Env keeps the promises of env.h. Method: loopback connections, real files and threads.
#include "runtime/os/os_env.h"

#include <fcntl.h>
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
#include "runtime/testing/run_in_coroutine.h"

namespace hongyan::runtime {
namespace {

struct OsTest : testing::Test {
  OsTest() {
    std::string name = testing::TempDir() + "hongyan_os_XXXXXX";
    directory = mkdtemp(name.data());
  }
  ~OsTest() override { std::filesystem::remove_all(directory); }

  Call call_for(Duration duration) { return background_call(*env, duration); }
  std::string path(const std::string& name) const { return directory + "/" + name; }

  std::string directory;
  std::unique_ptr<Env> env = make_os_env({});
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

std::string read_exactly(Stream& stream, Call& call, size_t bytes) {
  std::string all(bytes, '\0');
  size_t done = 0;
  while (done < bytes) {
    auto got = stream.read(call, std::span(all).subspan(done));
    if (!got.ok() || *got == 0) break;
    done += *got;
  }
  all.resize(done);
  return all;
}

TEST_F(OsTest, two_hundred_streams_echo_at_once) {
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
        nursery.spawn("echo", [&, stream = std::shared_ptr<Stream>(std::move(*accepted))] { echo(*env, *stream); });
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
          const std::string text(1 + (i * 37 + round * 101) % 5000, static_cast<char>('a' + i % 26));
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

TEST_F(OsTest, large_writes_arrive_whole_though_the_reader_is_slow) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    Pair pair = connect_pair(*env);
    std::string text;
    for (int i = 0; text.size() < 8'000'000; ++i) text += std::to_string(i);
    Nursery nursery(scheduler);
    nursery.spawn("writer", [&] {
      Call writing = call_for(60s);
      EXPECT_TRUE(pair.client->write(writing, text).ok());
      pair.client->close();
    });
    EXPECT_TRUE(sleep(call, 5ms).ok());  // Until the kernel's buffers are full.
    EXPECT_TRUE(read_exactly(*pair.server, call, text.size()) == text);
    char more[1];
    EXPECT_EQ(pair.server->read(call, more).value(), 0u);
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(OsTest, a_read_ends_at_its_deadline_and_the_stream_lives_on) {
  run_in_coroutine(*env, [&] {
    Pair pair = connect_pair(*env);
    Call hasty = call_for(5ms);
    char buffer[16];
    EXPECT_EQ(pair.client->read(hasty, buffer).code(), Code::deadline);
    Call call = call_for(10s);
    EXPECT_TRUE(pair.server->write(call, "late").ok());
    EXPECT_EQ(read_exactly(*pair.client, call, 4), "late");
  });
}

TEST_F(OsTest, a_write_nobody_reads_ends_at_its_deadline) {
  run_in_coroutine(*env, [&] {
    Pair pair = connect_pair(*env);
    Call hasty = call_for(20ms);
    EXPECT_EQ(pair.client->write(hasty, std::string(64 << 20, 'x')).code(), Code::deadline);
  });
}

TEST_F(OsTest, closing_wakes_reader_and_writer_even_when_the_stream_is_gone) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    Pair pair = connect_pair(*env);
    Nursery nursery(scheduler);
    nursery.spawn("reader", [&] {
      Call endless;
      char buffer[16];
      EXPECT_EQ(pair.client->read(endless, buffer).code(), Code::closed);
    });
    nursery.spawn("writer", [&] {
      Call endless;
      EXPECT_EQ(pair.client->write(endless, std::string(64 << 20, 'x')).code(), Code::closed);
    });
    EXPECT_TRUE(sleep(call, 5ms).ok());
    pair.client.reset();
    EXPECT_TRUE(nursery.join(call).ok());
    // Bytes were in flight and unread: the other side learns of an end, orderly or not.
    char buffer[4096];
    Result<size_t> got = size_t{1};
    while (got.ok() && *got > 0) got = pair.server->read(call, buffer);
    EXPECT_NE(got.code(), Code::deadline);
  });
}

TEST_F(OsTest, a_closed_stream_answers_closed) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    Pair pair = connect_pair(*env);
    pair.client->close();
    pair.client->close();
    char buffer[16];
    EXPECT_EQ(pair.client->read(call, buffer).code(), Code::closed);
    EXPECT_EQ(pair.client->write(call, "x").code(), Code::closed);
  });
}

TEST_F(OsTest, writing_to_one_who_left_is_an_error_and_not_a_signal) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    Pair pair = connect_pair(*env);
    pair.server.reset();
    Status status;
    for (int i = 0; i < 1000 && status.ok(); ++i) status = pair.client->write(call, std::string(4096, 'x'));
    EXPECT_EQ(status.code(), Code::closed);
  });
}

TEST_F(OsTest, a_cancelled_reader_stops_waiting) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    Pair pair = connect_pair(*env);
    Nursery nursery(scheduler);
    nursery.spawn("reader", [&] {
      Call endless;
      char buffer[16];
      EXPECT_EQ(pair.client->read(endless, buffer).code(), Code::cancelled);
    });
    scheduler.yield();
    nursery.cancel();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(OsTest, a_flood_does_not_starve_the_others) {
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

TEST_F(OsTest, connecting_where_nobody_listens_is_unavailable) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    std::string address;
    { address = env->network().listen("127.0.0.1:0").value()->address(); }
    EXPECT_EQ(env->network().connect(call, address).code(), Code::unavailable);
    for (const char* wrong : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:8o", "::1:80", "[::1:80",
                              "example.org:80", "1.2.3:4", "127.0.0.1:-1"}) {
      EXPECT_EQ(env->network().connect(call, wrong).code(), Code::invalid) << wrong;
      EXPECT_EQ(env->network().listen(wrong).code(), Code::invalid) << wrong;
    }
  });
}

TEST_F(OsTest, an_address_in_use_is_busy_and_localhost_has_one) {
  auto first = env->network().listen("localhost:0").value();
  EXPECT_EQ(first->address().rfind("127.0.0.1:", 0), 0u);
  EXPECT_EQ(env->network().listen(first->address()).code(), Code::busy);
}

TEST_F(OsTest, ipv6_works_where_the_machine_has_it) {
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

TEST_F(OsTest, accept_survives_the_want_of_descriptors_without_spinning) {
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

TEST_F(OsTest, closing_a_listener_ends_accept) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    auto listener = env->network().listen("127.0.0.1:0").value();
    Nursery nursery(scheduler);
    nursery.spawn("accept", [&] {
      Call endless;
      EXPECT_EQ(listener->accept(endless).code(), Code::closed);
    });
    scheduler.yield();
    listener->close();
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(listener->accept(call).code(), Code::closed);
  });
}

TEST_F(OsTest, lane_work_runs_in_order_on_another_thread_while_the_loop_goes_on) {
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

TEST_F(OsTest, lane_work_outlives_the_patience_of_its_caller) {
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

TEST_F(OsTest, outside_a_coroutine_lane_work_runs_in_place) {
  std::thread::id ran_on;
  env->pool().run([&] { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(OsTest, callbacks_posted_by_many_threads_all_arrive_and_wake_a_sleeping_loop) {
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

TEST_F(OsTest, sleep_takes_the_time_it_was_given) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(10s);
    const Time start = env->now();
    EXPECT_TRUE(sleep(call, 3ms).ok());
    EXPECT_GE(env->now() - start, 3ms);
  });
}

TEST_F(OsTest, files_keep_what_was_appended) {
  Disk& disk = env->disk();
  EXPECT_TRUE(disk.make_directories(path("a/b/c/")).ok());
  EXPECT_TRUE(disk.make_directories(path("a/b/c")).ok());
  auto file = disk.open(path("a/b/c/log"), OpenMode::create).value();
  EXPECT_TRUE(file->append("hello ").ok());
  EXPECT_TRUE(file->append("world").ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(disk.sync_directory(path("a/b/c")).ok());
  EXPECT_EQ(file->size().value(), 11u);
  EXPECT_EQ(file->read_at(6, 1 << 30).value(), "world");
  EXPECT_EQ(file->read_at(11, 5).value(), "");
  EXPECT_EQ(file->read_at(99, 5).value(), "");
  EXPECT_TRUE(file->truncate(5).ok());
  EXPECT_TRUE(file->append("!").ok());

  auto again = disk.open(path("a/b/c/log"), OpenMode::append).value();
  EXPECT_EQ(again->read_at(0, 100).value(), "hello!");
  EXPECT_TRUE(again->append("?").ok());
  EXPECT_TRUE(disk.rename(path("a/b/c/log"), path("a/b/log")).ok());
  EXPECT_FALSE(disk.exists(path("a/b/c/log")));
  EXPECT_EQ(disk.open(path("a/b/log"), OpenMode::read).value()->read_at(0, 100).value(), "hello!?");
  EXPECT_EQ(disk.open(path("a/b/log"), OpenMode::create).value()->size().value(), 0u);
  EXPECT_EQ(disk.list(path("a/b")).value(), (std::vector<std::string>{"c", "log"}));
  EXPECT_TRUE(disk.remove(path("a/b/log")).ok());
  EXPECT_TRUE(disk.remove(path("a/b/c")).ok());
  EXPECT_TRUE(disk.list(path("a/b")).value().empty());

  struct stat status {};
  ASSERT_EQ(stat(path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0077, 0u);
}

TEST_F(OsTest, disk_errors_have_their_codes) {
  Disk& disk = env->disk();
  EXPECT_EQ(disk.open(path("none"), OpenMode::read).code(), Code::not_found);
  EXPECT_EQ(disk.open(path("none"), OpenMode::append).code(), Code::not_found);
  EXPECT_EQ(disk.open(path("no/file"), OpenMode::create).code(), Code::not_found);
  EXPECT_EQ(disk.remove(path("none")).code(), Code::not_found);
  EXPECT_EQ(disk.rename(path("none"), path("other")).code(), Code::not_found);
  EXPECT_EQ(disk.list(path("none")).code(), Code::not_found);
  EXPECT_EQ(disk.sync_directory(path("none")).code(), Code::not_found);
  disk.open(path("file"), OpenMode::create).value();
  EXPECT_EQ(disk.make_directories(path("file")).code(), Code::exists);
  auto full = disk.open("/dev/full", OpenMode::append).value();
  EXPECT_EQ(full->append("x").code(), Code::no_space);
  EXPECT_EQ(disk_error(EROFS, "x").code(), Code::read_only);
  EXPECT_EQ(disk_error(EDQUOT, "x").code(), Code::no_space);
  EXPECT_EQ(disk_error(EIO, "x").code(), Code::io);
}

TEST_F(OsTest, a_file_lock_is_held_until_dropped) {
  Disk& disk = env->disk();
  auto lock = disk.lock(path("LOCK")).value();
  EXPECT_EQ(disk.lock(path("LOCK")).code(), Code::busy);
  lock.reset();
  EXPECT_TRUE(disk.lock(path("LOCK")).ok());
}

TEST_F(OsTest, random_bytes_differ) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(env->random_bytes(16));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(env->random_bytes(1000).size(), 1000u);
}

TEST_F(OsTest, the_log_is_one_line_an_event_and_cannot_be_forged) {
  auto logging = make_os_env({.log_path = path("log")});
  logging->log().info("first name={}", "a\nb\x1b[2J");
  logging->log().debug("not at this level");
  logging->log().error("second {}", std::string(100'000, 'x'));
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

TEST_F(OsTest, a_signal_stops_the_loop) {
  env->log().set_level(LogLevel{100});
  stop_on_signals(*env);
  scheduler.spawn("x", [&] { kill(getpid(), SIGTERM); });
  scheduler.run();
}

}  // namespace
}  // namespace hongyan::runtime
