// RocksDB over files that know what is synced: when LogWatch speaks, everything of every log is, and so is its name.
#include "store/engine/log_watch.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "store/engine/rocks_backend.h"
#include "store/engine/testing/real_env.h"
#include "store/engine/testing/temporary_directory.h"

namespace hongyan::store {
namespace {

// Which logs have bytes that are not synced, or a name that is not.
class KnowingFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit KnowingFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base) : FileSystemWrapper(base) {}
  const char* Name() const override { return "KnowingFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->NewWritableFile(name, options, result, debug);
    if (!status.ok() || !name.ends_with(".log")) return status;
    std::lock_guard lock(mutex_);
    names_unsynced_ = true;
    ++logs_;
    *result = std::make_unique<Log>(std::move(*result), *this, name);
    return status;
  }
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = target()->NewDirectory(name, options, result, debug);
    if (status.ok()) *result = std::make_unique<Directory>(std::move(*result), *this);
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    std::lock_guard lock(mutex_);
    unsynced_.erase(name);
    return target()->DeleteFile(name, options, debug);
  }

  bool all_synced() {
    std::lock_guard lock(mutex_);
    for (const auto& [name, bytes] : unsynced_) {
      if (bytes > 0) return false;
    }
    return !names_unsynced_;
  }
  int logs() {
    std::lock_guard lock(mutex_);
    return logs_;
  }
  std::atomic<bool> syncs_fail{false};

 private:
  class Log : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    Log(std::unique_ptr<rocksdb::FSWritableFile>&& file, KnowingFileSystem& system, std::string name)
        : FSWritableFileOwnerWrapper(std::move(file)), system_(system), name_(std::move(name)) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      {
        std::lock_guard lock(system_.mutex_);
        system_.unsynced_[name_] += data.size();
      }
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (system_.syncs_fail) return rocksdb::IOStatus::IOError("the disk failed");
      std::lock_guard lock(system_.mutex_);
      system_.unsynced_[name_] = 0;
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }

   private:
    KnowingFileSystem& system_;
    const std::string name_;
  };

  class Directory : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(std::unique_ptr<rocksdb::FSDirectory>&& directory, KnowingFileSystem& system)
        : FSDirectoryWrapper(std::move(directory)), system_(system) {}
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      clear();
      return FSDirectoryWrapper::Fsync(options, debug);
    }
    rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug,
                                          const rocksdb::DirFsyncOptions& how) override {
      clear();
      return FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how);
    }

   private:
    void clear() {
      std::lock_guard lock(system_.mutex_);
      system_.names_unsynced_ = false;
    }
    KnowingFileSystem& system_;
  };

  std::mutex mutex_;
  std::map<std::string, size_t> unsynced_;
  bool names_unsynced_ = false;
  int logs_ = 0;
};

class LogWatchTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    auto opened = open_rocks_backend(*env_, root_.path() + "/rocks",
                                     {.block_cache_bytes = 1 << 20, .memtable_bytes = 64 << 10, .reserve_bytes = 0, .env = rocks_env_.get()});
    ASSERT_TRUE(opened.ok()) << opened.status().detail();
    backend_ = std::move(*opened);
  }
  static std::vector<Write> batch_of(const std::string& key) {
    std::vector<Write> batch;
    for (int i = 0; i < 10; ++i) batch.push_back({Space::rows, key + "/" + std::to_string(i), std::string(400, 'v')});
    batch.push_back({Space::work, key, "w"});
    return batch;
  }

  TemporaryDirectory root_;
  std::shared_ptr<KnowingFileSystem> files_ = std::make_shared<KnowingFileSystem>(rocksdb::FileSystem::Default());
  std::unique_ptr<rocksdb::Env> rocks_env_ = rocksdb::NewCompositeEnv(files_);
  std::unique_ptr<Env> env_ = real_env(root_.path() + "/log.txt");
  std::unique_ptr<Backend> backend_;
};

TEST_F(LogWatchTest, speaks_of_nearly_every_batch_once_when_all_logs_are_synced_and_before_it_can_be_read) {
  constexpr int k_batches = 300;  // Memory tables of 64 KiB: a log for every 15 of them, flushed beside the writes.
  int told = 0;
  for (int i = 0; i < k_batches; ++i) {
    const std::string key = "key" + std::to_string(i);
    int of_this = 0;
    const Backend::Durable durable = [&] {
      ++of_this;
      EXPECT_TRUE(files_->all_synced()) << i;
      const auto seen = backend_->get(Space::rows, key + "/0", Reach::disk);
      ASSERT_TRUE(seen.ok());
      EXPECT_FALSE(seen->has_value()) << "it is told too late to be of use";
    };
    ASSERT_TRUE(backend_->write(batch_of(key), durable).ok());
    EXPECT_LE(of_this, 1);
    told += of_this;
    EXPECT_TRUE(backend_->get(Space::rows, key + "/0", Reach::disk)->has_value());
  }
  EXPECT_GT(files_->logs(), 10);
  EXPECT_GE(told, k_batches - files_->logs());
}

TEST_F(LogWatchTest, says_nothing_of_a_batch_whose_sync_failed) {
  ASSERT_TRUE(backend_->write(batch_of("a"), {}).ok());
  int told = 0;
  ASSERT_TRUE(backend_->write(batch_of("b"), [&] { ++told; }).ok());
  EXPECT_EQ(told, 1);
  files_->syncs_fail = true;
  EXPECT_FALSE(backend_->write(batch_of("c"), [&] { ++told; }).ok());
  EXPECT_EQ(told, 1);
  files_->syncs_fail = false;
}

}  // namespace
}  // namespace hongyan::store
