#include "store/engine/rocks_backend.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <array>

#include "store/engine/log_watch.h"

namespace hongyan::store {

namespace {

Status status_from(const rocksdb::Status& status) {
  if (status.ok()) return {};
  const std::string text = "rocksdb: " + status.ToString();
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace) return Status(Code::no_space, text);
  if (text.find("No space left") != std::string::npos) return Status(Code::no_space, text);
  if (status.subcode() == rocksdb::Status::kSpaceLimit) return Status(Code::no_space, text);
  if (status.IsIncomplete()) return Status(Code::busy, text);
  if (status.IsCorruption()) return Status(Code::corrupt, text);
  if (status.IsIOError()) {
    const bool read_only = text.find("Read-only file system") != std::string::npos || text.find("Permission denied") != std::string::npos;
    if (text.find("lock") != std::string::npos && text.find("unavailable") != std::string::npos) return Status(Code::busy, text);
    return Status(read_only ? Code::read_only : Code::io, text);
  }
  if (status.IsBusy()) return Status(Code::busy, text);
  return Status(Code::io, text);
}

constexpr size_t k_kept_batch_bytes_max = 1024 * 1024;
constexpr size_t k_background_chunk_bytes = 128 * 1024;  // A millisecond of a slow disk.
constexpr int64_t k_background_refill_us = 5'000;
constexpr double k_memtable_filter_share = 0.05;  // Of its bytes: some 10 bits a row.

rocksdb::ReadOptions read_options(Reach reach) {
  rocksdb::ReadOptions options;
  options.read_tier = reach == Reach::memory ? rocksdb::kBlockCacheTier : rocksdb::kReadAllTier;
  options.verify_checksums = true;
  return options;
}

class RocksCursor : public Cursor {
 public:
  RocksCursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string lower, std::string upper, Reach reach)
      : lower_(std::move(lower)), upper_(std::move(upper)), lower_slice_(lower_), upper_slice_(upper_) {
    rocksdb::ReadOptions options = read_options(reach);
    if (!lower_.empty()) options.iterate_lower_bound = &lower_slice_;
    if (!upper_.empty()) options.iterate_upper_bound = &upper_slice_;
    iterator_.reset(db.NewIterator(options, family));
  }
  void seek(std::string_view key) override { iterator_->Seek(rocksdb::Slice(key.data(), key.size())); }
  void seek_before(std::string_view key) override {
    if (key.empty()) {
      iterator_->SeekToLast();
      return;
    }
    iterator_->SeekForPrev(rocksdb::Slice(key.data(), key.size()));
    if (iterator_->Valid() && this->key() == key) iterator_->Prev();
  }
  void next() override { iterator_->Next(); }
  void previous() override { iterator_->Prev(); }
  bool valid() const override { return iterator_->Valid(); }
  std::string_view key() const override { return {iterator_->key().data(), iterator_->key().size()}; }
  std::string_view value() const override { return {iterator_->value().data(), iterator_->value().size()}; }
  Status status() const override { return iterator_->Valid() ? Status() : status_from(iterator_->status()); }

 private:
  const std::string lower_, upper_;
  const rocksdb::Slice lower_slice_, upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// Entity, kind and the first byte of the row's key (keys.h), by which data services part their rows: behind the last one
// of those there is mostly the place of the next. In memory only: what is on disk does not depend on it.
class SectionOfKey : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "hongyan.section"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override { return {key.data(), std::min(key.size(), bytes(key))}; }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() >= k_head_bytes; }

 private:
  static constexpr size_t k_head_bytes = 5;  // slot, table, length of the id
  static size_t bytes(const rocksdb::Slice& key) { return k_head_bytes + static_cast<unsigned char>(key[k_head_bytes - 1]) + 2; }
};

rocksdb::ColumnFamilyOptions family_options(const RocksOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions family;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 * 1024;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;  // So that memory does not grow with the data.
  table.cache_index_and_filter_blocks_with_high_priority = true;
  // Indexes and filters in blocks of their own size below a small top: otherwise the first question after a start reads
  // the whole filter of a file, megabytes where there is a long past.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.metadata_block_size = 4096;
  table.pin_top_level_index_and_filter = true;
  table.format_version = 5;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.compression = rocksdb::kLZ4Compression;
  family.bottommost_compression = rocksdb::kZSTD;
  family.level_compaction_dynamic_level_bytes = true;
  family.write_buffer_size = options.memtable_bytes;
  // The search for a row's place in the memory table begins where the last one of its section was put.
  family.memtable_insert_with_hint_prefix_extractor = std::make_shared<SectionOfKey>();
  // Most dedup rows that are looked for are not there.
  family.memtable_whole_key_filtering = true;
  family.memtable_prefix_bloom_size_ratio = k_memtable_filter_share;
  family.level0_slowdown_writes_trigger = 20;
  family.level0_stop_writes_trigger = 60;
  return family;
}

rocksdb::DBOptions database_options(const RocksOptions& options) {
  rocksdb::DBOptions database;
  database.create_if_missing = true;
  database.create_missing_column_families = true;
  database.max_background_jobs = 2;
  database.recycle_log_file_num = 0;  // With recycled logs a torn tail can't be told from old bytes.
  database.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  database.max_total_wal_size = 256 * 1024 * 1024;
  database.keep_log_file_num = 4;
  database.max_log_file_size = 4 * 1024 * 1024;
  database.max_open_files = 512;
  database.paranoid_checks = true;
  database.info_log_level = rocksdb::WARN_LEVEL;
  database.stats_dump_period_sec = 0;
  // A sync of the log waits for all that the disk was given before it. So flushes and compactions hand over little at a
  // time, not faster than the limit, and wait until it is written: beside a flush a sync took ten times as long.
  database.bytes_per_sync = k_background_chunk_bytes;
  database.strict_bytes_per_sync = true;
  database.writable_file_max_buffer_size = k_background_chunk_bytes;
  database.rate_limiter.reset(rocksdb::NewGenericRateLimiter(static_cast<int64_t>(options.background_bytes_per_second),
                                                             k_background_refill_us));
  database.allow_concurrent_memtable_write = false;  // One committer.
  database.enable_write_thread_adaptive_yield = false;
  database.avoid_unnecessary_blocking_io = true;
  return database;
}

class RocksBackend : public Backend {
 public:
  explicit RocksBackend(Env& env) : env_(env) {}

  ~RocksBackend() override {
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* family : families_) (void)db_->DestroyColumnFamilyHandle(family);
    (void)db_->Close();
  }

  Status open(const std::string& directory, const RocksOptions& options) {
    TRY(env_.disk().make_directories(directory));
    // A third for indexes and filters, which a scan must not push out.
    auto cache = rocksdb::NewLRUCache(options.block_cache_bytes, -1, false, 0.33);
    const rocksdb::ColumnFamilyOptions family = family_options(options, cache);
    // RocksDB insists on a family named "default"; it holds the rows.
    const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors = {{rocksdb::kDefaultColumnFamilyName, family}, {"work", family}};
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::DBOptions settings = database_options(options);
    rocksdb::Env* base = options.env != nullptr ? options.env : rocksdb::Env::Default();
    log_watch_ = std::make_shared<LogWatch>(base->GetFileSystem());
    files_ = rocksdb::NewCompositeEnv(log_watch_);
    settings.env = files_.get();
    TRY(status_from(rocksdb::DB::Open(settings, directory, descriptors, &handles, &db)));
    db_.reset(db);
    directory_ = directory;
    reserve_bytes_ = options.reserve_bytes;
    families_ = {handles[0], handles[1]};
    return {};
  }

  Result<std::optional<std::string>> get(Space space, std::string_view key, Reach reach) override {
    rocksdb::PinnableSlice value;
    const rocksdb::Status status =
        db_->Get(read_options(reach), family(space), rocksdb::Slice(key.data(), key.size()), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    TRY(status_from(status));
    return std::optional<std::string>(value.ToString());
  }

  std::unique_ptr<Cursor> cursor(Space space, std::string lower, std::string upper, Reach reach) override {
    return std::make_unique<RocksCursor>(*db_, family(space), std::move(lower), std::move(upper), reach);
  }

  Status write(const std::vector<Write>& batch, const Durable& durable) override {
    TRY(check_reserve());
    if (writes_.GetDataSize() > k_kept_batch_bytes_max) writes_ = rocksdb::WriteBatch();
    writes_.Clear();
    for (const Write& one : batch) {
      const rocksdb::Status added = one.value ? writes_.Put(family(one.space), one.key, *one.value)
                                              : writes_.Delete(family(one.space), one.key);
      TRY(status_from(added));
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const rocksdb::Status written = write_watched(options, durable);
    if (!written.ok()) broken_log_ = current_log();
    return status_from(written);
  }

  // RocksDB stays stopped after a full disk until it is told to look again; it may be doing so by itself (Busy).
  Status resume() override {
    const rocksdb::Status resumed = db_->Resume();
    if (resumed.IsBusy() || resumed.IsShutdownInProgress()) return Status(Code::no_space, "rocksdb: still recovering");
    TRY(status_from(resumed));
    if (broken_log_ != 0 && broken_log_ == current_log()) {
      return Status(Code::no_space, "rocksdb: the disk was full when a log began; start the server again");
    }
    broken_log_ = 0;
    return {};
  }

  bool reads_beside_writes() const override { return true; }

  Status checkpoint(const std::string& directory) override {
    rocksdb::Checkpoint* made = nullptr;
    TRY(status_from(rocksdb::Checkpoint::Create(db_.get(), &made)));
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    return status_from(checkpoint->CreateCheckpoint(directory));
  }

  Result<uint64_t> compact() {
    uint64_t bytes = 0;
    rocksdb::CompactRangeOptions all;
    all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      TRY(status_from(db_->CompactRange(all, family, nullptr, nullptr)));
      uint64_t live = 0;
      if (!db_->GetIntProperty(family, rocksdb::DB::Properties::kLiveSstFilesSize, &live)) {
        return Status(Code::internal, "rocksdb: no size of files");
      }
      bytes += live;
    }
    return bytes;
  }

 private:
  rocksdb::Status write_watched(const rocksdb::WriteOptions& options, const Durable& durable) {
    if (!durable) return db_->Write(options, &writes_);
    const LogWatch::Watching watching(*log_watch_, durable);
    return db_->Write(options, &writes_);
  }

  rocksdb::ColumnFamilyHandle* family(Space space) const { return families_[static_cast<size_t>(space)]; }

  // A file system that can't say how much is free (a test's) is taken to have room.
  Status check_reserve() const {
    uint64_t free = 0;
    if (!db_->GetEnv()->GetFreeSpace(directory_, &free).ok() || free >= reserve_bytes_) return {};
    return Status(Code::no_space, directory_ + ": less than " + std::to_string(reserve_bytes_ >> 20) + " MiB are free");
  }

  // The number of the log that is written now; 0 when it can't be told.
  uint64_t current_log() const {
    std::unique_ptr<rocksdb::LogFile> log;
    return db_->GetCurrentWalFile(&log).ok() && log != nullptr ? log->LogNumber() : 0;
  }

  Env& env_;
  std::string directory_;
  size_t reserve_bytes_ = 0;
  uint64_t broken_log_ = 0;  // The log of which a write failed.
  std::shared_ptr<LogWatch> log_watch_;
  std::unique_ptr<rocksdb::Env> files_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteBatch writes_;  // Of the one who writes; kept for its memory.
  std::array<rocksdb::ColumnFamilyHandle*, 2> families_{};
};

}  // namespace

Result<uint64_t> compact_rocks(Env& env, const std::string& directory, RocksOptions options) {
  RocksBackend backend(env);
  TRY(backend.open(directory, options));
  return backend.compact();
}

Result<std::unique_ptr<Backend>> open_rocks_backend(Env& env, const std::string& directory, RocksOptions options) {
  auto backend = std::make_unique<RocksBackend>(env);
  TRY(backend->open(directory, options));
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace hongyan::store
