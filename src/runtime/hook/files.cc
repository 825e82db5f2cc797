// read, write and their relatives, and the calls of files. A file of a Mount is its service's; a
// socket waits as in sockets.h; a regular file is read from the page cache at once and else, as it is
// written and synced, by io_uring or a thread (env/readiness.h); every other call that may wait for a
// disk runs on the pool; pipes and terminals wait until they are ready.
#undef _FORTIFY_SOURCE  // Its inline functions would have the names defined here.
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "runtime/hook/served.h"
#include "runtime/hook/sockets.h"
#include "runtime/hook/state.h"

namespace hongyan::runtime::hook {
namespace {

size_t total(const iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  return bytes;
}

// What is left of `parts` behind `bytes`.
std::vector<iovec> rest_of(const iovec* parts, int count, size_t bytes) {
  std::vector<iovec> rest;
  for (int i = 0; i < count; ++i) {
    const size_t gone = std::min(bytes, parts[i].iov_len);
    bytes -= gone;
    if (gone < parts[i].iov_len)
      rest.push_back({.iov_base = static_cast<char*>(parts[i].iov_base) + gone,
                      .iov_len = parts[i].iov_len - gone});
  }
  return rest;
}

// Bytes on a disk, which poll(2) calls always ready.
bool on_disk(int descriptor) {
  struct stat status {};
  if (raw(SYS_fstat, descriptor, &status) != 0) return false;
  return S_ISREG(status.st_mode) || S_ISBLK(status.st_mode) || S_ISDIR(status.st_mode);
}

// No waiting, whatever the descriptor; offset -1 is its own position. EOPNOTSUPP: it can't say.
ssize_t read_now(int descriptor, const iovec* parts, int count, off_t offset) {
  return raw(SYS_preadv2, descriptor, parts, count, offset, 0, RWF_NOWAIT);
}
ssize_t write_now(int descriptor, const iovec* parts, int count) {
  return raw(SYS_pwritev2, descriptor, parts, count, off_t{-1}, 0, RWF_NOWAIT);
}

ssize_t read_blocking(int descriptor, const iovec* parts, int count) {
  return raw(SYS_readv, descriptor, parts, count);
}
ssize_t write_blocking(int descriptor, const iovec* parts, int count) {
  return raw(SYS_writev, descriptor, parts, count);
}

// Less than asked for means the end to those who read files, so what was not in memory is fetched.
ssize_t read_disk(State& state, int descriptor, const iovec* parts, int count, off_t offset) {
  const size_t wanted = total(parts, count);
  const ssize_t had = read_now(descriptor, parts, count, offset);
  if (had == 0 || had == static_cast<ssize_t>(wanted)) return had;
  if (had < 0 && errno != EAGAIN && errno != EOPNOTSUPP && errno != ENOSYS) return had;
  const size_t done = had < 0 ? 0 : static_cast<size_t>(had);
  const std::vector<iovec> rest = rest_of(parts, count, done);
  const ssize_t more = on_file([&] {
    return state.readiness->read_file(descriptor, rest, offset < 0 ? offset : offset + static_cast<off_t>(done));
  });
  if (more < 0) return done > 0 ? static_cast<ssize_t>(done) : more;
  return static_cast<ssize_t>(done) + more;
}

ssize_t write_disk(State& state, int descriptor, const iovec* parts, int count, off_t offset) {
  return on_file([&] {
    return state.readiness->write_file(descriptor, std::span(parts, static_cast<size_t>(count)), offset);
  });
}

// Ready now, by poll(2).
bool ready(int descriptor, short events) {
  pollfd now{.fd = descriptor, .events = events, .revents = 0};
  timespec none{};
  return raw(SYS_ppoll, &now, 1, &none, nullptr, 0) != 0;
}

// Pipes, terminals, eventfds.
ssize_t read_other(State& state, int descriptor, const iovec* parts, int count) {
  return repeat(state, descriptor, POLLIN, 0, [&]() -> ssize_t {
    const ssize_t got = read_now(descriptor, parts, count, -1);
    if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return got;
    if (!ready(descriptor, POLLIN)) return errno = EAGAIN, -1;
    return read_blocking(descriptor, parts, count);
  });
}

ssize_t write_other(State& state, int descriptor, const iovec* parts, int count) {
  const size_t wanted = total(parts, count);
  size_t done = 0;
  do {
    std::vector<iovec> rest = rest_of(parts, count, done);
    if (rest.empty()) rest.assign(parts, parts + count);  // Nothing asked for: once, as it is.
    const ssize_t sent = repeat(state, descriptor, POLLOUT, 0, [&]() -> ssize_t {
      const ssize_t now = write_now(descriptor, rest.data(), static_cast<int>(rest.size()));
      if (now >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) return now;
      if (!ready(descriptor, POLLOUT)) return errno = EAGAIN, -1;
      iovec piece = rest[0];  // A pipe that is ready takes that much.
      piece.iov_len = std::min<size_t>(piece.iov_len, PIPE_BUF);
      return write_blocking(descriptor, &piece, 1);
    });
    if (sent < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    done += static_cast<size_t>(sent);
  } while (done < wanted && !nonblocking(descriptor));
  return static_cast<ssize_t>(done);
}

msghdr message_of(const iovec* parts, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(std::max(count, 0));
  return message;
}

ssize_t read_any(int descriptor, const iovec* parts, int count) {
  if (served::is_served(descriptor)) return served::read(descriptor, parts, count);
  State* state = active();
  if (state == nullptr || total(parts, count) == 0) return raw(SYS_readv, descriptor, parts, count);
  msghdr message = message_of(parts, count);
  const ssize_t got = receive_message(*state, descriptor, &message, 0);
  if (got >= 0 || errno != ENOTSOCK) return got;
  if (on_disk(descriptor)) return read_disk(*state, descriptor, parts, count, -1);
  return read_other(*state, descriptor, parts, count);
}

ssize_t write_any(int descriptor, const iovec* parts, int count) {
  if (served::is_served(descriptor)) return served::write(descriptor, parts, count);
  State* state = active();
  if (state == nullptr || total(parts, count) == 0)
    return raw(SYS_writev, descriptor, parts, count);
  const msghdr message = message_of(parts, count);
  const ssize_t sent = send_message(*state, descriptor, &message, 0);
  if (sent >= 0 || errno != ENOTSOCK) return sent;
  if (on_disk(descriptor)) return write_disk(*state, descriptor, parts, count, -1);
  return write_other(*state, descriptor, parts, count);
}

// `work` is a system call that may wait for a disk.
template <typename Work>
long on_pool_if_active(Work work) {
  State* state = active();
  return state == nullptr ? work() : in_pool(*state, work);
}

bool at_here(int directory, const char* path) { return directory == AT_FDCWD || path[0] == '/'; }

int status_at(int directory, const char* path, struct stat* into, int flags) {
  if (path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0 && served::is_served(directory))
    return served::status(directory, into);
  if (at_here(directory, path) && served::is_served(path)) return served::status(path, into);
  return static_cast<int>(
      on_pool_if_active([&] { return raw(SYS_newfstatat, directory, path, into, flags); }));
}

int rename_at(int from_directory, const char* from, int to_directory, const char* to) {
  const bool from_here = at_here(from_directory, from) && served::is_served(from);
  const bool to_here = at_here(to_directory, to) && served::is_served(to);
  if (from_here || to_here)
    return from_here && to_here ? served::rename(from, to) : (errno = EXDEV, -1);
  return static_cast<int>(on_pool_if_active(
      [&] { return raw(SYS_renameat2, from_directory, from, to_directory, to, 0); }));
}

int remove_at(int directory, const char* path, int flags) {
  if (at_here(directory, path) && served::is_served(path))
    return (flags & AT_REMOVEDIR) != 0 ? served::remove_directory(path) : served::remove_file(path);
  return static_cast<int>(
      on_pool_if_active([&] { return raw(SYS_unlinkat, directory, path, flags); }));
}

int open_at(int directory, const char* path, int flags, mode_t mode) {
  if (at_here(directory, path) && served::is_served(path)) return served::open(path, flags, mode);
  return static_cast<int>(
      on_pool_if_active([&] { return raw(SYS_openat, directory, path, flags, mode); }));
}

// Only there when a file may be made.
mode_t mode_of(int flags, va_list list) {
  const bool given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  return given ? static_cast<mode_t>(va_arg(list, unsigned)) : 0;
}

void about_to_close(int descriptor) {
  if (State* state = active()) state->readiness->closing(descriptor);
}

}  // namespace
}  // namespace hongyan::runtime::hook

using namespace hongyan::runtime::hook;  // What follows are libc's names.

extern "C" {

char hongyan_hook_files = 0;
void __chk_fail(void) __attribute__((noreturn));

ssize_t read(int descriptor, void* into, size_t bytes) {
  State* state = active();
  if (state == nullptr && !served::is_served(descriptor))
    return raw(SYS_read, descriptor, into, bytes);
  const iovec part{.iov_base = into, .iov_len = bytes};
  return read_any(descriptor, &part, 1);
}

ssize_t write(int descriptor, const void* from, size_t bytes) {
  State* state = active();
  if (state == nullptr && !served::is_served(descriptor))
    return raw(SYS_write, descriptor, from, bytes);
  const iovec part{.iov_base = const_cast<void*>(from), .iov_len = bytes};
  return write_any(descriptor, &part, 1);
}

ssize_t readv(int descriptor, const iovec* parts, int count) {
  return read_any(descriptor, parts, count);
}
ssize_t writev(int descriptor, const iovec* parts, int count) {
  return write_any(descriptor, parts, count);
}

ssize_t preadv(int descriptor, const iovec* parts, int count, off_t offset) {
  if (served::is_served(descriptor)) return served::read_at(descriptor, parts, count, offset);
  State* state = active();
  if (state == nullptr || offset < 0) return raw(SYS_preadv, descriptor, parts, count, offset, 0);
  return read_disk(*state, descriptor, parts, count, offset);
}
ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
  if (served::is_served(descriptor)) return served::write_at(descriptor, parts, count, offset);
  State* state = active();
  if (state == nullptr || offset < 0) return raw(SYS_pwritev, descriptor, parts, count, offset, 0);
  return write_disk(*state, descriptor, parts, count, offset);
}
ssize_t pread(int descriptor, void* into, size_t bytes, off_t offset) {
  const iovec part{.iov_base = into, .iov_len = bytes};
  return preadv(descriptor, &part, 1, offset);
}
ssize_t pwrite(int descriptor, const void* from, size_t bytes, off_t offset) {
  const iovec part{.iov_base = const_cast<void*>(from), .iov_len = bytes};
  return pwritev(descriptor, &part, 1, offset);
}
ssize_t preadv64(int descriptor, const iovec* parts, int count, off64_t offset) {
  return preadv(descriptor, parts, count, offset);
}
ssize_t pwritev64(int descriptor, const iovec* parts, int count, off64_t offset) {
  return pwritev(descriptor, parts, count, offset);
}
ssize_t pread64(int descriptor, void* into, size_t bytes, off64_t offset) {
  return pread(descriptor, into, bytes, offset);
}
ssize_t pwrite64(int descriptor, const void* from, size_t bytes, off64_t offset) {
  return pwrite(descriptor, from, bytes, offset);
}

ssize_t __read_chk(int descriptor, void* into, size_t bytes, size_t space) {
  if (bytes > space) __chk_fail();
  return read(descriptor, into, bytes);
}
ssize_t __pread_chk(int descriptor, void* into, size_t bytes, off_t offset, size_t space) {
  if (bytes > space) __chk_fail();
  return pread(descriptor, into, bytes, offset);
}
ssize_t __pread64_chk(int descriptor, void* into, size_t bytes, off64_t offset, size_t space) {
  if (bytes > space) __chk_fail();
  return pread(descriptor, into, bytes, offset);
}

off_t lseek(int descriptor, off_t offset, int whence) noexcept {
  if (served::is_served(descriptor)) return served::seek(descriptor, offset, whence);
  return raw(SYS_lseek, descriptor, offset, whence);
}
off64_t lseek64(int descriptor, off64_t offset, int whence) noexcept {
  return lseek(descriptor, offset, whence);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_at(directory, path, flags, mode);
}
int openat64(int directory, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_at(directory, path, flags, mode);
}
int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_at(AT_FDCWD, path, flags, mode);
}
int creat(const char* path, mode_t mode) {
  return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

int close(int descriptor) {
  about_to_close(descriptor);
  if (served::is_served(descriptor)) return served::close(descriptor);
  const auto close_it = [&] { return raw(SYS_close, descriptor); };
  // The last close of a file that was removed frees its blocks.
  State* state = active();
  const bool may_wait = state != nullptr && on_disk(descriptor);
  return static_cast<int>(may_wait ? in_pool(*state, close_it) : close_it());
}

int dup(int descriptor) noexcept {
  if (served::is_served(descriptor)) return served::duplicate(descriptor, 0, 0);
  return static_cast<int>(raw(SYS_dup, descriptor));
}
int dup3(int descriptor, int other, int flags) noexcept {
  about_to_close(other);
  if (served::is_served(other)) served::close(other);
  if (served::is_served(descriptor)) return served::duplicate_to(descriptor, other, flags);
  return static_cast<int>(raw(SYS_dup3, descriptor, other, flags));
}
int dup2(int descriptor, int other) noexcept {
  if (descriptor != other) return dup3(descriptor, other, 0);
  return raw(SYS_fcntl, descriptor, F_GETFD, 0) < 0 ? -1 : descriptor;
}

int fcntl(int descriptor, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);  // Every form fits; those without one are not read.
  va_end(list);
  if (served::is_served(descriptor)) return served::control(descriptor, command, argument);
  const auto ask = [&] { return raw(SYS_fcntl, descriptor, command, argument); };
  const bool may_wait = command == F_SETLKW || command == F_OFD_SETLKW;
  return static_cast<int>(may_wait ? on_pool_if_active(ask) : ask());
}
int fcntl64(int descriptor, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  return fcntl(descriptor, command, argument);
}
int flock(int descriptor, int operation) noexcept {
  if (served::is_served(descriptor)) {
    const int type = (operation & LOCK_UN) != 0   ? F_UNLCK
                     : (operation & LOCK_SH) != 0 ? F_RDLCK
                                                  : F_WRLCK;
    return served::lock(descriptor, type);
  }
  return static_cast<int>(on_pool_if_active([&] { return raw(SYS_flock, descriptor, operation); }));
}

int fsync(int descriptor) {
  if (served::is_served(descriptor)) return served::sync(descriptor);
  State* state = active();
  if (state == nullptr) return static_cast<int>(raw(SYS_fsync, descriptor));
  return static_cast<int>(on_file([&] { return state->readiness->sync_file(descriptor, false); }));
}
int fdatasync(int descriptor) {
  if (served::is_served(descriptor)) return served::sync(descriptor);
  State* state = active();
  if (state == nullptr) return static_cast<int>(raw(SYS_fdatasync, descriptor));
  return static_cast<int>(on_file([&] { return state->readiness->sync_file(descriptor, true); }));
}
int ftruncate(int descriptor, off_t bytes) noexcept {
  if (served::is_served(descriptor)) return served::truncate(descriptor, bytes);
  return static_cast<int>(on_pool_if_active([&] { return raw(SYS_ftruncate, descriptor, bytes); }));
}
int ftruncate64(int descriptor, off64_t bytes) noexcept { return ftruncate(descriptor, bytes); }
int truncate(const char* path, off_t bytes) noexcept {
  if (served::is_served(path)) return served::truncate(path, bytes);
  return static_cast<int>(on_pool_if_active([&] { return raw(SYS_truncate, path, bytes); }));
}
int truncate64(const char* path, off64_t bytes) noexcept { return truncate(path, bytes); }

int fstat(int descriptor, struct stat* into) noexcept {
  if (served::is_served(descriptor)) return served::status(descriptor, into);
  return static_cast<int>(raw(SYS_fstat, descriptor, into));
}
int fstat64(int descriptor, struct stat64* into) noexcept {
  return fstat(descriptor, reinterpret_cast<struct stat*>(into));  // One layout on 64 bits.
}
int fstatat(int directory, const char* path, struct stat* into, int flags) noexcept {
  return status_at(directory, path, into, flags);
}
int fstatat64(int directory, const char* path, struct stat64* into, int flags) noexcept {
  return status_at(directory, path, reinterpret_cast<struct stat*>(into), flags);
}
int stat(const char* path, struct stat* into) noexcept {
  return status_at(AT_FDCWD, path, into, 0);
}
int stat64(const char* path, struct stat64* into) noexcept {
  return status_at(AT_FDCWD, path, reinterpret_cast<struct stat*>(into), 0);
}
int lstat(const char* path, struct stat* into) noexcept {
  return status_at(AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW);
}
int lstat64(const char* path, struct stat64* into) noexcept {
  return status_at(AT_FDCWD, path, reinterpret_cast<struct stat*>(into), AT_SYMLINK_NOFOLLOW);
}
int access(const char* path, int mode) noexcept {
  struct stat status {};
  if (served::is_served(path)) return served::status(path, &status);
  return static_cast<int>(
      on_pool_if_active([&] { return raw(SYS_faccessat, AT_FDCWD, path, mode); }));
}

int rename(const char* from, const char* to) noexcept {
  return rename_at(AT_FDCWD, from, AT_FDCWD, to);
}
int renameat(int from_directory, const char* from, int to_directory, const char* to) noexcept {
  return rename_at(from_directory, from, to_directory, to);
}
int unlink(const char* path) noexcept { return remove_at(AT_FDCWD, path, 0); }
int unlinkat(int directory, const char* path, int flags) noexcept {
  return remove_at(directory, path, flags);
}
int rmdir(const char* path) noexcept { return remove_at(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) noexcept {
  if (remove_at(AT_FDCWD, path, 0) == 0) return 0;
  return errno == EISDIR ? remove_at(AT_FDCWD, path, AT_REMOVEDIR) : -1;
}
int mkdir(const char* path, mode_t mode) noexcept {
  if (served::is_served(path)) return served::make_directory(path);
  return static_cast<int>(
      on_pool_if_active([&] { return raw(SYS_mkdirat, AT_FDCWD, path, mode); }));
}

void* mmap(void* address, size_t bytes, int protection, int flags, int descriptor,
           off_t offset) noexcept {
  if (descriptor >= 0 && (flags & MAP_ANONYMOUS) == 0 && served::is_served(descriptor))
    return served::map(address, bytes, protection, flags, descriptor, offset);
  return reinterpret_cast<void*>(
      raw(SYS_mmap, address, bytes, protection, flags, descriptor, offset));
}
void* mmap64(void* address, size_t bytes, int protection, int flags, int descriptor,
             off64_t offset) noexcept {
  return mmap(address, bytes, protection, flags, descriptor, offset);
}

}  // extern "C"
