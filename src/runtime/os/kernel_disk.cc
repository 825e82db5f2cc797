#include "runtime/os/kernel_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "runtime/os/errors.h"

namespace hongyan::runtime {
namespace {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int operator*() const { return number_; }

 private:
  int number_;
};

int open_retrying(const std::string& path, int flags) {
  for (;;) {
    const int number = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (number >= 0 || errno != EINTR) return number;
  }
}

class KernelFile : public File {
 public:
  KernelFile(int number, std::string path) : descriptor_(number), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    if (failed_) return Status(Code::io, path_ + ": an earlier sync failed");
    while (!bytes.empty()) {
      const ssize_t written = ::write(*descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return disk_error(errno, path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

  // After a failed sync the kernel marks the lost pages clean, and a second one would succeed
  // wrongly.
  Status sync() override {
    if (failed_) return Status(Code::io, path_ + ": an earlier sync failed");
    while (::fdatasync(*descriptor_) != 0) {
      if (errno == EINTR) continue;
      failed_ = true;
      return disk_error(errno, path_);
    }
    return {};
  }

  Result<std::string> read_at(uint64_t offset, size_t bytes_max) override {
    const uint64_t end = TRY(size());  // Allocates for what is there, not for what was asked.
    if (offset >= end) return std::string();
    std::string bytes(std::min<uint64_t>(bytes_max, end - offset), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t got = ::pread(*descriptor_, bytes.data() + done, bytes.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return disk_error(errno, path_);
      if (got == 0) break;  // It shrank meanwhile.
      done += static_cast<size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

  Result<uint64_t> size() override {
    struct stat status {};
    if (::fstat(*descriptor_, &status) != 0) return disk_error(errno, path_);
    return static_cast<uint64_t>(status.st_size);
  }

  Status truncate(uint64_t size) override {
    while (::ftruncate(*descriptor_, static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return disk_error(errno, path_);
    }
    return {};
  }

 private:
  Descriptor descriptor_;
  std::string path_;
  bool failed_ = false;
};

class KernelLock : public FileLock {
 public:
  explicit KernelLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;  // flock ends with it.
};

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace

int open_flags(OpenMode mode) {
  if (mode == OpenMode::append) return O_RDWR | O_APPEND;
  if (mode == OpenMode::create) return O_RDWR | O_APPEND | O_CREAT | O_TRUNC;
  return O_RDONLY;
}

Result<std::unique_ptr<File>> KernelDisk::open(const std::string& path, OpenMode mode) {
  const int number = open_retrying(path, open_flags(mode));
  if (number < 0) return disk_error(errno, path);
  return std::unique_ptr<File>(new KernelFile(number, path));
}

Status KernelDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return disk_error(errno, from + " to " + to);
  return {};
}

Status KernelDisk::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0) return disk_error(errno, path);
  return {};
}

Result<std::vector<std::string>> KernelDisk::list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return disk_error(errno, directory);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return disk_error(error, directory);
  std::sort(names.begin(), names.end());
  return names;
}

Status KernelDisk::make_directories(const std::string& path) {
  if (path.empty() || is_directory(path)) return {};
  const std::string parent = parent_of(path);
  if (parent != path) TRY(make_directories(parent));
  if (::mkdir(path.c_str(), 0700) != 0) {
    const int error = errno;
    if (error == EEXIST && is_directory(path)) return {};  // "a/" after "a", or another was faster.
    return disk_error(error, path);
  }
  return sync_directory(parent);
}

Status KernelDisk::sync_directory(const std::string& path) {
  const Descriptor descriptor(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (*descriptor < 0) return disk_error(errno, path);
  while (::fsync(*descriptor) != 0) {
    if (errno != EINTR) return disk_error(errno, path);
  }
  return {};
}

bool KernelDisk::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::unique_ptr<FileLock>> KernelDisk::lock(const std::string& path) {
  Descriptor descriptor(open_retrying(path, O_RDWR | O_CREAT));
  if (*descriptor < 0) return disk_error(errno, path);
  while (::flock(*descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return Status(Code::busy, path + ": held by another process");
    return disk_error(errno, path);
  }
  return std::unique_ptr<FileLock>(new KernelLock(std::move(descriptor)));
}

}  // namespace hongyan::runtime
