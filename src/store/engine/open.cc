#include "store/engine/open.h"

#include <optional>

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::store {

namespace {

constexpr std::string_view k_format_rocks = "hongyan-store 1 rocks\n";
constexpr std::string_view k_format_log = "hongyan-store 1 log\n";
constexpr size_t k_small_file_bytes_max = 4096;

std::string_view format_of(EngineKind engine) { return engine == EngineKind::rocks ? k_format_rocks : k_format_log; }
std::string engine_directory(const std::string& directory, EngineKind engine) {
  return directory + (engine == EngineKind::rocks ? "/rocks" : "/log");
}

Result<std::string> read_small(runtime::Disk& disk, const std::string& path) {
  auto file = TRY(disk.open(path, runtime::OpenMode::read));
  return file->read_at(0, k_small_file_bytes_max);
}

Status write_small(runtime::Disk& disk, const std::string& directory, const std::string& name, std::string_view content) {
  const std::string path = directory + "/" + name;
  auto file = TRY(disk.open(path + ".new", runtime::OpenMode::create));
  TRY(file->append(content));
  TRY(file->sync());
  TRY(disk.rename(path + ".new", path));
  return disk.sync_directory(directory);
}

// The name of the format without its line's end, for messages.
std::string quoted(std::string_view line) { return '"' + std::string(line.substr(0, line.find('\n'))) + '"'; }

Status check_format(runtime::Disk& disk, const std::string& directory, EngineKind engine) {
  const std::string path = directory + "/FORMAT";
  if (!disk.exists(path)) {
    for (const std::string& name : TRY(disk.list(directory))) {
      if (name == "lock" || name == "FORMAT.new" || name == "restored.new") continue;
      return Status(Code::unsupported, directory + " has files but no FORMAT: it is no store, or an unfinished backup");
    }
    return write_small(disk, directory, "FORMAT", format_of(engine));
  }
  const std::string found = TRY(read_small(disk, path));
  if (found == format_of(engine)) return {};
  return Status(Code::unsupported, directory + " was written as " + quoted(found) + "; this version reads " +
                                       quoted(format_of(engine)) + ". Use the version that wrote it, or a newer one.");
}

// The salt and its checksum.
std::string salt_line(uint64_t salt) {
  std::string bytes;
  put_u64(bytes, salt);
  put_u32(bytes, crc32c(bytes));
  return to_hex(bytes) + "\n";
}

Result<uint64_t> restore_salt(runtime::Disk& disk, const std::string& directory) {
  const std::string path = directory + "/restored";
  if (!disk.exists(path)) return 0;
  const std::string content = TRY(read_small(disk, path));
  const auto bytes = from_hex(std::string_view(content).substr(0, 16));
  const uint64_t salt = bytes ? Reader(*bytes).u64().value_or(0) : 0;
  if (salt == 0 || content != salt_line(salt)) return Status(Code::corrupt, path + " is damaged");
  return salt;
}

}  // namespace

namespace {

Result<std::unique_ptr<OpenStore>> open_blocking(Env& env, OpenOptions options) {
  runtime::Disk& disk = env.disk();
  TRY(disk.make_directories(options.directory));
  auto lock = disk.lock(options.directory + "/lock");
  if (lock.code() == Code::busy) {
    return Status(Code::busy, "another server has " + options.directory + " open");
  }
  if (!lock.ok()) return lock.status();
  TRY(check_format(disk, options.directory, options.engine));
  const uint64_t salt = TRY(restore_salt(disk, options.directory));
  const std::string inside = engine_directory(options.directory, options.engine);
  auto backend = options.engine == EngineKind::rocks ? TRY(open_rocks_backend(env, inside, options.rocks))
                                                     : TRY(open_log_backend(disk, env.random_u64(), inside, options.log));
  auto shard = TRY(Shard::start(env, std::move(options.tables), std::move(backend), salt));
  return std::make_unique<OpenStore>(std::move(lock).value(), std::move(shard));
}

}  // namespace

Result<std::unique_ptr<OpenStore>> open_store(Env& env, OpenOptions options) {
  // RocksDB takes more stack than a coroutine has.
  std::optional<Result<std::unique_ptr<OpenStore>>> opened;
  env.scheduler().run_on_thread_stack([&] { opened.emplace(open_blocking(env, std::move(options))); });
  return std::move(*opened);
}

Status backup_store(Call& call, Env& env, OpenStore& store, EngineKind engine, const std::string& directory) {
  runtime::Disk& disk = env.disk();
  if (disk.exists(directory)) return Status(Code::exists, directory + " is there already");
  TRY(disk.make_directories(directory));
  TRY(store.shard().checkpoint(call, engine_directory(directory, engine)));
  const uint64_t salt = store.shard().restore_salt();
  if (salt != 0) TRY(write_small(disk, directory, "restored", salt_line(salt)));
  // Last of all: without it the directory is no store.
  return write_small(disk, directory, "FORMAT", format_of(engine));
}

Status mark_restored(Env& env, const std::string& directory) {
  runtime::Disk& disk = env.disk();
  if (!disk.exists(directory + "/FORMAT")) return Status(Code::not_found, directory + " holds no store");
  const auto lock = disk.lock(directory + "/lock");
  if (lock.code() == Code::busy) return Status(Code::busy, "a server has " + directory + " open");
  if (!lock.ok()) return lock.status();
  const uint64_t before = TRY(restore_salt(disk, directory));
  uint64_t salt = before;
  while (salt == 0 || salt == before) salt = env.random_u64();
  return write_small(disk, directory, "restored", salt_line(salt));
}

}  // namespace hongyan::store
