#include "store/engine/log_backend.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/random.h"
#include "store/engine/log_record.h"

namespace hongyan::store {

namespace {

constexpr size_t k_read_bytes = 1024 * 1024;
constexpr size_t k_checkpoint_record_bytes = 64 * 1024;

Status corrupt(const std::string& path, const char* why) { return Status(Code::corrupt, path + ": " + why); }

Result<std::string> read_file(runtime::Disk& disk, const std::string& path) {
  auto file = TRY(disk.open(path, runtime::OpenMode::read));
  const uint64_t size = TRY(file->size());
  std::string content;
  while (content.size() < size) {
    const std::string part = TRY(file->read_at(content.size(), std::min<uint64_t>(k_read_bytes, size - content.size())));
    if (part.empty()) break;
    content += part;
  }
  return content;
}

class MapCursor : public Cursor {
 public:
  MapCursor(const Map& map, std::string lower, std::string upper)
      : map_(map), lower_(std::move(lower)), upper_(std::move(upper)), at_(map.end()) {}
  void seek(std::string_view key) override { at_ = map_.lower_bound(std::max<std::string_view>(key, lower_)); }
  void seek_before(std::string_view key) override {
    const bool bounded = !upper_.empty() && (key.empty() || key > upper_);
    const std::string_view bound = bounded ? std::string_view(upper_) : key;
    at_ = bound.empty() ? map_.end() : map_.lower_bound(bound);
    previous();
  }
  void next() override { ++at_; }
  void previous() override { at_ = at_ == map_.begin() ? map_.end() : std::prev(at_); }
  bool valid() const override {
    return at_ != map_.end() && at_->first >= lower_ && (upper_.empty() || at_->first < upper_);
  }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  Status status() const override { return {}; }

 private:
  const Map& map_;
  const std::string lower_, upper_;
  Map::const_iterator at_;
};

class LogBackend : public Backend {
 public:
  LogBackend(runtime::Disk& disk, uint64_t entropy, std::string directory, LogOptions options)
      : disk_(disk), directory_(std::move(directory)), options_(options), random_(entropy) {}

  Status open() {
    TRY(disk_.make_directories(directory_));
    const uint64_t next = TRY(load());
    return start_log(next);
  }

  Result<std::optional<std::string>> get(Space space, std::string_view key, Reach) override {
    const Map& map = maps_.of[static_cast<size_t>(space)];
    const auto found = map.find(key);
    return found == map.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
  }

  std::unique_ptr<Cursor> cursor(Space space, std::string lower, std::string upper, Reach) override {
    return std::make_unique<MapCursor>(maps_.of[static_cast<size_t>(space)], std::move(lower), std::move(upper));
  }

  Status write(const std::vector<Write>& batch, const Durable&) override {
    TRY(resume());
    if (batch.empty()) return {};
    std::string payload;
    for (const Write& one : batch) put_operation(payload, one.space, one.key, one.value ? &*one.value : nullptr);
    std::string record;
    put_record(record, log_salt_, log_sequence_ + 1, payload);
    if (Status appended = log_->append(record); !appended.ok()) {
      // What got in is cut off again, so that the next record does not follow a torn one.
      if (appended.code() != Code::no_space || !log_->truncate(log_bytes_).ok()) broken_ = true;
      return appended;
    }
    if (Status synced = log_->sync(); !synced.ok()) {
      broken_ = true;
      return Status(synced.code() == Code::no_space ? Code::io : synced.code(), synced.detail());
    }
    log_bytes_ += record.size();
    log_sequence_ += 1;
    CHECK(apply_payload(payload, maps_));
    // The batch is durable: what follows may fail without harm to it.
    if (log_bytes_ > roll_at_) roll();
    return {};
  }

  Status resume() override {
    return broken_ ? Status(Code::read_only, directory_ + ": the log failed; open it again") : Status();
  }

  bool reads_beside_writes() const override { return false; }

  Status checkpoint(const std::string& directory) override {
    TRY(disk_.make_directories(directory));
    TRY(write_checkpoint(directory + "/checkpoint.1.new"));
    TRY(disk_.rename(directory + "/checkpoint.1.new", directory + "/checkpoint.1"));
    return disk_.sync_directory(directory);
  }

 private:
  std::string path(const char* kind, uint64_t number) const {
    return directory_ + "/" + kind + "." + std::to_string(number);
  }

  // The newest checkpoint, then every log from its number on. Returns the number of the log to be started.
  Result<uint64_t> load() {
    std::vector<uint64_t> logs, checkpoints;
    for (const std::string& name : TRY(disk_.list(directory_))) {
      if (const auto n = number_in(name, "log.")) logs.push_back(*n);
      if (const auto n = number_in(name, "checkpoint.")) checkpoints.push_back(*n);
    }
    std::sort(logs.begin(), logs.end());
    const uint64_t first = checkpoints.empty() ? 1 : *std::max_element(checkpoints.begin(), checkpoints.end());
    if (!checkpoints.empty()) {
      const std::string file = path("checkpoint", first);
      const Replayed done = TRY(replay(file, TRY(read_file(disk_, file)), k_checkpoint_magic, maps_));
      if (!done.whole || !done.ended) return corrupt(file, "the checkpoint is damaged");
    }
    for (const uint64_t number : checkpoints) {
      if (number < first) (void)disk_.remove(path("checkpoint", number)).ok();
    }
    for (const uint64_t number : logs) {
      if (number < first) (void)disk_.remove(path("log", number)).ok();
    }
    std::erase_if(logs, [&](uint64_t number) { return number < first; });
    uint64_t next = first;
    for (const uint64_t number : logs) {
      if (number != next) return corrupt(path("log", next), "it is missing");
      if (TRY(load_log(number, number == logs.back()))) ++next;
    }
    oldest_ = first;
    return next;
  }

  // False: the last log holds nothing yet, and its number is free.
  Result<bool> load_log(uint64_t number, bool last) {
    const std::string file = path("log", number);
    const Replayed done = TRY(replay(file, TRY(read_file(disk_, file)), k_log_magic, maps_));
    if (done.whole) return true;
    if (!last) return corrupt(file, "it is damaged, and a later log exists");
    if (done.good_bytes == 0) return false;
    // Cut where it stands, so that it is whole when it is no longer the last.
    auto log = TRY(disk_.open(file, runtime::OpenMode::append));
    TRY(log->truncate(done.good_bytes));
    TRY(log->sync());
    return true;
  }

  static std::optional<uint64_t> number_in(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.begin(), name.end(), number);
    if (error != std::errc() || end != name.end() || number == 0 || number == UINT64_MAX) return std::nullopt;
    return number;
  }

  Status start_log(uint64_t number) {
    const uint64_t salt = random_.next();
    auto log = TRY(disk_.open(path("log", number), runtime::OpenMode::create));
    TRY(log->append(file_head(k_log_magic, salt)));
    TRY(log->sync());
    TRY(disk_.sync_directory(directory_));
    log_ = std::move(log);
    log_salt_ = salt;
    log_sequence_ = 0;
    log_bytes_ = k_file_head_bytes;
    log_number_ = number;
    roll_at_ = options_.log_bytes_max;
    return {};
  }

  void roll() {
    const uint64_t number = log_number_ + 1;
    const std::string target = path("checkpoint", number);
    if (!write_checkpoint(target + ".new").ok()) {
      (void)disk_.remove(target + ".new").ok();
      roll_at_ = log_bytes_ + options_.log_bytes_max;  // The log is longer than it should be; that is all.
      return;
    }
    // From the rename on the checkpoint speaks for this log: nothing more may be written to it.
    const bool rolled = disk_.rename(target + ".new", target).ok() && disk_.sync_directory(directory_).ok() &&
                        start_log(number).ok();
    broken_ = !rolled;
    if (broken_) return;
    for (; oldest_ < number; ++oldest_) {
      (void)disk_.remove(path("log", oldest_)).ok();
      (void)disk_.remove(path("checkpoint", oldest_)).ok();
    }
  }

  Status write_checkpoint(const std::string& file_path) {
    auto file = TRY(disk_.open(file_path, runtime::OpenMode::create));
    const uint64_t salt = random_.next();
    uint64_t sequence = 0;
    std::string out = file_head(k_checkpoint_magic, salt);
    std::string payload;
    for (size_t space = 0; space < 2; ++space) {
      for (const auto& [key, value] : maps_.of[space]) {
        put_operation(payload, static_cast<Space>(space), key, &value);
        if (payload.size() < k_checkpoint_record_bytes) continue;
        put_record(out, salt, ++sequence, payload);
        payload.clear();
        TRY(file->append(out));
        out.clear();
      }
    }
    if (!payload.empty()) put_record(out, salt, ++sequence, payload);
    put_record(out, salt, ++sequence, "");
    TRY(file->append(out));
    return file->sync();
  }

  runtime::Disk& disk_;
  const std::string directory_;
  const LogOptions options_;
  Random random_;  // Of salts.
  Maps maps_;
  std::unique_ptr<runtime::File> log_;
  uint64_t log_salt_ = 0;
  uint64_t log_sequence_ = 0;
  uint64_t log_bytes_ = 0;
  uint64_t log_number_ = 0;
  uint64_t roll_at_ = 0;
  uint64_t oldest_ = 1;  // What stands before is of no use.
  bool broken_ = false;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_log_backend(runtime::Disk& disk, uint64_t entropy, const std::string& directory,
                                                  LogOptions options) {
  auto backend = std::make_unique<LogBackend>(disk, entropy, directory, options);
  TRY(backend->open());
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace hongyan::store
