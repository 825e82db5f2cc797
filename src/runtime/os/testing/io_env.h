// The real Env, for tests of what stands above it, with each of what its loop can wait in.
#pragma once

#include <memory>
#include <string>

#include "runtime/os/os_env.h"

namespace hongyan::runtime {

// Silent. Null: this kernel has no such thing, and the test is skipped.
inline std::unique_ptr<Env> make_io_env(LoopIo io) {
  OsEnvOptions options;
  options.log_path = "/dev/null";
  options.io = io;
  auto env = make_os_env(options);
  const bool has_ring = describe_io(*env).starts_with("io_uring");
  return io == LoopIo::uring && !has_ring ? nullptr : std::move(env);
}

inline std::string name_of(LoopIo io) { return io == LoopIo::uring ? "uring" : "epoll"; }

}  // namespace hongyan::runtime
