// What the kernel is asked to do to files, for coroutines that wait: by the thread's io_uring, and
// by threads of its own for what the ring, or this kernel, does not do. Nothing here blocks the
// loop.
//
// An operation owns the memory the kernel reads or fills, and the descriptor; it lives until the
// kernel is done with it, whether somebody still waits or not. At most k_operations_max are under
// way; who wants more waits for a turn.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/log/log.h"
#include "runtime/os/descriptor_poller.h"
#include "runtime/os/thread_lane.h"
#include "runtime/os/uring.h"

struct iovec;

namespace hongyan::runtime {

class FileEngine;

// A descriptor that is closed, without waiting for it, when nobody needs it any more.
class FileDescriptor {
 public:
  FileDescriptor(FileEngine& engine, int number) : engine_(engine), number_(number) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }

 private:
  FileEngine& engine_;
  const int number_;
};

class FileOperation : public Completion {
 public:
  enum class Kind : uint8_t {
    open,
    read,
    write,
    read_parts,
    write_parts,
    sync,
    sync_all,
    status,
    truncate,
    close
  };
  explicit FileOperation(Kind kind) : kind(kind) {}

  const Kind kind;
  int flags = 0;    // Of open.
  int number = -1;  // The descriptor, and who keeps it open, if that is us.
  std::shared_ptr<const FileDescriptor> file;
  std::string path;                // Of open.
  std::string bytes;               // Written, or read into.
  size_t done = 0;                 // Of `bytes`: written before.
  std::span<const ::iovec> parts;  // Of *_parts: memory of who runs it to its end.
  int64_t offset =
      -1;  // Of read and write; -1: the descriptor's own position. Of truncate: the size.
  std::unique_ptr<struct ::statx> status;  // Of status.
  int64_t result = 0;  // When it is done: as the system call's, -errno for an error.

 private:
  friend class FileEngine;
  void on_completion(int32_t result, uint32_t flags) override;
  void perform();  // On a thread that may block.

  FileEngine* engine_ = nullptr;
  std::shared_ptr<FileOperation> self_;  // While it is under way.
  Coroutine* waiting_ = nullptr;
  bool finished_ = false;
};

struct FileEngineOptions {
  bool threads_only = false;
  int threads = 4;  // Of what the ring does not do. A disk wants several requests at once; more
                    // would not be faster.
  UringOptions ring = {};
};

class FileEngine : private Watcher {
 public:
  // Buffers of 64 KiB each would be 16 MiB.
  static constexpr size_t k_operations_max = 256;

  // `shared`: the ring the poller waits in; null: one of its own, made when it is first needed and
  // watched by `poller`.
  FileEngine(DescriptorPoller& poller, Scheduler& scheduler, Counters& counters, Log& log,
             Uring* shared, FileEngineOptions options = {});
  ~FileEngine()
      override;  // Waits for what is under way. No coroutine waits here, and all files are closed.

  // In a coroutine. ok: operation->result. Else the wait ended with the call (Code::deadline,
  // Code::cancelled), perhaps before it began; what goes on then is undone if it can be: a file
  // that was opened is closed.
  Status run(const Call& call, const std::shared_ptr<FileOperation>& operation);
  // Whatever happens to the caller.
  void run_to_end(const std::shared_ptr<FileOperation>& operation);
  void close(int number);  // Nobody waits.
  // What was asked of a descriptor that somebody else will close is on its way when this returns.
  void hand_over();

  size_t under_way() const { return under_way_; }
  bool by_ring() { return ring() != nullptr; }  // Now, of most.

 private:
  friend class FileOperation;
  class Flush : public TurnEnd {
   public:
    explicit Flush(FileEngine& engine) : engine_(engine) {}
    void on_turn_end() override { engine_.flush(); }

   private:
    FileEngine& engine_;
  };
  void on_events(uint32_t) override { deliver(*own_); }
  Uring* ring();  // Makes one, if need be.
  Uring* made() const { return shared_ != nullptr ? shared_ : own_.get(); }
  void make_ring();
  void start(const std::shared_ptr<FileOperation>& operation);
  bool start_on_ring(Uring* ring, FileOperation& operation);
  void start_on_thread(FileOperation& operation);
  void finished(FileOperation& operation);
  void give_up(FileOperation& operation);
  void flush();
  // All of it: by edges nobody would tell of the rest.
  static void deliver(Uring& ring) {
    while (ring.deliver()) {
    }
  }

  DescriptorPoller& poller_;
  Scheduler& scheduler_;
  Log& log_;
  Counter &on_ring_, &on_threads_, &abandoned_;
  const FileEngineOptions options_;
  Uring* const shared_;
  std::unique_ptr<Uring> own_;
  bool never_ = false;  // There will be no ring.
  bool closing_ = false;
  Flush flush_{*this};
  std::unique_ptr<ThreadLane> threads_;
  size_t under_way_ = 0;
  std::set<FileOperation*> in_threads_;  // Of these.
  WaitList room_;
};

}  // namespace hongyan::runtime
