// The real Env, for tests of an engine that does not go through Env's disk.
#pragma once

#include <memory>
#include <string>

#include "runtime/os/os_env.h"

namespace hongyan::store {

inline std::unique_ptr<Env> real_env(const std::string& log_path) {
  return runtime::make_os_env({.pool_threads = 1, .log_path = log_path});
}

}  // namespace hongyan::store
