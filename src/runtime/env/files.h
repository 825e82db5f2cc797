// Files for coroutines. Whoever asks waits in the coroutine; its loop goes on, whatever the disk
// does. `Disk` (env.h) is the same for threads that may block, and has what is done to names.
//
// What only looks takes a Call and ends with it: the kernel may go on with a read that nobody waits
// for any more, into memory that is its own. What changes a file takes none and runs to its end: a
// write that is under way can't be taken back, and "it took too long" would say nothing of what the
// file holds.
//
// In coroutines of the Env it is of, and not after it. A path and bytes are handed over; nothing of
// the caller's memory is touched later.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/env/env.h"

namespace hongyan::runtime {

// One that was opened. Several may wait in it, also for different things; not while it is
// destroyed.
class AsyncFile {
 public:
  virtual ~AsyncFile() = default;  // Closes, without waiting for it.
  // Shorter only at the end of the file. Memory is taken for what is there, not for what was asked.
  virtual Result<std::string> read_at(Call& call, uint64_t offset, size_t bytes_max) = 0;
  virtual Result<uint64_t> size(Call& call) = 0;
  // At the end of the file. Code::no_space, Code::io; a part may be there then. Two at once: in
  // any order, each whole if it succeeds.
  virtual Status append(std::string bytes) = 0;
  // What was appended before is durable. Those who ask while one is under way share the next one.
  // An error is final: every later append and sync fails, since nobody knows what got to the disk.
  virtual Status sync() = 0;
  virtual Status truncate(uint64_t size) = 0;
};

class Files {
 public:
  virtual ~Files() = default;
  // Code::not_found. As Disk::open. Where a file may be made or emptied (OpenMode::create) the call
  // is looked at once, before: emptying it late would destroy what was written since.
  virtual Result<std::unique_ptr<AsyncFile>> open(Call& call, const std::string& path,
                                                  OpenMode mode) = 0;
};

// Any Disk, on the Env's pool: what Env::files() is where nothing better is known, and in the
// simulator. Waits for a read that has begun to end, then says whether the call was over.
std::shared_ptr<Files> make_disk_files(Env& env);

// What ends a wait before it begins: Code::cancelled, Code::deadline.
Status check_not_over(Scheduler& scheduler, const Call& call);

}  // namespace hongyan::runtime
