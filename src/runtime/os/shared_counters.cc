#include "runtime/os/shared_counters.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "runtime/os/errors.h"

namespace hongyan::runtime {
namespace {

bool same_file(const std::string& path, int descriptor) {
  struct stat there {}, here {};
  return lstat(path.c_str(), &there) == 0 && fstat(descriptor, &here) == 0 && there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

class MappedCounters : public CounterMemory {
 public:
  // Closes the descriptor, and lets the lock on it go, at its end.
  MappedCounters(std::string path, int descriptor, void* at, size_t size) : path_(std::move(path)), descriptor_(descriptor), at_(at), size_(size) {}
  ~MappedCounters() override {
    munmap(at_, size_);
    if (same_file(path_, descriptor_)) unlink(path_.c_str());  // Else another process has taken the path meanwhile.
    close(descriptor_);
  }
  std::span<char> bytes() override { return {static_cast<char*>(at_), size_}; }

 private:
  std::string path_;
  int descriptor_;
  void* at_;
  size_t size_;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Status failed(const std::string& path, int error) { return disk_error(error, "counters " + path); }

}  // namespace

Result<std::unique_ptr<CounterMemory>> make_shared_counters(const std::string& path) {
  if (rename(path.c_str(), (path + ".last").c_str()) != 0 && errno != ENOENT) return failed(path, errno);
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.number() < 0) return failed(path, errno);
  while (flock(file.number(), LOCK_SH) != 0 && errno == EINTR) {  // Who cleans up may hold it for a moment.
  }
  const size_t size = k_shared_counters.bytes();
  if (const int error = posix_fallocate(file.number(), 0, static_cast<off_t>(size)); error != 0) {
    unlink(path.c_str());
    return failed(path, error);
  }
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.number(), 0);
  if (at == MAP_FAILED) return failed(path, errno);
  return std::unique_ptr<CounterMemory>(new MappedCounters(path, file.release(), at, size));
}

// Read, not mapped: a file that somebody cuts meanwhile is then an error and not a signal.
Result<CounterSamples> read_shared_counters(const std::string& path) {
  constexpr size_t bytes_max = 64 << 20;  // Ours have 2 MiB; another version's may have more.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.number() < 0) return failed(path, errno);
  const off_t size = lseek(file.number(), 0, SEEK_END);
  if (size < 0 || static_cast<size_t>(size) > bytes_max) return Status(Code::corrupt, "counters " + path + ": not a file of counters");
  std::string bytes(static_cast<size_t>(size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = pread(file.number(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(path, errno);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return read_counters(std::span<const char>(bytes).first(have));
}

namespace {

constexpr std::string_view k_last = ".last";

std::string mine() { return fmt::format("hongyan-{}-", getuid()); }

// An opened file of counters of this user; number() < 0: it is none.
Descriptor open_counters(const std::string& path, CountersFile& about) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat state {};
  if (file.number() < 0 || fstat(file.number(), &state) != 0 || !S_ISREG(state.st_mode) || state.st_uid != getuid()) return Descriptor(-1);
  counter_format::Header header{};
  if (pread(file.number(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header))) return Descriptor(-1);
  if (std::memcmp(header.magic, counter_format::k_magic, sizeof(header.magic)) != 0) return Descriptor(-1);
  about = {.path = path, .process = header.process, .born_utc_ms = header.born_utc_ms};
  return file;
}

// Nobody holds it, and the process is not there: an older version held no lock. Whoever finds it dead has it locked.
bool is_dead(const Descriptor& file, const CountersFile& about) {
  if (about.process == 0 || flock(file.number(), LOCK_EX | LOCK_NB) != 0) return false;
  if (kill(static_cast<pid_t>(about.process), 0) != 0 && errno == ESRCH) return true;
  flock(file.number(), LOCK_UN);
  return false;
}

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

// The path of the server: without the number of its worker and without ".last".
std::string server_of(std::string_view path) {
  if (path.ends_with(k_last)) path.remove_suffix(k_last.size());
  const size_t dash = path.rfind('-');
  const std::string_view before = path.substr(0, dash);
  // "hongyan-1000-0a1b2c3d-4711": of a default path the third part is its own.
  if (dash != std::string_view::npos && is_number(path.substr(dash + 1)) && std::string(before.substr(before.rfind('/') + 1)) + "-" != mine()) return std::string(before);
  return std::string(path);
}

// Moves the dead file itself, not what somebody puts in its place at the same moment.
void take_away(const Descriptor& file, const std::string& path, const std::string& to) {
  const std::string aside = fmt::format("{}.{}", path, getpid());
  if (rename(path.c_str(), aside.c_str()) != 0) return;
  if (!same_file(aside, file.number())) {
    if (link(aside.c_str(), path.c_str()) == 0) unlink(aside.c_str());
  } else if (to.empty()) {
    unlink(aside.c_str());
  } else {
    rename(aside.c_str(), to.c_str());
  }
}

}  // namespace

std::vector<CountersFile> find_shared_counters(const std::string& directory) {
  std::vector<CountersFile> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (!entry.path().filename().string().starts_with(mine())) continue;
    CountersFile about;
    const Descriptor file = open_counters(entry.path().string(), about);
    if (file.number() < 0) continue;
    about.alive = !is_dead(file, about);
    found.push_back(std::move(about));
  }
  std::ranges::sort(found, {}, &CountersFile::path);
  return found;
}

void clean_shared_counters(const std::string& path) {
  const std::filesystem::path own(path);
  const std::string directory = own.parent_path().string(), own_name = own.filename().string();
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory.empty() ? "." : directory, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(mine()) || name.starts_with(own_name + "-")) paths.push_back(entry.path().string());
  }
  std::vector<std::string> running;
  std::vector<std::pair<int64_t, std::string>> own_dead;
  for (const std::string& one : paths) {
    CountersFile about;
    const Descriptor file = open_counters(one, about);
    if (file.number() < 0) continue;
    if (!is_dead(file, about)) {
      running.push_back(server_of(one));
    } else if (!one.ends_with(k_last) && one != path) {  // Its own path moves aside when it is taken.
      if (server_of(one) == path) own_dead.emplace_back(about.born_utc_ms, one);
      else take_away(file, one, "");
    }
  }
  std::ranges::sort(own_dead);
  for (const auto& [born, one] : own_dead) {
    CountersFile about;
    const Descriptor file = open_counters(one, about);
    if (file.number() >= 0 && is_dead(file, about)) take_away(file, one, path + std::string(k_last));
  }
  for (const std::string& one : paths) {
    if (!one.ends_with(k_last) || server_of(one) == path || std::ranges::find(running, server_of(one)) != running.end()) continue;
    CountersFile about;
    const Descriptor file = open_counters(one, about);
    if (file.number() >= 0 && is_dead(file, about)) take_away(file, one, "");
  }
}

std::string worker_counters_path(const std::string& path, int process) { return fmt::format("{}-{}", path, process); }

std::string default_counters_path(const std::string& data_directory) {
  std::error_code error;  // The directory may not be there yet: its name is what counts.
  const std::string full = std::filesystem::weakly_canonical(data_directory, error).string();
  uint64_t hash = 14695981039346656037u;  // FNV-1a: a name, no secret.
  for (const char c : full) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("/dev/shm/hongyan-{}-{:08x}", getuid(), static_cast<uint32_t>(hash ^ hash >> 32));
}

std::string counters_path(const std::string& setting, const std::string& data_directory) {
  if (setting == "none") return {};
  const std::string path = default_counters_path(data_directory);
  std::error_code error;
  if (setting.empty()) return path;
  return std::filesystem::is_directory(setting, error) ? setting + path.substr(path.rfind('/')) : setting;
}

}  // namespace hongyan::runtime
