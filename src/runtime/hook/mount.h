// Files that are not there: paths below a prefix are served by a FileService, such as one that
// calls another machine. An unmodified library opens, reads, writes, syncs, renames and removes
// them with libc's functions.
//
// Any thread may use them. On the Env's loop it must be a coroutine, which waits; a library's own
// thread blocks until the loop has run its call, so the loop must not wait for such a thread
// (runtime/hook/locks, if the library makes it wait) and must run until such threads have ended.
//
// Paths count as they are given: absolute, below the prefix, no "..". Not served: stdio (fopen),
// links, *at() with a directory's descriptor, writable shared mappings, handing a descriptor to
// another process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/env/env.h"

namespace hongyan::runtime::hook {

struct FileStatus {
  bool directory = false;
  uint64_t bytes = 0;
  int64_t modified_ms = 0;  // UTC.
};

struct OpenFlags {
  bool create = false;
  bool exclusive = false;  // Code::exists if it is there.
  bool truncate = false;
};

// What serves the files. Called in coroutines of the Env it is mounted in, outside of any Scope;
// it may wait as long as the call says. Paths are below the prefix and begin with "/". Codes become
// the error numbers a library knows: not_found ENOENT, exists EEXIST, busy EAGAIN, no_space ENOSPC,
// forbidden EACCES, invalid EINVAL, conflict ENOTEMPTY, deadline ETIMEDOUT, unsupported EOPNOTSUPP,
// anything else EIO.
class FileService {
 public:
  virtual ~FileService() = default;
  // A handle stays good when its file is renamed or removed.
  virtual Result<uint64_t> open(Call& call, const std::string& path, OpenFlags flags) = 0;
  virtual void close(Call& call, uint64_t handle) = 0;
  // At most k_piece_max bytes at once. A read is shorter only at the end of the file.
  virtual Result<std::string> read(Call& call, uint64_t handle, uint64_t offset, size_t bytes) = 0;
  virtual Status write(Call& call, uint64_t handle, uint64_t offset, std::string_view bytes) = 0;
  virtual Status append(Call& call, uint64_t handle, std::string_view bytes) = 0;
  virtual Status truncate(Call& call, uint64_t handle, uint64_t bytes) = 0;
  virtual Status sync(Call& call, uint64_t handle) = 0;
  virtual Result<FileStatus> status(Call& call, uint64_t handle) = 0;
  virtual Result<FileStatus> status(Call& call, const std::string& path) = 0;
  // Code::busy when another handle holds it. An unlock of what is not held is fine.
  virtual Status lock(Call& call, uint64_t handle, bool exclusive) = 0;
  virtual Status unlock(Call& call, uint64_t handle) = 0;
  virtual Status rename(Call& call, const std::string& from, const std::string& to) = 0;
  virtual Status remove(Call& call, const std::string& path) = 0;
  virtual Status make_directory(Call& call, const std::string& path) = 0;
  virtual Status remove_directory(Call& call, const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list(Call& call, const std::string& path) = 0;
};

// Fits a frame of rpc with room to spare.
inline constexpr size_t k_piece_max = 256 * 1024;

// Mounted while it lives. Its files are closed before (CHECK). On the Env's loop thread.
class Mount {
 public:
  // `prefix`: "/remote", without a slash at its end. A call from outside of a Scope, such as a
  // library's own thread, gets `limit` as its deadline.
  Mount(Env& env, std::string prefix, FileService& service, Duration limit = 60s);
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  const std::string& prefix() const { return prefix_; }

 private:
  friend struct Serving;
  Env& env_;
  const std::string prefix_;
  FileService& service_;
  const Duration limit_;
  uint64_t thread_ = 0;  // Of the loop.
};

}  // namespace hongyan::runtime::hook
