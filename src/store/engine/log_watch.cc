#include "store/engine/log_watch.h"

#include <utility>

namespace hongyan::store {

class LogWatch::Log : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Log(std::unique_ptr<rocksdb::FSWritableFile>&& file, LogWatch& watch, uint64_t number)
      : FSWritableFileOwnerWrapper(std::move(file)), watch_(watch), number_(number) {}
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return told(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return told(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }

 private:
  rocksdb::IOStatus told(rocksdb::IOStatus status) {
    if (status.ok()) watch_.log_synced(number_, std::exchange(synced_before_, true));
    return status;
  }

  LogWatch& watch_;
  const uint64_t number_;
  bool synced_before_ = false;  // RocksDB lets one thread sync a log at a time.
};

rocksdb::IOStatus LogWatch::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* result,
                                            rocksdb::IODebugContext* debug) {
  rocksdb::IOStatus status = target()->NewWritableFile(name, options, result, debug);
  if (status.ok() && name.ends_with(".log")) *result = std::make_unique<Log>(std::move(*result), *this, ++newest_);
  return status;
}

void LogWatch::begin(const Synced& synced) {
  synced_ = &synced;
  thread_ = std::this_thread::get_id();
}

void LogWatch::end() {
  thread_ = std::thread::id();
  synced_ = nullptr;
}

void LogWatch::log_synced(uint64_t log, bool again) {
  if (thread_.load() != std::this_thread::get_id() || !again || log != newest_ || synced_ == nullptr) return;
  const Synced& synced = *std::exchange(synced_, nullptr);
  synced();
}

}  // namespace hongyan::store
