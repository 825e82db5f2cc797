// What every Env promises about disk and network, as one set of tests: the real Env, TestEnv and
// the simulator's run the same, so that what passes in one works in the others. For *_test.cc only:
// it needs gtest.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/coro/sync.h"
#include "runtime/env/env.h"
#include "runtime/env/files.h"

namespace hongyan::runtime {

// `directory` exists and is empty.
inline void check_disk_contract(Disk& disk, const std::string& directory) {
  const auto path = [&](const std::string& name) { return directory + "/" + name; };

  EXPECT_TRUE(disk.make_directories(path("a/b/c/")).ok());
  EXPECT_TRUE(disk.make_directories(path("a/b/c")).ok());
  auto file = disk.open(path("a/b/c/log"), OpenMode::create).value();
  EXPECT_TRUE(file->append("hello ").ok());
  EXPECT_TRUE(file->append("world").ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(disk.sync_directory(path("a/b/c")).ok());
  EXPECT_EQ(file->size().value(), 11u);
  EXPECT_EQ(file->read_at(6, size_t{1} << 40).value(), "world");
  EXPECT_EQ(file->read_at(2, 3).value(), "llo");
  EXPECT_EQ(file->read_at(11, 5).value(), "");
  EXPECT_EQ(file->read_at(99, 5).value(), "");
  EXPECT_TRUE(file->truncate(5).ok());
  EXPECT_TRUE(file->append("!").ok());

  auto again = disk.open(path("a/b/c/log"), OpenMode::append).value();
  EXPECT_EQ(again->read_at(0, 100).value(), "hello!");
  EXPECT_TRUE(again->append("?").ok());
  EXPECT_TRUE(disk.rename(path("a/b/c/log"), path("a/b/log")).ok());
  EXPECT_FALSE(disk.exists(path("a/b/c/log")));
  EXPECT_TRUE(disk.exists(path("a/b/log")));
  EXPECT_TRUE(disk.exists(path("a/b")));
  auto reader = disk.open(path("a/b/log"), OpenMode::read).value();
  EXPECT_EQ(reader->read_at(0, 100).value(), "hello!?");
  EXPECT_FALSE(reader->append("x").ok());
  EXPECT_EQ(disk.open(path("a/b/log"), OpenMode::create).value()->size().value(), 0u);

  disk.open(path("a/b/new"), OpenMode::create).value()->append("new").ok();
  auto old = disk.open(path("a/b/log"), OpenMode::append).value();
  EXPECT_TRUE(old->append("old").ok());
  EXPECT_TRUE(disk.rename(path("a/b/new"), path("a/b/log")).ok());  // Replaces.
  EXPECT_EQ(old->read_at(0, 9).value(), "old");                     // What is open stays.
  EXPECT_EQ(disk.open(path("a/b/log"), OpenMode::read).value()->read_at(0, 9).value(), "new");

  EXPECT_EQ(disk.list(path("a/b")).value(), (std::vector<std::string>{"c", "log"}));
  EXPECT_FALSE(disk.remove(path("a/b")).ok());  // Not empty.
  EXPECT_TRUE(disk.remove(path("a/b/log")).ok());
  EXPECT_TRUE(disk.remove(path("a/b/c")).ok());
  EXPECT_TRUE(disk.list(path("a/b")).value().empty());

  EXPECT_EQ(disk.open(path("none"), OpenMode::read).code(), Code::not_found);
  EXPECT_EQ(disk.open(path("none"), OpenMode::append).code(), Code::not_found);
  EXPECT_EQ(disk.open(path("no/file"), OpenMode::create).code(), Code::not_found);
  EXPECT_EQ(disk.remove(path("none")).code(), Code::not_found);
  EXPECT_EQ(disk.rename(path("none"), path("other")).code(), Code::not_found);
  EXPECT_EQ(disk.list(path("none")).code(), Code::not_found);
  EXPECT_EQ(disk.sync_directory(path("none")).code(), Code::not_found);
  EXPECT_EQ(disk.lock(path("no/LOCK")).code(), Code::not_found);
  disk.open(path("file"), OpenMode::create).value();
  EXPECT_EQ(disk.make_directories(path("file")).code(), Code::exists);

  auto lock = disk.lock(path("LOCK")).value();
  EXPECT_EQ(disk.lock(path("LOCK")).code(), Code::busy);
  lock.reset();
  EXPECT_TRUE(disk.lock(path("LOCK")).ok());
}

// Inside a coroutine of `env`. `directory` exists and is empty.
inline void check_files_contract(Env& env, const std::string& directory) {
  const auto path = [&](const std::string& name) { return directory + "/" + name; };
  Files& files = env.files();
  Call call = background_call(env, 60s);

  auto file = files.open(call, path("log"), OpenMode::create).value();
  EXPECT_TRUE(file->append("hello ").ok());
  EXPECT_TRUE(file->append("world").ok());
  EXPECT_TRUE(file->append("").ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_EQ(file->size(call).value(), 11u);
  EXPECT_EQ(file->read_at(call, 6, size_t{1} << 40).value(), "world");
  EXPECT_EQ(file->read_at(call, 2, 3).value(), "llo");
  EXPECT_EQ(file->read_at(call, 2, 0).value(), "");
  EXPECT_EQ(file->read_at(call, 11, 5).value(), "");
  EXPECT_EQ(file->read_at(call, uint64_t{1} << 40, 5).value(), "");
  EXPECT_TRUE(file->truncate(5).ok());
  EXPECT_TRUE(file->append("!").ok());

  auto again = files.open(call, path("log"), OpenMode::append).value();
  EXPECT_EQ(again->read_at(call, 0, 100).value(), "hello!");
  EXPECT_TRUE(again->append("?").ok());
  auto reader = files.open(call, path("log"), OpenMode::read).value();
  EXPECT_EQ(reader->read_at(call, 0, 100).value(), "hello!?");
  EXPECT_FALSE(reader->append("x").ok());
  EXPECT_EQ(files.open(call, path("log"), OpenMode::create).value()->size(call).value(), 0u);
  EXPECT_EQ(files.open(call, path("none"), OpenMode::read).code(), Code::not_found);
  EXPECT_EQ(files.open(call, path("none"), OpenMode::append).code(), Code::not_found);
  EXPECT_EQ(files.open(call, path("no/file"), OpenMode::create).code(), Code::not_found);

  std::string much;  // More than is read at once.
  for (int i = 0; much.size() < 3'000'000; ++i) much += std::to_string(i);
  auto large = files.open(call, path("large"), OpenMode::create).value();
  EXPECT_TRUE(large->append(much).ok());
  EXPECT_TRUE(large->read_at(call, 0, much.size() * 2).value() == much);
  EXPECT_TRUE(large->read_at(call, 7, 2'500'000).value() == much.substr(7, 2'500'000));

  // A call that is over looks at nothing and makes nothing; what changes a file asks no call.
  Call over = call.until(env.now());
  EXPECT_EQ(reader->read_at(over, 0, 100).code(), Code::deadline);
  EXPECT_EQ(reader->size(over).code(), Code::deadline);
  EXPECT_EQ(files.open(over, path("new"), OpenMode::create).code(), Code::deadline);
  EXPECT_FALSE(env.disk().exists(path("new")));
  Nursery cancelled(env.scheduler());
  cancelled.spawn("cancelled", [&] {
    EXPECT_EQ(reader->read_at(call, 0, 100).code(), Code::cancelled);
    EXPECT_TRUE(again->append("late").ok());
  });
  cancelled.cancel();
  EXPECT_TRUE(cancelled.join(call).ok());
  EXPECT_EQ(again->read_at(call, 0, 100).value(), "late");
}

inline std::string read_exactly(Stream& stream, Call& call, size_t bytes) {
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

// Inside a coroutine of `env`. `any` is an address to listen on with port 0.
inline void check_network_contract(Env& env, const std::string& any) {
  Network& network = env.network();
  Scheduler& scheduler = env.scheduler();
  Call call = background_call(env, 60s);
  Call endless;
  char buffer[4096];
  Nursery nursery(scheduler);

  auto listener = network.listen(any).value();
  EXPECT_NE(listener->address(), any);
  EXPECT_EQ(network.listen(listener->address()).code(), Code::busy);
  Call hasty = background_call(env, 5ms);
  EXPECT_EQ(listener->accept(hasty).code(), Code::deadline);
  const auto connect = [&] {
    auto client = network.connect(call, listener->address()).value();
    auto server = listener->accept(call).value();
    return std::pair(std::move(client), std::move(server));
  };

  {  // Bytes arrive whole and in order though the reader comes late; then an orderly end.
    auto [client, server] = connect();
    EXPECT_NE(client->peer(), "");
    std::string text;
    for (int i = 0; text.size() < 8'000'000; ++i) text += std::to_string(i);
    nursery.spawn("writer", [&, stream = client.get()] {
      EXPECT_TRUE(stream->write(endless, text).ok());
      stream->close();
    });
    scheduler.yield();
    EXPECT_TRUE(read_exactly(*server, call, text.size()) == text);
    EXPECT_EQ(server->read(call, buffer).value(), 0u);
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(client->read(call, buffer).code(), Code::closed);
    EXPECT_EQ(client->write(call, "x").code(), Code::closed);
  }
  {  // A read that ran out of time leaves the stream whole; a write does not end before somebody
     // reads.
    auto [client, server] = connect();
    Call short_call = background_call(env, 5ms);
    EXPECT_EQ(client->read(short_call, buffer).code(), Code::deadline);
    EXPECT_TRUE(server->write(call, "late").ok());
    EXPECT_EQ(read_exactly(*client, call, 4), "late");
    Call other = background_call(env, 20ms);
    EXPECT_EQ(client->write(other, std::string(64 << 20, 'x')).code(), Code::deadline);
  }
  {  // Closing, even destroying, a stream wakes its reader and its writer.
    auto [client, server] = connect();
    nursery.spawn("reader", [&, stream = client.get()] {
      EXPECT_EQ(stream->read(endless, buffer).code(), Code::closed);
    });
    nursery.spawn("writer", [&, stream = client.get()] {
      EXPECT_EQ(stream->write(endless, std::string(64 << 20, 'x')).code(), Code::closed);
    });
    Call pause = background_call(env, 1s);
    EXPECT_TRUE(sleep(pause, 5ms).ok());
    client.reset();
    EXPECT_TRUE(nursery.join(call).ok());
  }
  {  // Writing to one who left fails sooner or later, with an error.
    auto [client, server] = connect();
    server.reset();
    Status status;
    for (int i = 0; i < 1000 && status.ok(); ++i)
      status = client->write(call, std::string(4096, 'x'));
    EXPECT_EQ(status.code(), Code::closed);
  }
  {  // A cancelled reader stops waiting.
    auto [client, server] = connect();
    Nursery cancelled(scheduler);
    cancelled.spawn("reader", [&, stream = client.get()] {
      EXPECT_EQ(stream->read(endless, buffer).code(), Code::cancelled);
    });
    scheduler.yield();
    cancelled.cancel();
    EXPECT_TRUE(cancelled.join(call).ok());
  }

  {  // Without waiting: nothing is there, then some, then the end; and who watches is told.
    struct Ears : StreamWatcher {
      void on_ready(bool readable, bool writable) override {
        read = read || readable;
        written = written || writable;
        list.wake_all();
      }
      bool read = false, written = false;
      WaitList list;
    } ears, far_ears;
    auto [client, server] = connect();
    server->watch(&ears);
    EXPECT_TRUE(server->try_read(buffer).ok());
    EXPECT_EQ(server->try_read(buffer)->bytes, 0u);
    ears.read = false;
    EXPECT_EQ(client->try_write("news")->bytes, 4u);
    while (!ears.read) EXPECT_TRUE(ears.list.wait(call.deadline).ok());
    const Progress got = server->try_read(buffer).value();
    EXPECT_EQ(got.bytes, 4u);
    EXPECT_FALSE(got.ended);
    EXPECT_EQ(std::string(buffer, 4), "news");

    client->watch(&far_ears);
    const std::string much(1 << 20, 'x');
    size_t sent = 0;
    for (;;) {  // Until it takes no more.
      const Progress progress = client->try_write(much).value();
      sent += progress.bytes;
      if (!progress.again) break;
    }
    far_ears.written = false;
    for (size_t taken = 0; taken < sent;) {
      const Progress progress = server->try_read(buffer).value();
      taken += progress.bytes;
      if (progress.again || taken == sent) continue;
      ears.read = false;
      EXPECT_TRUE(ears.read || ears.list.wait(call.deadline).ok());
    }
    while (!far_ears.written) EXPECT_TRUE(far_ears.list.wait(call.deadline).ok());
    ears.read = false;
    EXPECT_EQ(client->try_write("the end")->bytes, 7u);
    client->close();
    EXPECT_EQ(client->try_write("x").code(), Code::closed);
    EXPECT_EQ(client->try_read(buffer).code(), Code::closed);
    std::string rest;
    for (bool ended = false; !ended;) {
      const Progress progress = server->try_read(buffer).value();
      rest.append(buffer, progress.bytes);
      ended = progress.ended;
      if (ended || progress.again) continue;
      EXPECT_TRUE(ears.list.wait(call.deadline).ok());  // The end is told too, also behind a short read.
    }
    EXPECT_EQ(rest, "the end");
    server->close();
    ears.list.wake_all();
  }

  const std::string address = listener->address();
  nursery.spawn("accept", [&] { EXPECT_EQ(listener->accept(endless).code(), Code::closed); });
  scheduler.yield();
  listener->close();
  EXPECT_TRUE(nursery.join(call).ok());
  EXPECT_EQ(listener->accept(call).code(), Code::closed);
  EXPECT_EQ(network.connect(call, address).code(), Code::unavailable);
  for (const char* wrong :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:8o", "127.0.0.1:-1"}) {
    EXPECT_EQ(network.connect(call, wrong).code(), Code::invalid) << wrong;
    EXPECT_EQ(network.listen(wrong).code(), Code::invalid) << wrong;
  }
}

}  // namespace hongyan::runtime
