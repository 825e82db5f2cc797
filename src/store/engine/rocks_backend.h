// The embedded default: RocksDB with one write-ahead log, LZ4 above and ZSTD at the bottom level, one column family for
// rows and one for work marks. write() is one WriteBatch and one sync. Options follow the measurements in docs; a
// block's checksum is verified whenever it is read.
//
// A full disk fails the write with no_space and leaves the database readable; resume() succeeds once space is freed. A
// batch that failed so may still be there, whole, after a crash that comes before resume(). Writes are refused before
// the disk is really full: RocksDB needs the reserve to flush and compact, and it can't go on with a log of which a
// write has failed unless there is something to flush (facebook/rocksdb issue 11643). Where the reserve was taken away
// at that moment, resume() goes on answering no_space until the database is opened again.
//
// Calls take more stack than a coroutine has: only on a thread's own.
#pragma once

#include <memory>
#include <string>

#include "runtime/env/env.h"
#include "store/engine/backend.h"

namespace rocksdb {
class Env;
}

namespace hongyan::store {

struct RocksOptions {
  size_t block_cache_bytes = 256 * 1024 * 1024;
  size_t memtable_bytes = 32 * 1024 * 1024;
  size_t reserve_bytes = 64 * 1024 * 1024;  // Of free disk, below which writes are refused: both memtables.
  size_t background_bytes_per_second = 64 * 1024 * 1024;  // Flushes and compactions together: ten times what commits write.
  rocksdb::Env* env = nullptr;  // Null: the kernel's files. Tests of failing disks bring their own.
};

// Blocks: before the scheduler runs, or in a Lane.
Result<std::unique_ptr<Backend>> open_rocks_backend(Env& env, const std::string& directory, RocksOptions options = {});

// Opens a closed database, rewrites all of it to the bottom level and closes it again. Gives the bytes of its live
// files. For tools that measure or ship a data directory; serving needs no such step. Blocks.
Result<uint64_t> compact_rocks(Env& env, const std::string& directory, RocksOptions options = {});

}  // namespace hongyan::store
