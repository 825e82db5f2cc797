// The real Env: epoll, threads, kernel files, getrandom. The only room that talks to the kernel
// (with runtime/coro, which maps stacks).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/env/env.h"
#include "runtime/os/inherited.h"

namespace hongyan::runtime {

// What the loop waits in. epoll unless somebody chose otherwise: docs/decisions/0022. Where the kernel refuses io_uring
// it is epoll, with a warning.
enum class LoopIo { epoll, uring };
// Who does what coroutines ask of files (Env::files): io_uring where the kernel allows it, or threads always.
enum class FileIo { automatic, threads };

struct OsEnvOptions {
  int pool_threads = 2;
  std::string log_path = {};  // Empty: stderr.
  bool log_json = false;      // Lines of JSON instead of text.
  // Where other processes see the counters (shared_counters.h); empty, or not to be had: nowhere, with a warning then.
  std::string counters_path = {};
  Inherited inherited = {};  // A worker's (worker_master.h).
  LoopIo io = LoopIo::epoll;
  FileIo files = FileIo::automatic;
  bool spin = true;           // With epoll: a busy loop may ask before it sleeps (idle_spin.h).
  bool refuse_rings = false;  // As a kernel that has no io_uring, or a sandbox, would.
};

// "epoll" or "uring"; "automatic" or "threads". Of settings that were checked.
LoopIo loop_io(std::string_view word);
FileIo file_io(std::string_view word);

// What an Env does with these options on this kernel: "epoll, files by io_uring"; for logs and tests.
std::string describe_io(Env& env);

// The scheduler of the Env runs on the thread that calls env->scheduler().run().
std::unique_ptr<Env> make_os_env(const OsEnvOptions& options);

// SIGTERM and SIGINT stop the scheduler instead of ending the process; a second one ends it.
// SIGPIPE is ignored. Call it on the loop's thread, before any other thread is started. `env` is
// one of make_os_env.
void stop_on_signals(Env& env);

int process_id();
// Files and directories made from now on are the owner's alone: data, secrets, logs.
void set_private_umask();

// The environment variables of this process, for Config::load.
std::map<std::string, std::string> environment_variables();

}  // namespace hongyan::runtime
