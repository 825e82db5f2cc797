// A log store in an Env, for the tests of rooms that stand on a store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "store/engine/open.h"

namespace hongyan::store {

inline std::unique_ptr<OpenStore> open_log_store(Env& env, std::vector<TableSpec> tables, std::string directory = "/data") {
  auto opened = open_store(env, {.directory = std::move(directory), .tables = std::move(tables), .engine = EngineKind::log, .rocks = {}, .log = {}});
  CHECK(opened.ok());
  return std::move(*opened);
}

}  // namespace hongyan::store
