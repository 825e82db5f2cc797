#include "runtime/os/shared_counters.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

#include "runtime/os/errors.h"

namespace hongyan::runtime {
namespace {

class MappedCounters : public CounterMemory {
 public:
  MappedCounters(std::string path, int descriptor, void* at, size_t size) : path_(std::move(path)), at_(at), size_(size) {
    if (fstat(descriptor, &file_) != 0) file_ = {};
  }
  ~MappedCounters() override {
    munmap(at_, size_);
    // Unless another process has taken the path meanwhile.
    struct stat there {};
    if (lstat(path_.c_str(), &there) == 0 && there.st_dev == file_.st_dev && there.st_ino == file_.st_ino) unlink(path_.c_str());
  }
  std::span<char> bytes() override { return {static_cast<char*>(at_), size_}; }

 private:
  std::string path_;
  struct stat file_ {};
  void* at_;
  size_t size_;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Status failed(const std::string& path, int error) { return disk_error(error, "counters " + path); }

}  // namespace

Result<std::unique_ptr<CounterMemory>> make_shared_counters(const std::string& path) {
  if (rename(path.c_str(), (path + ".last").c_str()) != 0 && errno != ENOENT) return failed(path, errno);
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.number() < 0) return failed(path, errno);
  const size_t size = k_shared_counters.bytes();
  if (const int error = posix_fallocate(file.number(), 0, static_cast<off_t>(size)); error != 0) {
    unlink(path.c_str());
    return failed(path, error);
  }
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.number(), 0);
  if (at == MAP_FAILED) return failed(path, errno);
  return std::unique_ptr<CounterMemory>(new MappedCounters(path, file.number(), at, size));
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

std::string default_counters_path(const std::string& data_directory) {
  std::error_code error;  // The directory may not be there yet: its name is what counts.
  const std::string full = std::filesystem::weakly_canonical(data_directory, error).string();
  uint64_t hash = 14695981039346656037u;  // FNV-1a: a name, no secret.
  for (const char c : full) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("/dev/shm/hongyan-{}-{:08x}", getuid(), static_cast<uint32_t>(hash ^ hash >> 32));
}

std::string counters_path(const std::string& setting, const std::string& data_directory) {
  if (setting == "none") return {};
  return setting.empty() ? default_counters_path(data_directory) : setting;
}

}  // namespace hongyan::runtime
