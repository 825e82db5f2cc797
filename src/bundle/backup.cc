#include "bundle/backup.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace hongyan::bundle {

namespace {

constexpr std::string_view k_first_line = "hongyan-backup 1";
constexpr size_t k_chunk_bytes = 1024 * 1024;               // Of a file being copied.
constexpr size_t k_manifest_bytes_max = 64 * 1024 * 1024;   // 500,000 files; a store of 1 TiB has 16,000.
constexpr int k_depth_max = 4;                              // store/rocks/FILE is 3.
// Of this process, or of the moment: not data.
constexpr std::string_view k_left_out[] = {"lock", "server.json", "server.pid", "server.log", "store", "backup.part"};

struct FileEntry {
  std::string hash;  // Hex.
  uint64_t bytes = 0;
  std::string path;  // Below the backup.
};

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Copies and syncs; says what was copied.
Result<FileEntry> copy_file(runtime::Disk& disk, const std::string& from, const std::string& to) {
  auto source = TRY(disk.open(from, runtime::OpenMode::read));
  auto target = TRY(disk.open(to, runtime::OpenMode::create));
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  FileEntry entry;
  for (;;) {
    const std::string chunk = TRY(source->read_at(entry.bytes, k_chunk_bytes));
    if (chunk.empty()) break;
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(chunk.data()), chunk.size());
    TRY(target->append(chunk));
    entry.bytes += chunk.size();
  }
  TRY(target->sync());
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(hash.data()));
  entry.hash = to_hex(hash);
  return entry;
}

// Everything below `from`; `path` is where it stands in the backup.
Status copy_tree(runtime::Disk& disk, const std::string& from, const std::string& to, const std::string& path, int depth,
                 std::vector<FileEntry>& entries) {
  if (depth > k_depth_max) return Status(Code::invalid, from + " is nested deeper than a data directory");
  const auto names = disk.list(from);
  if (!names.ok()) {  // A file.
    FileEntry entry = TRY(copy_file(disk, from, to));
    entry.path = path;
    entries.push_back(std::move(entry));
    return {};
  }
  TRY(disk.make_directories(to));
  for (const std::string& name : *names) {
    TRY(copy_tree(disk, from + "/" + name, to + "/" + name, path.empty() ? name : path + "/" + name, depth + 1, entries));
  }
  return disk.sync_directory(to);
}

Status remove_tree(runtime::Disk& disk, const std::string& path, int depth = 0) {
  if (!disk.exists(path) || depth > k_depth_max) return {};
  if (const auto names = disk.list(path); names.ok()) {
    for (const std::string& name : *names) TRY(remove_tree(disk, path + "/" + name, depth + 1));
  }
  return disk.remove(path);
}

Status check_target_free(runtime::Disk& disk, const std::string& path) {
  if (!disk.exists(path)) return {};
  const auto names = disk.list(path);
  if (names.ok() && names->empty()) return {};
  return Status(Code::exists, path + " is there already; nothing is overwritten");
}

// `part` takes its final name, and stays there after a power cut.
Status put_in_place(runtime::Disk& disk, const std::string& part, const std::string& path) {
  TRY(disk.sync_directory(part));
  if (disk.exists(path)) TRY(disk.remove(path));  // Empty, or this fails.
  TRY(disk.rename(part, path));
  return disk.sync_directory(directory_of(path));
}

Status write_synced(runtime::Disk& disk, const std::string& path, std::string_view content) {
  auto file = TRY(disk.open(path, runtime::OpenMode::create));
  TRY(file->append(content));
  return file->sync();
}

std::string encode(const std::vector<FileEntry>& entries) {
  std::string text = std::string(k_first_line) + "\n";
  for (const FileEntry& entry : entries) text += fmt::format("{} {} {}\n", entry.hash, entry.bytes, entry.path);
  return text + fmt::format("end {}\n", entries.size());
}

// A path that leads out of the backup, or to somewhere deep, is none of ours.
bool well_formed(std::string_view path) {
  if (path.empty() || path.front() == '/' || std::count(path.begin(), path.end(), '/') >= k_depth_max) return false;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

std::optional<FileEntry> decode_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  FileEntry entry{.hash = std::string(line.substr(0, first)), .path = std::string(line.substr(second + 1))};
  const std::string_view number = line.substr(first + 1, second - first - 1);
  const auto [stop, code] = std::from_chars(number.begin(), number.end(), entry.bytes);
  if (code != std::errc() || stop != number.end() || !well_formed(entry.path)) return std::nullopt;
  return entry;
}

Result<std::vector<FileEntry>> decode(std::string_view text, const std::string& name) {
  std::vector<FileEntry> entries;
  for (int number = 1;; ++number) {
    const size_t end = text.find('\n');
    const auto bad = [&] { return Status(Code::corrupt, fmt::format("{}: line {} is damaged", name, number)); };
    if (end == std::string_view::npos) return bad();
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1) {
      if (line == k_first_line) continue;
      if (line.starts_with("hongyan-backup ")) return Status(Code::unsupported, name + " was written by a newer version as \"" + std::string(line) + "\"");
      return bad();
    }
    if (line == fmt::format("end {}", entries.size())) {
      if (!text.empty()) return bad();
      return entries;
    }
    const auto entry = decode_line(line);
    if (!entry) return bad();
    entries.push_back(*entry);
  }
}

Status copy_all(Env& env, const std::string& data, const std::string& snapshot, const std::string& part) {
  runtime::Disk& disk = env.disk();
  std::vector<FileEntry> entries;
  TRY(disk.make_directories(part));
  for (const std::string& name : TRY(disk.list(data))) {
    if (std::find(std::begin(k_left_out), std::end(k_left_out), name) != std::end(k_left_out) || name.ends_with(".new")) continue;
    TRY(copy_tree(disk, data + "/" + name, part + "/" + name, name, 1, entries));
  }
  TRY(copy_tree(disk, snapshot, part + "/store", "store", 1, entries));
  return write_synced(disk, part + "/" + k_backup_manifest, encode(entries));
}

}  // namespace

Status make_backup(Call& call, Env& env, store::OpenStore& store, const std::string& data_given, const std::string& to_given) {
  const std::string data = without_slash(data_given), to = without_slash(to_given);
  const std::string snapshot = data + "/backup.part";  // Beside the store: it links the store's files, which costs no room.
  const std::string part = to + ".part";
  runtime::Disk& disk = env.disk();
  Status status;
  env.pool().run([&] {
    status = check_target_free(disk, to);
    if (status.ok()) status = remove_tree(disk, snapshot);  // What an interrupted backup left.
    if (status.ok()) status = remove_tree(disk, part);
  });
  TRY(status);
  status = store::backup_store(call, env, store, store::EngineKind::rocks, snapshot);
  env.pool().run([&] {
    if (status.ok()) status = copy_all(env, data, snapshot, part);
    if (status.ok()) status = put_in_place(disk, part, to);
    const Status cleaned = remove_tree(disk, snapshot);
    if (status.ok()) status = cleaned;
    if (!status.ok()) (void)remove_tree(disk, part).ok();
  });
  return status;
}

Status restore_backup(Env& env, const std::string& from_given, const std::string& data_given) {
  const std::string from = without_slash(from_given), data = without_slash(data_given);
  runtime::Disk& disk = env.disk();
  TRY(check_target_free(disk, data));
  const std::string manifest = from + "/" + k_backup_manifest;
  if (!disk.exists(manifest)) return Status(Code::not_found, from + " is no backup: it has no " + k_backup_manifest);
  auto file = TRY(disk.open(manifest, runtime::OpenMode::read));
  const auto entries = TRY(decode(TRY(file->read_at(0, k_manifest_bytes_max)), manifest));

  const std::string part = data + ".part";
  TRY(remove_tree(disk, part));
  const auto copy = [&]() -> Status {
    for (const FileEntry& listed : entries) {
      const std::string source = from + "/" + listed.path, target = part + "/" + listed.path;
      if (!disk.exists(source)) return Status(Code::corrupt, source + " is missing");
      TRY(disk.make_directories(directory_of(target)));
      const FileEntry copied = TRY(copy_file(disk, source, target));
      if (copied.bytes != listed.bytes || copied.hash != listed.hash) {
        return Status(Code::corrupt, source + " is not what was backed up: its size or its hash differs");
      }
    }
    TRY(store::mark_restored(env, part + "/store"));
    for (const char* directory : {"/store/rocks", "/store"}) TRY(disk.sync_directory(part + directory));
    return put_in_place(disk, part, data);
  };
  const Status status = copy();
  if (!status.ok()) (void)remove_tree(disk, part).ok();
  return status;
}

}  // namespace hongyan::bundle
