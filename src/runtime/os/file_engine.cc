#include "runtime/os/file_engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "runtime/env/files.h"

namespace hongyan::runtime {
namespace {

using Kind = FileOperation::Kind;

constexpr mode_t k_mode = 0600;  // Of new files: they hold people's messages.

uint8_t ring_operation(Kind kind) {
  switch (kind) {
    case Kind::open: return IORING_OP_OPENAT;
    case Kind::read: return IORING_OP_READ;
    case Kind::write: return IORING_OP_WRITE;
    case Kind::read_parts: return IORING_OP_READV;
    case Kind::write_parts: return IORING_OP_WRITEV;
    case Kind::sync:
    case Kind::sync_all: return IORING_OP_FSYNC;
    case Kind::status: return IORING_OP_STATX;
    case Kind::truncate: return k_uring_ftruncate;
    case Kind::close: return IORING_OP_CLOSE;
  }
  return 0;
}

void prepare(io_uring_sqe* sqe, FileOperation& one) {
  const auto offset = static_cast<uint64_t>(one.offset);
  switch (one.kind) {
    case Kind::open:
      return io_uring_prep_openat(sqe, AT_FDCWD, one.path.c_str(), one.flags, k_mode);
    case Kind::read:
      return io_uring_prep_read(sqe, one.number, one.bytes.data(),
                                static_cast<unsigned>(one.bytes.size()), offset);
    case Kind::write:
      return io_uring_prep_write(sqe, one.number, one.bytes.data() + one.done,
                                 static_cast<unsigned>(one.bytes.size() - one.done), offset);
    case Kind::read_parts:
      return io_uring_prep_readv(sqe, one.number, one.parts.data(),
                                 static_cast<unsigned>(one.parts.size()), offset);
    case Kind::write_parts:
      return io_uring_prep_writev(sqe, one.number, one.parts.data(),
                                  static_cast<unsigned>(one.parts.size()), offset);
    case Kind::sync: return io_uring_prep_fsync(sqe, one.number, IORING_FSYNC_DATASYNC);
    case Kind::sync_all: return io_uring_prep_fsync(sqe, one.number, 0);
    case Kind::status:
      return io_uring_prep_statx(sqe, one.number, "", AT_EMPTY_PATH, STATX_SIZE, one.status.get());
    case Kind::truncate:
      return io_uring_prep_rw(k_uring_ftruncate, sqe, one.number, nullptr, 0, offset);
    case Kind::close:
      io_uring_prep_close(sqe, one.number);
      // Else this thread would do what a last close is followed by, such as freeing a large file
      // that was removed.
      sqe->flags |= IOSQE_ASYNC;
      return;
  }
}

int64_t call_kernel(FileOperation& one) {
  switch (one.kind) {
    case Kind::open: return ::open(one.path.c_str(), one.flags, k_mode);
    case Kind::read: return ::pread(one.number, one.bytes.data(), one.bytes.size(), one.offset);
    case Kind::write:  // At the end: such files are opened with O_APPEND.
      return ::write(one.number, one.bytes.data() + one.done, one.bytes.size() - one.done);
    case Kind::read_parts:
      return one.offset < 0
                 ? ::readv(one.number, one.parts.data(), static_cast<int>(one.parts.size()))
                 : ::preadv(one.number, one.parts.data(), static_cast<int>(one.parts.size()),
                            one.offset);
    case Kind::write_parts:
      return one.offset < 0
                 ? ::writev(one.number, one.parts.data(), static_cast<int>(one.parts.size()))
                 : ::pwritev(one.number, one.parts.data(), static_cast<int>(one.parts.size()),
                             one.offset);
    case Kind::sync: return ::fdatasync(one.number);
    case Kind::sync_all: return ::fsync(one.number);
    case Kind::status: return ::statx(one.number, "", AT_EMPTY_PATH, STATX_SIZE, one.status.get());
    case Kind::truncate: return ::ftruncate(one.number, one.offset);
    case Kind::close: return ::close(one.number);
  }
  return 0;
}

}  // namespace

FileDescriptor::~FileDescriptor() { engine_.close(number_); }

// --- FileOperation ---

void FileOperation::perform() {
  do {
    result = call_kernel(*this);
  } while (result < 0 && errno == EINTR &&
           kind != Kind::close);  // A close has closed all the same.
  if (result < 0) result = -errno;
}

void FileOperation::on_completion(int32_t got, uint32_t) {
  // A file that was opened with O_NONBLOCK, or a worker of the ring that was told to stop.
  const bool not_done = (got == -EAGAIN || got == -EINTR) && kind != Kind::close;
  if (not_done && waiting_ != nullptr) return engine_->start_on_thread(*this);
  result = got;
  engine_->finished(*this);
}

// --- FileEngine ---

FileEngine::FileEngine(DescriptorPoller& poller, Scheduler& scheduler, Counters& counters, Log& log,
                       Uring* shared, FileEngineOptions options)
    : poller_(poller),
      scheduler_(scheduler),
      log_(log),
      on_ring_(counters.counter("hongyan_files_by_ring", "Operations on files that io_uring did")),
      on_threads_(
          counters.counter("hongyan_files_by_threads", "Operations on files that threads did")),
      abandoned_(counters.counter("hongyan_files_abandoned",
                                  "Operations on files that outlasted their call")),
      options_(std::move(options)),
      shared_(options_.threads_only ? nullptr : shared),
      never_(options_.threads_only) {}

FileEngine::~FileEngine() {
  CHECK(room_.empty());
  closing_ = true;
  while (under_way_ > 0) {
    threads_.reset();
    while (!in_threads_.empty())
      finished(**in_threads_.begin());  // It can't be told by the loop any more.
    Uring* const ring = made();
    if (under_way_ == 0 || ring == nullptr) break;
    if (!ring->of_this_thread()) break;  // The kernel may still be at it: the memory stays its own.
    ring->hand_over_and_wait(std::chrono::seconds(1));
    (void)ring->deliver();
  }
  if (own_ != nullptr) poller_.remove(own_->descriptor());
}

Uring* FileEngine::ring() {
  if (shared_ != nullptr) return shared_;
  if (never_) return nullptr;
  const bool left_behind = own_ != nullptr && under_way_ == 0 && !own_->of_this_thread();
  if (left_behind) {  // The loop has moved to another thread.
    poller_.remove(own_->descriptor());
    own_.reset();
  }
  if (own_ == nullptr) make_ring();
  return own_.get();
}

void FileEngine::make_ring() {
  UringOptions options = options_.ring;
  options.in_epoll = true;
  auto made = Uring::make(options);
  if (made.ok() && poller_.add((*made)->descriptor(), this)) {
    own_ = std::move(*made);
    return;
  }
  if (made.code() != Code::unsupported)
    return;  // For want of descriptors or memory: threads, this time.
  never_ = true;
  log_.info("runtime: files by threads: {}", made.status().detail());
}

Status FileEngine::run(const Call& call, const std::shared_ptr<FileOperation>& operation) {
  TRY(check_not_over(scheduler_, call));
  while (under_way_ >= k_operations_max) TRY(room_.wait(call.deadline, "files"));
  operation->waiting_ = scheduler_.running();
  start(operation);
  const Status waited = operation->finished_ ? Status() : scheduler_.park(call.deadline, "file");
  if (operation->finished_) return {};
  give_up(*operation);
  return waited;
}

void FileEngine::run_to_end(const std::shared_ptr<FileOperation>& operation) {
  while (under_way_ >= k_operations_max) room_.wait_uncancellable("files");
  operation->waiting_ = scheduler_.running();
  start(operation);
  if (!operation->finished_) scheduler_.park_uncancellable("file");
  CHECK(operation->finished_);
}

// Not counted against the limit: there are no more of them than files that were open.
void FileEngine::close(int number) {
  if (closing_) return static_cast<void>(::close(number));
  auto operation = std::make_shared<FileOperation>(Kind::close);
  operation->number = number;
  start(operation);
}

void FileEngine::start(const std::shared_ptr<FileOperation>& operation) {
  operation->engine_ = this;
  operation->self_ = operation;
  Uring* const ring = this->ring();
  ++under_way_;
  if (!start_on_ring(ring, *operation)) start_on_thread(*operation);
}

bool FileEngine::start_on_ring(Uring* ring, FileOperation& operation) {
  if (ring == nullptr || !ring->of_this_thread() || !ring->can(ring_operation(operation.kind)))
    return false;
  if (!ring->ask(&operation, [&](io_uring_sqe* sqe) { prepare(sqe, operation); })) return false;
  on_ring_.add(1);
  if (shared_ == nullptr) scheduler_.at_turn_end(flush_);  // Else the poller does it.
  return true;
}

void FileEngine::start_on_thread(FileOperation& operation) {
  if (threads_ == nullptr)
    threads_ = std::make_unique<ThreadLane>(scheduler_, "files", options_.threads);
  on_threads_.add(1);
  in_threads_.insert(&operation);
  threads_->start([&operation] { operation.perform(); },
                  [this, &operation] { finished(operation); });
}

void FileEngine::finished(FileOperation& operation) {
  const std::shared_ptr<FileOperation> self = std::exchange(operation.self_, nullptr);
  --under_way_;
  in_threads_.erase(&operation);
  operation.finished_ = true;
  if (Coroutine* const waiting = std::exchange(operation.waiting_, nullptr)) {
    scheduler_.wake(waiting);
  } else if (operation.kind == Kind::open && operation.result >= 0) {
    close(static_cast<int>(operation.result));  // Nobody wants it any more.
  }
  room_.wake_one();
}

// Nobody waits for it any more. The kernel is told, and may stop it or not.
void FileEngine::give_up(FileOperation& operation) {
  operation.waiting_ = nullptr;
  abandoned_.add(1);
  Uring* const ring = made();
  if (in_threads_.contains(&operation) || ring == nullptr || !ring->can(IORING_OP_ASYNC_CANCEL))
    return;
  (void)ring->ask(nullptr, [&](io_uring_sqe* sqe) {
    io_uring_prep_cancel(sqe, static_cast<Completion*>(&operation), 0);
  });
  if (shared_ == nullptr) scheduler_.at_turn_end(flush_);
}

void FileEngine::hand_over() {
  Uring* const ring = made();
  if (ring != nullptr && ring->anything_asked()) (void)ring->hand_over();
}

// What the kernel could do at once, such as reading what is in memory, is told in this turn.
void FileEngine::flush() {
  if (own_ == nullptr) return;
  if (!own_->hand_over()) scheduler_.at_turn_end(flush_);
  deliver(*own_);
}

}  // namespace hongyan::runtime
