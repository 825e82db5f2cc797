// The two engines of one node as the conformance suite wants them: opened in a TestEnv, the log engine on its disk in
// memory, RocksDB in a temporary directory.
#pragma once

#include <filesystem>

#include "store/engine/testing/conformance.h"
#include "store/engine/open.h"
#include "store/engine/testing/temporary_directory.h"

namespace hongyan::store::conformance {

class LocalEngine : public Engine {
 public:
  explicit LocalEngine(EngineKind kind) : kind_(kind) { open(); }
  ~LocalEngine() override { close(); }
  runtime::TestEnv& env() override { return env_; }
  Store& store() override { return store_->shard(); }
  void reopen() override {
    close();
    open();
  }

 private:
  void close() { store_.reset(); }
  void open() {
    OpenOptions options{.directory = directory_.path() + "/store", .tables = tables(), .engine = kind_, .rocks = {}, .log = {}};
    options.log.log_bytes_max = 64 * 1024;  // So that checkpoints are part of every longer test.
    options.rocks.block_cache_bytes = 8 << 20;
    options.rocks.memtable_bytes = 1 << 20;
    std::filesystem::create_directories(options.directory);  // RocksDB's files are not on Env's disk.
    auto opened = open_store(env_, std::move(options));
    CHECK(opened.ok());
    store_ = std::move(opened).value();
  }

  EngineKind kind_;
  TemporaryDirectory directory_;
  runtime::TestEnv env_;
  std::unique_ptr<OpenStore> store_;
};

inline EngineParam log_engine() {
  return {"log", [] { return std::make_unique<LocalEngine>(EngineKind::log); }};
}
inline EngineParam rocks_engine() {
  return {"rocks", [] { return std::make_unique<LocalEngine>(EngineKind::rocks); }};
}

}  // namespace hongyan::store::conformance
