// The real Env: epoll, threads, kernel files, getrandom. The only room that talks to the kernel (with runtime/coro,
// which maps stacks).
#pragma once

#include <memory>
#include <string>

#include "runtime/env/env.h"

namespace hongyan::runtime {

struct OsEnvOptions {
  int pool_threads = 2;
  std::string log_path;  // Empty: stderr.
};

// The scheduler of the Env runs on the thread that calls env->scheduler().run().
std::unique_ptr<Env> make_os_env(const OsEnvOptions& options);

// SIGTERM and SIGINT stop the scheduler instead of ending the process; SIGPIPE is ignored.
void stop_on_signals(Env& env);

}  // namespace hongyan::runtime
