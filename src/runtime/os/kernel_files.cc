#include "runtime/os/kernel_files.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "runtime/os/errors.h"
#include "runtime/os/kernel_disk.h"

namespace hongyan::runtime {
namespace {

using Kind = FileOperation::Kind;
using Operation = std::shared_ptr<FileOperation>;

// Memory that is taken before it is known that the file has as much.
constexpr size_t k_read_at_once_max = 1 << 20;

class KernelAsyncFile : public AsyncFile {
 public:
  KernelAsyncFile(FileEngine& engine, int number, std::string path)
      : engine_(engine),
        file_(std::make_shared<const FileDescriptor>(engine, number)),
        path_(std::move(path)) {}

  Result<std::string> read_at(Call& call, uint64_t offset, size_t bytes_max) override {
    std::string all;
    while (all.size() < bytes_max) {
      const Operation read = make(Kind::read);
      read->bytes.resize(std::min(bytes_max - all.size(), k_read_at_once_max));
      read->offset = static_cast<int64_t>(offset + all.size());
      if (read->offset < 0) break;  // No file is that long.
      TRY(engine_.run(call, read));
      if (read->result < 0) return error(read->result);
      if (read->result == 0) break;
      read->bytes.resize(static_cast<size_t>(read->result));
      if (all.empty()) {
        all = std::move(read->bytes);
      } else {
        all += read->bytes;
      }
    }
    return all;
  }

  Result<uint64_t> size(Call& call) override {
    const Operation look = make(Kind::status);
    look->status = std::make_unique<struct statx>();
    TRY(engine_.run(call, look));
    if (look->result < 0) return error(look->result);
    return uint64_t{look->status->stx_size};
  }

  Status append(std::string bytes) override {
    if (failed_) return earlier_sync_failed();
    const size_t wanted = bytes.size();
    for (size_t done = 0; done < wanted;) {
      const Operation write = make(Kind::write);
      write->bytes = std::move(bytes);
      write->done = done;
      engine_.run_to_end(write);
      if (write->result < 0) return error(write->result);
      if (write->result == 0) return Status(Code::io, path_ + ": nothing was written");
      done += static_cast<size_t>(write->result);
      bytes = std::move(write->bytes);
    }
    return {};
  }

  // One at a time: of two the kernel would tell but one that pages were lost, and mark them clean,
  // and the other would succeed wrongly.
  Status sync() override {
    const uint64_t mine = begun_ + 1;  // One that is under way began too early for us.
    while (!failed_ && ended_ < mine) {
      if (begun_ > ended_) {
        synced_.wait_uncancellable("sync");
        continue;
      }
      ++begun_;
      const Operation sync = make(Kind::sync);
      engine_.run_to_end(sync);
      ended_ = begun_;
      failed_ = failed_ || sync->result < 0;
      synced_.wake_all();
      if (sync->result < 0) return error(sync->result);
    }
    return failed_ ? earlier_sync_failed() : Status();
  }

  Status truncate(uint64_t size) override {
    const Operation cut = make(Kind::truncate);
    cut->offset = static_cast<int64_t>(size);
    engine_.run_to_end(cut);
    return cut->result < 0 ? error(cut->result) : Status();
  }

 private:
  Operation make(Kind kind) const {
    auto operation = std::make_shared<FileOperation>(kind);
    operation->file = file_;
    operation->number = file_->number();
    return operation;
  }
  Status error(int64_t result) const { return disk_error(static_cast<int>(-result), path_); }
  Status earlier_sync_failed() const {
    return Status(Code::io, path_ + ": an earlier sync failed");
  }

  FileEngine& engine_;
  const std::shared_ptr<const FileDescriptor> file_;
  const std::string path_;
  bool failed_ = false;
  uint64_t begun_ = 0;  // Syncs.
  uint64_t ended_ = 0;
  WaitList synced_;
};

}  // namespace

Result<std::unique_ptr<AsyncFile>> KernelFiles::open(Call& call, const std::string& path,
                                                     OpenMode mode) {
  const auto open = std::make_shared<FileOperation>(Kind::open);
  open->path = path;
  open->flags = O_CLOEXEC | open_flags(mode);
  if (mode == OpenMode::create) {
    TRY(check_not_over(Scheduler::current(), call));
    engine_.run_to_end(open);
  } else {
    TRY(engine_.run(call, open));
  }
  if (open->result < 0) return disk_error(static_cast<int>(-open->result), path);
  return std::unique_ptr<AsyncFile>(
      new KernelAsyncFile(engine_, static_cast<int>(open->result), path));
}

}  // namespace hongyan::runtime
