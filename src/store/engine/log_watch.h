// Tells when RocksDB's write-ahead log has been synced, which is before the batch is in the memory table: at that moment
// a batch is durable, and its callers need not wait for the rest. RocksDB has no such event; its files pass through here.
//
// The signal is given only where the sync proves the whole batch: for the newest log, and not for its first sync, since
// RocksDB syncs a new log's directory entry after that one. Syncs by other threads than the watching one (a flush closing
// an older log) are not the batch's.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace hongyan::store {

class LogWatch : public rocksdb::FileSystemWrapper {
 public:
  using Synced = std::function<void()>;

  explicit LogWatch(const std::shared_ptr<rocksdb::FileSystem>& base) : FileSystemWrapper(base) {}
  const char* Name() const override { return "LogWatch"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override;

  // While it lives, `synced` is called, once at most, on this thread, from within a write that this thread makes.
  class Watching {
   public:
    Watching(LogWatch& watch, const Synced& synced) : watch_(watch) { watch_.begin(synced); }
    ~Watching() { watch_.end(); }
    Watching(const Watching&) = delete;
    Watching& operator=(const Watching&) = delete;

   private:
    LogWatch& watch_;
  };

 private:
  class Log;
  void begin(const Synced& synced);
  void end();
  void log_synced(uint64_t log, bool again);

  std::atomic<uint64_t> newest_{0};
  std::atomic<std::thread::id> thread_{};
  const Synced* synced_ = nullptr;  // Of the thread in thread_.
};

}  // namespace hongyan::store
