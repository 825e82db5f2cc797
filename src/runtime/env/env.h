// The one door to everything that is not deterministic: time, chance, network, disk, threads.
// `runtime/os` has the real one, `sim/world` the simulated one; nothing else in the tree may ask
// the kernel. One Env belongs to one process, real or simulated, and to one scheduler thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/coro/scheduler.h"
#include "runtime/time.h"

namespace hongyan::runtime {

class Counters;  // runtime/counters/counters.h
class Files;  // runtime/env/files.h
class Log;       // runtime/log/log.h
class Profiler;   // runtime/env/profiler.h
class Readiness;  // runtime/env/readiness.h
class Tracer;     // runtime/trace/tracer.h

// What an operation that never waits has done.
struct Progress {
  size_t bytes = 0;
  bool again = false;  // More may be possible at once. False: on_ready() comes when there is.
  bool ended = false;  // Of try_read: the orderly end of the stream.
};

// Who is told when a stream may be read or written again. Called in or outside a coroutine, also
// from inside an operation of the other end: it notes what it hears (Scheduler::at_turn_start) and
// neither waits nor touches a stream. Told too much is possible, too little is not.
class StreamWatcher {
 public:
  virtual ~StreamWatcher() = default;
  virtual void on_ready(bool readable, bool writable) = 0;
};

// A byte stream. One reader and one writer at a time. Closing wakes both with Code::closed.
//
// Two ways to use it: read() and write() wait in a coroutine; try_read() and try_write() never wait
// and need none, so that an idle connection is an object and not a stack.
class Stream {
 public:
  virtual ~Stream() = default;  // Closes.
  // Never wait. An error leaves the stream unusable. try_write takes what fits, perhaps nothing; what it did not take
  // comes first in the next one.
  virtual Result<Progress> try_read(std::span<char> into) = 0;
  virtual Result<Progress> try_write(std::string_view bytes) = 0;
  // Calls `watcher` (null: nobody) from now on, until close(). What was possible before is not told: try first.
  virtual void watch(StreamWatcher* watcher) = 0;
  // At least one byte; 0 is the orderly end of the stream.
  virtual Result<size_t> read(Call& call, std::span<char> into) = 0;
  // All of it, or an error after which the stream is unusable.
  virtual Status write(Call& call, std::string_view bytes) = 0;
  virtual void close() = 0;
  virtual std::string peer() const = 0;  // "127.0.0.1:4711", for logs.
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Result<std::unique_ptr<Stream>> accept(Call& call) = 0;
  virtual std::string address() const = 0;  // With the real port when port 0 was asked for.
  virtual void close() = 0;                 // A waiting accept fails with Code::closed.
};

class Network {
 public:
  virtual ~Network() = default;
  // "127.0.0.1:8080", "[::1]:0". Code::busy when the address is taken.
  virtual Result<std::unique_ptr<Listener>> listen(const std::string& address) = 0;
  virtual Result<std::unique_ptr<Stream>> connect(Call& call, const std::string& address) = 0;
};

// Files. Every member may block its thread: call them inside a Lane, or before the scheduler runs.
// Coroutines have Env::files().
class File {
 public:
  virtual ~File() = default;
  virtual Status append(
      std::string_view bytes) = 0;  // Code::no_space, Code::io. Durable only after sync().
  virtual Status sync() = 0;        // An error is final: the file must be reopened and checked.
  virtual Result<std::string> read_at(uint64_t offset,
                                      size_t bytes_max) = 0;  // Shorter only at the end.
  virtual Result<uint64_t> size() = 0;
  virtual Status truncate(uint64_t size) = 0;
};

enum class OpenMode { read, append, create };  // create: a new or emptied file, for appending.

class FileLock {  // Held while it lives.
 public:
  virtual ~FileLock() = default;
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path,
                                             OpenMode mode) = 0;  // Code::not_found
  virtual Status rename(const std::string& from,
                        const std::string& to) = 0;  // Atomic; durable after sync_directory.
  virtual Status remove(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(
      const std::string& directory) = 0;  // Names, sorted.
  virtual Status make_directories(const std::string& path) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual Result<std::unique_ptr<FileLock>> lock(
      const std::string& path) = 0;  // Code::busy when held by another.
};

// Threads on which functions may block. The caller's coroutine waits meanwhile; its loop goes on.
// The simulated lane runs the function in place. Functions of a lane with one thread run in the
// order they were handed in.
class Lane {
 public:
  virtual ~Lane() = default;  // Waits for what runs.
  // Runs `work` to its end whatever happens to the caller: there is no deadline, since it could not
  // be undone.
  virtual void run(const std::function<void()>& work) = 0;
};

class Env {
 public:
  Env();
  virtual ~Env();
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;
  virtual Scheduler& scheduler() = 0;
  virtual Time now() = 0;                         // Monotonic; the loop's cached reading.
  virtual int64_t utc_ms() = 0;                   // May jump. Nothing's safety rests on it.
  virtual void random(std::span<char> into) = 0;  // Cryptographic in the real Env.
  virtual Network& network() = 0;
  virtual Disk& disk() = 0;
  // The same for coroutines; unless an Env knows better, disk() on pool().
  virtual Files& files();
  virtual std::unique_ptr<Lane> make_lane(std::string_view name, int threads) = 0;
  // The pool for whatever blocks or eats stack: argon2, getaddrinfo, compression.
  virtual Lane& pool() = 0;
  virtual Counters& counters() = 0;
  virtual Log& log() = 0;
  // For foreign libraries' descriptors (runtime/hook); null where there is no kernel.
  virtual Readiness* readiness() { return nullptr; }
  // Where the processor's time and the memory go; null where there is no kernel.
  virtual Profiler* profiler() { return nullptr; }
  // Made when it is first asked for, on the owning thread.
  Tracer& tracer();

  uint64_t random_u64();
  std::string random_bytes(size_t count);

 private:
  std::shared_ptr<Files> files_;  // Made when it is asked for.
  std::unique_ptr<Tracer> tracer_;
};

// The background's own Call: nobody waits for it, so it sets its own limit.
inline Call background_call(Env& env, Duration limit) {
  Call call;
  call.deadline = after(env.now(), limit);
  return call;
}

}  // namespace hongyan::runtime

namespace hongyan {
using runtime::Env;
}
