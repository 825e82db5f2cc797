#include "runtime/hook/mount.h"

#include <limits.h>
#include <sys/mman.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>

#include "base/check.h"
#include "runtime/hook/hook.h"
#include "runtime/hook/served.h"
#include "runtime/hook/state.h"

namespace hongyan::runtime::hook {
namespace {

// Descriptors above are looked up in the map at once.
constexpr int k_marked_descriptors = 1 << 16;

uint64_t this_thread() { return static_cast<uint64_t>(raw(SYS_gettid)); }

// One open of a file; descriptors made by dup() share it.
struct OpenFile {
  Mount* mount = nullptr;
  uint64_t handle = 0;
  int flags = 0;
  std::atomic<uint64_t> position{0};
};

// Libc's names belong to the process, and so does what is behind them: the one thing here that is
// no member of anything. Constant before any constructor runs.
struct Registry {
  std::mutex mutex;
  std::map<int, std::shared_ptr<OpenFile>>* files = nullptr;  // Both are made by the first Mount
  std::vector<Mount*>* mounts = nullptr;                      // and stay.
  std::atomic<int> mounted{0};
  std::atomic<int> beyond_marks{0};  // Served descriptors too high for a mark.
  std::atomic<uint64_t> marks[k_marked_descriptors / 64] = {};
};
constinit Registry registry;

void mark(int descriptor, bool served) {
  if (descriptor >= k_marked_descriptors) {
    registry.beyond_marks += served ? 1 : -1;
    return;
  }
  std::atomic<uint64_t>& word = registry.marks[descriptor / 64];
  const uint64_t bit = uint64_t{1} << (descriptor % 64);
  if (served) {
    word |= bit;
  } else {
    word &= ~bit;
  }
}

std::shared_ptr<OpenFile> file_of(int descriptor) {
  std::lock_guard lock(registry.mutex);
  const auto found = registry.files->find(descriptor);
  return found == registry.files->end() ? nullptr : found->second;
}

Mount* mount_of(std::string_view path) {
  if (registry.mounted.load(std::memory_order_relaxed) == 0) return nullptr;
  std::lock_guard lock(registry.mutex);
  for (Mount* mount : *registry.mounts) {
    const std::string& prefix = mount->prefix();
    if (path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/'))
      return mount;
  }
  return nullptr;
}

// "/remote//a/" of the mount "/remote" is "/a".
std::string below(const Mount& mount, std::string_view path) {
  path.remove_prefix(mount.prefix().size());
  std::string inner;
  for (const char c : path) {
    if (c != '/' || inner.empty() || inner.back() != '/') inner.push_back(c);
  }
  while (inner.size() > 1 && inner.back() == '/') inner.pop_back();
  return inner.empty() ? "/" : inner;
}

int errno_of(Code code) {
  switch (code) {
    case Code::ok: return 0;
    case Code::not_found: return ENOENT;
    case Code::exists: return EEXIST;
    case Code::busy: return EAGAIN;
    case Code::no_space: return ENOSPC;
    case Code::forbidden: return EACCES;
    case Code::read_only: return EROFS;
    case Code::invalid: return EINVAL;
    case Code::conflict: return ENOTEMPTY;
    case Code::deadline: return ETIMEDOUT;
    case Code::cancelled: return ECANCELED;
    case Code::unsupported: return EOPNOTSUPP;
    default: return EIO;
  }
}

}  // namespace

// Takes calls to a service into a coroutine of its mount's loop.
struct Serving {
  static Env& env(Mount& mount) { return mount.env_; }
  static FileService& service(Mount& mount) { return mount.service_; }

  // Runs work(call) and gives its Status as libc would: 0, or -1 and errno.
  template <typename Work>
  static int run(Mount& mount, Work work) {
    Status status;
    State* const state = active();
    void** const word = Scheduler::hook_word();
    if (word != nullptr && &Scheduler::current() == &mount.env_.scheduler()) {
      WithoutHooks without;  // The service is our own code.
      Call call = background_call(mount.env_, mount.limit_);
      if (state != nullptr) call.deadline = state->deadline;
      status = work(call);
    } else if (this_thread() == mount.thread_) {
      status = Status(Code::internal, "on the loop's thread, but in no coroutine");
    } else if (state != nullptr) {  // Another loop, which must not be blocked.
      state->env->pool().run([&] { status = from_a_thread(mount, work); });
    } else {
      status = from_a_thread(mount, work);
    }
    return status.ok() ? 0 : (errno = errno_of(status.code()), -1);
  }

  template <typename Work>
  static Status from_a_thread(Mount& mount, Work& work) {
    std::mutex mutex;
    std::condition_variable ended;
    std::optional<Status> status;
    Scheduler& scheduler = mount.env_.scheduler();
    const auto body = [&] {
      Call call = background_call(mount.env_, mount.limit_);
      Status outcome = work(call);
      std::lock_guard lock(mutex);  // Notified under it: the waiter's stack goes with the wait.
      status = std::move(outcome);
      ended.notify_one();
    };
    scheduler.post([&] { scheduler.spawn("served file", body); });
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return status.has_value(); });
    return *status;
  }
};

Mount::Mount(Env& env, std::string prefix, FileService& service, Duration limit)
    : env_(env),
      prefix_(std::move(prefix)),
      service_(service),
      limit_(limit),
      thread_(this_thread()) {
  CHECK(prefix_.size() > 1 && prefix_.front() == '/' && prefix_.back() != '/');
  std::lock_guard lock(registry.mutex);
  if (registry.mounts == nullptr) {
    registry.mounts = new std::vector<Mount*>;
    registry.files = new std::map<int, std::shared_ptr<OpenFile>>;
  }
  registry.mounts->push_back(this);
  ++registry.mounted;
}

Mount::~Mount() {
  std::lock_guard lock(registry.mutex);
  for (const auto& [descriptor, file] : *registry.files) {
    const bool every_file_is_closed = file->mount != this;
    CHECK(every_file_is_closed);
  }
  std::erase(*registry.mounts, this);
  --registry.mounted;
}

namespace served {
namespace {

// Puts a descriptor in place of the file. It is open for nothing: what is not served here fails
// with EBADF instead of reaching some other file.
int enter(std::shared_ptr<OpenFile> file, int descriptor) {
  if (descriptor < 0) return -1;
  std::lock_guard lock(registry.mutex);
  (*registry.files)[descriptor] = std::move(file);
  mark(descriptor, true);
  return descriptor;
}

int placeholder() {
  return static_cast<int>(raw(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0));
}

Status read_parts(Call& call, OpenFile& file, const iovec* parts, int count, uint64_t offset,
                  size_t& done) {
  FileService& service = Serving::service(*file.mount);
  for (int i = 0; i < count; ++i) {
    char* into = static_cast<char*>(parts[i].iov_base);
    for (size_t at = 0; at < parts[i].iov_len;) {
      const size_t piece = std::min(parts[i].iov_len - at, k_piece_max);
      const std::string bytes = TRY(service.read(call, file.handle, offset + done, piece));
      if (bytes.size() > piece) return Status(Code::internal, "more bytes than asked for");
      std::memcpy(into + at, bytes.data(), bytes.size());
      at += bytes.size();
      done += bytes.size();
      if (bytes.size() < piece) return {};
    }
  }
  return {};
}

Status write_parts(Call& call, OpenFile& file, const iovec* parts, int count, uint64_t offset,
                   size_t& done) {
  FileService& service = Serving::service(*file.mount);
  for (int i = 0; i < count; ++i) {
    const char* from = static_cast<const char*>(parts[i].iov_base);
    for (size_t at = 0; at < parts[i].iov_len;) {
      const std::string_view piece(from + at, std::min(parts[i].iov_len - at, k_piece_max));
      if ((file.flags & O_APPEND) != 0) {
        TRY(service.append(call, file.handle, piece));
      } else {
        TRY(service.write(call, file.handle, offset + done, piece));
      }
      at += piece.size();
      done += piece.size();
    }
  }
  return {};
}

void fill(struct stat* into, const FileStatus& status) {
  *into = {};
  into->st_mode = status.directory ? S_IFDIR | 0700 : S_IFREG | 0600;
  into->st_nlink = 1;
  into->st_size = static_cast<off_t>(status.bytes);
  into->st_blksize = 4096;
  into->st_blocks = static_cast<blkcnt_t>((status.bytes + 511) / 512);
  into->st_mtim.tv_sec = status.modified_ms / 1000;
  into->st_mtim.tv_nsec = status.modified_ms % 1000 * 1'000'000;
}

// A call about a path of a mount.
template <typename Work>
int about(const char* path, Work work) {
  Mount* mount = mount_of(path);
  if (mount == nullptr) return errno = ENOENT, -1;
  return Serving::run(*mount, [&](Call& call) -> Status {
    return work(call, Serving::service(*mount), below(*mount, path));
  });
}

template <typename Work>
int about(int descriptor, Work work) {
  const std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  return Serving::run(*file->mount, [&](Call& call) -> Status {
    return work(call, Serving::service(*file->mount), *file);
  });
}

}  // namespace

bool is_served(int descriptor) {
  if (descriptor < 0) return false;
  if (descriptor >= k_marked_descriptors)
    return registry.beyond_marks.load(std::memory_order_relaxed) != 0 &&
           file_of(descriptor) != nullptr;
  const uint64_t word = registry.marks[descriptor / 64].load(std::memory_order_acquire);
  return (word >> (descriptor % 64) & 1) != 0;
}

bool is_served(const char* path) {
  return registry.mounted.load(std::memory_order_relaxed) != 0 && path != nullptr &&
         mount_of(path) != nullptr;
}

int open(const char* path, int flags, mode_t) {
  Mount* mount = mount_of(path);
  auto file = std::make_shared<OpenFile>();
  const OpenFlags wanted{.create = (flags & O_CREAT) != 0,
                         .exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0,
                         .truncate = (flags & O_TRUNC) != 0};
  const int opened =
      about(path, [&](Call& call, FileService& service, std::string inner) -> Status {
        file->handle = TRY(service.open(call, inner, wanted));
        return {};
      });
  if (opened != 0) return -1;
  file->mount = mount;
  file->flags = flags & (O_ACCMODE | O_APPEND | O_NONBLOCK);
  const uint64_t handle = file->handle;
  const int descriptor = enter(std::move(file), placeholder());
  if (descriptor >= 0) return descriptor;
  const int error = errno;
  Serving::run(*mount, [&](Call& call) -> Status {
    Serving::service(*mount).close(call, handle);
    return {};
  });
  return errno = error, -1;
}

int close(int descriptor) {
  std::shared_ptr<OpenFile> file;
  bool last = true;
  {
    std::lock_guard lock(registry.mutex);
    const auto found = registry.files->find(descriptor);
    if (found == registry.files->end()) return errno = EBADF, -1;
    file = std::move(found->second);
    registry.files->erase(found);
    mark(descriptor, false);
    for (const auto& [other, open] : *registry.files) last = last && open != file;
  }
  raw(SYS_close, descriptor);
  if (!last) return 0;
  return Serving::run(*file->mount, [&](Call& call) -> Status {
    Serving::service(*file->mount).close(call, file->handle);
    return {};
  });
}

int duplicate(int descriptor, int at_least, int flags) {
  const int command = (flags & O_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD;
  std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  return enter(std::move(file), static_cast<int>(raw(SYS_fcntl, descriptor, command, at_least)));
}

int duplicate_to(int descriptor, int other, int flags) {
  std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  return enter(std::move(file), static_cast<int>(raw(SYS_dup3, descriptor, other, flags)));
}

ssize_t read_at(int descriptor, const iovec* parts, int count, off_t offset) {
  size_t done = 0;
  if (offset < 0) return errno = EINVAL, -1;
  const int result = about(descriptor, [&](Call& call, FileService&, OpenFile& file) -> Status {
    if ((file.flags & O_ACCMODE) == O_WRONLY) return Status(Code::invalid, "opened for writing");
    return read_parts(call, file, parts, count, static_cast<uint64_t>(offset), done);
  });
  return result == 0 || done > 0 ? static_cast<ssize_t>(done) : -1;
}

ssize_t write_at(int descriptor, const iovec* parts, int count, off_t offset) {
  size_t done = 0;
  if (offset < 0) return errno = EINVAL, -1;
  const int result = about(descriptor, [&](Call& call, FileService&, OpenFile& file) -> Status {
    if ((file.flags & O_ACCMODE) == O_RDONLY) return Status(Code::invalid, "opened for reading");
    return write_parts(call, file, parts, count, static_cast<uint64_t>(offset), done);
  });
  return result == 0 || done > 0 ? static_cast<ssize_t>(done) : -1;
}

ssize_t read(int descriptor, const iovec* parts, int count) {
  const std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  const ssize_t done = read_at(descriptor, parts, count, static_cast<off_t>(file->position.load()));
  if (done > 0) file->position += static_cast<uint64_t>(done);
  return done;
}

ssize_t write(int descriptor, const iovec* parts, int count) {
  const std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  const ssize_t done =
      write_at(descriptor, parts, count, static_cast<off_t>(file->position.load()));
  if (done > 0) file->position += static_cast<uint64_t>(done);
  return done;
}

off_t seek(int descriptor, off_t offset, int whence) {
  const std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  off_t base = 0;
  if (whence == SEEK_CUR) base = static_cast<off_t>(file->position.load());
  if (whence == SEEK_END) {
    struct stat now {};
    if (status(descriptor, &now) != 0) return -1;
    base = now.st_size;
  }
  if (whence > SEEK_END || offset < -base || offset > LLONG_MAX - base) return errno = EINVAL, -1;
  file->position = static_cast<uint64_t>(base + offset);
  return base + offset;
}

int sync(int descriptor) {
  return about(descriptor, [](Call& call, FileService& service, OpenFile& file) -> Status {
    return service.sync(call, file.handle);
  });
}

int truncate(int descriptor, off_t bytes) {
  if (bytes < 0) return errno = EINVAL, -1;
  return about(descriptor, [&](Call& call, FileService& service, OpenFile& file) -> Status {
    return service.truncate(call, file.handle, static_cast<uint64_t>(bytes));
  });
}

int truncate(const char* path, off_t bytes) {
  const int descriptor = open(path, O_WRONLY, 0);
  if (descriptor < 0) return -1;
  const int result = truncate(descriptor, bytes);
  const int error = errno;
  close(descriptor);
  return errno = error, result;
}

int status(int descriptor, struct stat* into) {
  return about(descriptor, [&](Call& call, FileService& service, OpenFile& file) -> Status {
    fill(into, TRY(service.status(call, file.handle)));
    return {};
  });
}

int status(const char* path, struct stat* into) {
  return about(path, [&](Call& call, FileService& service, std::string inner) -> Status {
    fill(into, TRY(service.status(call, inner)));
    return {};
  });
}

int control(int descriptor, int command, long argument) {
  const std::shared_ptr<OpenFile> file = file_of(descriptor);
  if (file == nullptr) return errno = EBADF, -1;
  switch (command) {
    case F_DUPFD: return duplicate(descriptor, static_cast<int>(argument), 0);
    case F_DUPFD_CLOEXEC: return duplicate(descriptor, static_cast<int>(argument), O_CLOEXEC);
    case F_GETFD:
    case F_SETFD: return static_cast<int>(raw(SYS_fcntl, descriptor, command, argument));
    case F_GETFL: return file->flags;
    case F_SETFL: return 0;
    case F_SETLK:
    case F_OFD_SETLK: return lock(descriptor, reinterpret_cast<struct flock*>(argument)->l_type);
    default: return errno = EINVAL, -1;
  }
}

int lock(int descriptor, int type) {
  return about(descriptor, [&](Call& call, FileService& service, OpenFile& file) -> Status {
    if (type == F_UNLCK) return service.unlock(call, file.handle);
    return service.lock(call, file.handle, type == F_WRLCK);
  });
}

int rename(const char* from, const char* to) {
  Mount* mount = mount_of(from);
  if (mount == nullptr || mount != mount_of(to)) return errno = EXDEV, -1;
  return about(from, [&](Call& call, FileService& service, std::string inner) -> Status {
    return service.rename(call, inner, below(*mount, to));
  });
}

int remove_file(const char* path) {
  return about(path, [](Call& call, FileService& service, std::string inner) -> Status {
    return service.remove(call, inner);
  });
}

int make_directory(const char* path) {
  return about(path, [](Call& call, FileService& service, std::string inner) -> Status {
    return service.make_directory(call, inner);
  });
}

int remove_directory(const char* path) {
  return about(path, [](Call& call, FileService& service, std::string inner) -> Status {
    return service.remove_directory(call, inner);
  });
}

int list(const char* path, std::vector<std::string>& names) {
  return about(path, [&](Call& call, FileService& service, std::string inner) -> Status {
    names = TRY(service.list(call, inner));
    return {};
  });
}

// A copy: what is written to the file later does not show, as MAP_PRIVATE leaves open.
void* map(void* address, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
  const bool would_write_back = (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0;
  if (would_write_back) return errno = ENODEV, MAP_FAILED;
  const int anonymous = (flags & MAP_FIXED) | MAP_PRIVATE | MAP_ANONYMOUS;
  const long start = raw(SYS_mmap, address, bytes, PROT_READ | PROT_WRITE, anonymous, -1, 0L);
  void* const memory = reinterpret_cast<void*>(start);
  if (memory == MAP_FAILED) return memory;
  const iovec part{.iov_base = memory, .iov_len = bytes};
  if (read_at(descriptor, &part, 1, offset) >= 0 &&
      raw(SYS_mprotect, memory, bytes, protection) == 0)
    return memory;
  const int error = errno;
  raw(SYS_munmap, memory, bytes);
  return errno = error, MAP_FAILED;
}

}  // namespace served
}  // namespace hongyan::runtime::hook
