#include "store/engine/open.h"

#include "base/bytes.h"

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

Status check_format(runtime::Disk& disk, const std::string& directory, EngineKind engine) {
  const std::string path = directory + "/FORMAT";
  if (!disk.exists(path)) return write_small(disk, directory, "FORMAT", format_of(engine));
  const std::string found = TRY(read_small(disk, path));
  if (found == format_of(engine)) return {};
  return Status(Code::unsupported, directory + " was written as \"" + found.substr(0, found.find('\n')) +
                                       "\"; this version reads \"" +
                                       std::string(format_of(engine).substr(0, format_of(engine).size() - 1)) +
                                       "\". Use the version that wrote it, or a newer one.");
}

Result<uint64_t> restore_salt(runtime::Disk& disk, const std::string& directory) {
  const std::string path = directory + "/restored";
  if (!disk.exists(path)) return 0;
  const std::string content = TRY(read_small(disk, path));
  const auto bytes = from_hex(std::string_view(content).substr(0, 16));
  if (!bytes || bytes->size() != 8) return Status(Code::corrupt, path + " is damaged");
  return Reader(*bytes).u64().value();
}

}  // namespace

Result<std::unique_ptr<OpenStore>> open_store(Env& env, OpenOptions options) {
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
                                                     : TRY(open_log_backend(env, inside, options.log));
  auto shard = TRY(Shard::start(env, std::move(options.tables), std::move(backend), salt));
  return std::make_unique<OpenStore>(std::move(lock).value(), std::move(shard));
}

Status backup_store(Call& call, Env& env, OpenStore& store, EngineKind engine, const std::string& directory) {
  runtime::Disk& disk = env.disk();
  if (disk.exists(directory)) return Status(Code::exists, directory + " is there already");
  TRY(disk.make_directories(directory));
  TRY(store.shard().checkpoint(call, engine_directory(directory, engine)));
  return write_small(disk, directory, "FORMAT", format_of(engine));
}

Status mark_restored(Env& env, const std::string& directory) {
  return write_small(env.disk(), directory, "restored", to_hex(env.random_bytes(8)) + "\n");
}

}  // namespace hongyan::store
