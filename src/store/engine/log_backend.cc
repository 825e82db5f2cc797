#include "store/engine/log_backend.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::store {

namespace {

constexpr std::string_view k_log_magic = "HYLOG001";
constexpr std::string_view k_checkpoint_magic = "HYCHK001";
constexpr size_t k_record_head_bytes = 8;
// One batch of the shard is bounded to 8 MiB of rows; keys and lengths come on top.
constexpr size_t k_record_bytes_max = 32 * 1024 * 1024;
constexpr size_t k_read_bytes = 1024 * 1024;
constexpr size_t k_checkpoint_record_bytes = 64 * 1024;

using Map = std::map<std::string, std::string, std::less<>>;

Status corrupt(const std::string& path, const char* why) { return Status(Code::corrupt, path + ": " + why); }

void put_record(std::string& out, std::string_view payload) {
  put_u32(out, static_cast<uint32_t>(payload.size()));
  put_u32(out, crc32c(payload));
  out.append(payload);
}

void put_write(std::string& out, Space space, std::string_view key, const std::string* value) {
  put_u8(out, static_cast<uint8_t>(static_cast<uint8_t>(space) | (value == nullptr ? 0x80 : 0)));
  put_sized(out, key);
  if (value != nullptr) put_sized(out, *value);
}

bool apply_payload(std::string_view payload, Map (&maps)[2]) {
  Reader reader(payload);
  while (!reader.empty()) {
    const auto head = reader.u8();
    const auto key = reader.sized();
    if (!head || !key || (*head & 0x7f) > 1) return false;
    Map& map = maps[*head & 0x7f];
    if (*head & 0x80) {
      if (const auto found = map.find(*key); found != map.end()) map.erase(found);
      continue;
    }
    const auto value = reader.sized();
    if (!value) return false;
    map.insert_or_assign(std::string(*key), std::string(*value));
  }
  return true;
}

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

struct Replayed {
  size_t good_bytes = 0;  // Up to the end of the last whole record.
  bool whole = true;      // Nothing after it.
  bool ended = false;     // An empty record closed it (checkpoints).
};

Result<Replayed> replay(const std::string& path, std::string_view content, std::string_view magic, Map (&maps)[2]) {
  Replayed result;
  if (content.size() < magic.size()) {
    result.whole = content.empty();
    return result;
  }
  if (content.substr(0, 5) != magic.substr(0, 5)) return corrupt(path, "not a file of ours");
  if (content.substr(0, 8) != magic) return Status(Code::unsupported, path + ": written by another version");
  size_t at = magic.size();
  result.good_bytes = at;
  while (at < content.size()) {
    Reader reader(content.substr(at));
    const auto length = reader.u32();
    const auto sum = reader.u32();
    const auto payload = length && *length <= k_record_bytes_max ? reader.bytes(*length) : std::nullopt;
    if (!sum || !payload || crc32c(*payload) != *sum) {
      result.whole = false;
      return result;
    }
    if (payload->empty()) result.ended = true;
    if (!apply_payload(*payload, maps)) return corrupt(path, "a record with a good checksum can't be read");
    at = content.size() - reader.rest().size();
    result.good_bytes = at;
  }
  return result;
}

class MapCursor : public Cursor {
 public:
  explicit MapCursor(const Map& map) : map_(map), at_(map.end()) {}
  void seek(std::string_view key) override { at_ = map_.lower_bound(key); }
  void seek_before(std::string_view key) override {
    at_ = key.empty() ? map_.end() : map_.lower_bound(key);
    previous();
  }
  void next() override { ++at_; }
  void previous() override { at_ = at_ == map_.begin() ? map_.end() : std::prev(at_); }
  bool valid() const override { return at_ != map_.end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  Status status() const override { return {}; }

 private:
  const Map& map_;
  Map::const_iterator at_;
};

class LogBackend : public Backend {
 public:
  LogBackend(Env& env, std::string directory, LogOptions options)
      : disk_(env.disk()), directory_(std::move(directory)), options_(options) {}

  Status open() {
    TRY(disk_.make_directories(directory_));
    TRY(load());
    return start_log(next_number_);
  }

  Result<std::optional<std::string>> get(Space space, std::string_view key, Reach) override {
    const Map& map = maps_[static_cast<size_t>(space)];
    const auto found = map.find(key);
    return found == map.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
  }

  std::unique_ptr<Cursor> cursor(Space space, Reach) override {
    return std::make_unique<MapCursor>(maps_[static_cast<size_t>(space)]);
  }

  Status write(const std::vector<Write>& batch) override {
    if (broken_) return Status(Code::read_only, directory_ + ": the log failed; open it again");
    if (batch.empty()) return {};
    std::string payload;
    for (const Write& one : batch) put_write(payload, one.space, one.key, one.value ? &*one.value : nullptr);
    std::string record;
    put_record(record, payload);
    if (Status appended = log_->append(record); !appended.ok()) {
      // What got in is cut off again, so that the next record does not follow a torn one.
      if (appended.code() != Code::no_space || !log_->truncate(log_bytes_).ok()) broken_ = true;
      return appended;
    }
    if (Status synced = log_->sync(); !synced.ok()) {
      broken_ = true;
      return synced;
    }
    log_bytes_ += record.size();
    CHECK(apply_payload(payload, maps_));
    if (log_bytes_ > options_.log_bytes_max) return roll();
    return {};
  }

  bool reads_beside_writes() const override { return false; }

  Status checkpoint(const std::string& directory) override {
    TRY(disk_.make_directories(directory));
    TRY(write_checkpoint(directory, 1));
    return disk_.sync_directory(directory);
  }

 private:
  std::string path(const char* kind, uint64_t number) const {
    return directory_ + "/" + kind + "." + std::to_string(number);
  }

  // The newest complete checkpoint, then every log from its number on.
  Status load() {
    std::vector<uint64_t> logs, checkpoints;
    for (const std::string& name : TRY(disk_.list(directory_))) {
      if (const auto n = number_in(name, "log.")) logs.push_back(*n);
      if (const auto n = number_in(name, "checkpoint.")) checkpoints.push_back(*n);
    }
    std::sort(logs.begin(), logs.end());
    std::sort(checkpoints.rbegin(), checkpoints.rend());
    uint64_t first = 0;
    if (!checkpoints.empty()) {
      first = checkpoints.front();
      const std::string file = path("checkpoint", first);
      const Replayed done = TRY(replay(file, TRY(read_file(disk_, file)), k_checkpoint_magic, maps_));
      if (!done.whole || !done.ended) return corrupt(file, "the checkpoint is damaged");
    }
    for (size_t i = 0; i < logs.size(); ++i) {
      if (logs[i] < first) continue;
      const std::string file = path("log", logs[i]);
      const Replayed done = TRY(replay(file, TRY(read_file(disk_, file)), k_log_magic, maps_));
      const bool last = i + 1 == logs.size();
      if (!done.whole && !last) return corrupt(file, "a record in the middle of the log is damaged");
    }
    if (first == 0 && !logs.empty() && logs.front() != 1) return corrupt(directory_, "the first log is missing");
    next_number_ = std::max(logs.empty() ? 0 : logs.back(), first) + 1;
    oldest_log_ = logs.empty() ? next_number_ : logs.front();
    // A torn record is cut where it stands, so that it is never the middle of the log.
    return cut_last(logs);
  }

  Status cut_last(const std::vector<uint64_t>& logs) {
    if (logs.empty()) return {};
    const std::string file = path("log", logs.back());
    Map scratch[2];
    const std::string content = TRY(read_file(disk_, file));
    const Replayed done = TRY(replay(file, content, k_log_magic, scratch));
    if (done.whole && !content.empty()) return {};
    auto log = TRY(disk_.open(file, runtime::OpenMode::append));
    TRY(log->truncate(done.good_bytes));
    if (done.good_bytes == 0) TRY(log->append(k_log_magic));
    return log->sync();
  }

  static std::optional<uint64_t> number_in(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.begin(), name.end(), number);
    if (error != std::errc() || end != name.end() || number == 0) return std::nullopt;
    return number;
  }

  Status start_log(uint64_t number) {
    auto log = TRY(disk_.open(path("log", number), runtime::OpenMode::create));
    TRY(log->append(k_log_magic));
    TRY(log->sync());
    TRY(disk_.sync_directory(directory_));
    log_ = std::move(log);
    log_bytes_ = k_log_magic.size();
    log_number_ = number;
    next_number_ = number + 1;
    return {};
  }

  // The batch that led here is durable already: a failure only leaves the log long.
  Status roll() {
    const uint64_t number = next_number_;
    if (!write_checkpoint(directory_, number).ok()) return {};
    if (!start_log(number).ok()) {
      broken_ = true;  // The checkpoint claims everything before a log that is not there yet.
      return {};
    }
    for (; oldest_log_ < number; ++oldest_log_) {
      (void)disk_.remove(path("log", oldest_log_)).ok();
      (void)disk_.remove(path("checkpoint", oldest_log_)).ok();
    }
    return {};
  }

  Status write_checkpoint(const std::string& directory, uint64_t number) {
    const std::string target = directory + "/checkpoint." + std::to_string(number);
    auto file = TRY(disk_.open(target + ".new", runtime::OpenMode::create));
    std::string out(k_checkpoint_magic);
    std::string payload;
    for (size_t space = 0; space < 2; ++space) {
      for (const auto& [key, value] : maps_[space]) {
        put_write(payload, static_cast<Space>(space), key, &value);
        if (payload.size() < k_checkpoint_record_bytes) continue;
        put_record(out, payload);
        payload.clear();
        TRY(file->append(out));
        out.clear();
      }
    }
    if (!payload.empty()) put_record(out, payload);
    put_record(out, "");
    TRY(file->append(out));
    TRY(file->sync());
    TRY(disk_.rename(target + ".new", target));
    return disk_.sync_directory(directory);
  }

  runtime::Disk& disk_;
  const std::string directory_;
  const LogOptions options_;
  Map maps_[2];
  std::unique_ptr<runtime::File> log_;
  uint64_t log_bytes_ = 0;
  uint64_t log_number_ = 0;
  uint64_t next_number_ = 1;
  uint64_t oldest_log_ = 1;
  bool broken_ = false;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_log_backend(Env& env, const std::string& directory, LogOptions options) {
  auto backend = std::make_unique<LogBackend>(env, directory, options);
  TRY(backend->open());
  return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace hongyan::store
