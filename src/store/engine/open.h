// Opens a data directory: DIR/FORMAT (what wrote it), DIR/lock (held while open), DIR/restored (a salt, after a
// restore), DIR/rocks or DIR/log (the engine's files).
//
// FORMAT is one line, "hongyan-store 1 rocks"; a newer number is refused with Code::unsupported, never rewritten. A
// restored directory carries a random salt that changes every entity's incarnation, so that no device takes the old
// data for the data it knew. Opening and closing block the thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/env/env.h"
#include "store/engine/log_backend.h"
#include "store/engine/rocks_backend.h"
#include "store/engine/shard.h"

namespace hongyan::store {

enum class EngineKind { rocks, log };

struct OpenOptions {
  std::string directory;
  std::vector<TableSpec> tables;
  EngineKind engine = EngineKind::rocks;
  RocksOptions rocks;
  LogOptions log;
};

// The shard and the lock of its directory.
class OpenStore {
 public:
  OpenStore(std::unique_ptr<runtime::FileLock> lock, std::unique_ptr<Shard> shard)
      : lock_(std::move(lock)), shard_(std::move(shard)) {}
  ~OpenStore() { shard_->close(); }
  Shard& shard() { return *shard_; }

 private:
  std::unique_ptr<runtime::FileLock> lock_;
  std::unique_ptr<Shard> shard_;
};

// Code::busy when another process has the directory open.
Result<std::unique_ptr<OpenStore>> open_store(Env& env, OpenOptions options);

// A copy of an open store, complete with FORMAT, that opens as a data directory. `directory` must not exist.
Status backup_store(Call& call, Env& env, OpenStore& store, EngineKind engine, const std::string& directory);
// Marks a closed directory as restored: every entity has a new incarnation from now on.
Status mark_restored(Env& env, const std::string& directory);

}  // namespace hongyan::store
