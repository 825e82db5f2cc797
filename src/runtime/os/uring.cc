#include "runtime/os/uring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace hongyan::runtime {
namespace {

// Asked for in one turn before the kernel is called in between; an entry is 64 bytes.
constexpr unsigned k_entries = 256;
// Finished and not yet delivered, 16 bytes each. More are kept by the kernel, with an allocation
// each.
constexpr unsigned k_completions = 4096;
// Taken at once.
constexpr unsigned k_batch = 64;
// Told before others have their turn, as many as epoll's: what is told may make more happen at
// once.
constexpr unsigned k_delivered_max = 256;

// The best first: Linux 6.1; 5.19; 5.11. With the first, what is left to do of an operation is done
// when this thread asks for it, all in one go and without interrupting it. Who watches the ring's
// descriptor hears nothing of such work, so there it is the second: a thread that sleeps is woken
// for it, one that runs is not interrupted.
constexpr unsigned k_kinds[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0};

// Waiting with a limit, completions that are never lost, a file's own position, and entries that
// may be overwritten once they are handed over. All of them are in Linux 5.11.
constexpr unsigned k_features =
    IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS | IORING_FEAT_SUBMIT_STABLE;

Status refusal(int error) {
  const bool passes = error == EMFILE || error == ENFILE || error == ENOMEM;
  return Status(passes ? Code::busy : Code::unsupported,
                std::string("io_uring: ") + std::strerror(error));
}

}  // namespace

Result<std::unique_ptr<Uring>> Uring::make(const UringOptions& options) {
  if (options.refused) return refusal(EPERM);
  std::unique_ptr<Uring> made(new Uring);
  int error = EINVAL;
  for (const unsigned kind : k_kinds) {
    if (options.in_epoll && kind == k_kinds[0]) continue;
    io_uring_params parameters{};
    // Disabled until the thread that will use it is known.
    parameters.flags = kind | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    parameters.cq_entries = k_completions;
    error = -io_uring_queue_init_params(k_entries, &made->ring_, &parameters);
    if (error == 0 && (parameters.features & k_features) != k_features) {
      io_uring_queue_exit(&made->ring_);
      error = ENOSYS;
    }
    if (error != EINVAL) break;
  }
  if (error != 0) {
    made->ring_.ring_fd = -1;
    return refusal(error);
  }
  io_uring_probe* probe = io_uring_get_probe_ring(&made->ring_);
  if (probe == nullptr) return refusal(ENOSYS);
  for (int i = 0; i <= probe->last_op && i < probe->ops_len; ++i) {
    made->operations_[probe->ops[i].op] = (probe->ops[i].flags & IO_URING_OP_SUPPORTED) != 0;
  }
  io_uring_free_probe(probe);
  for (const uint8_t operation : options.without) made->operations_[operation] = false;
  return made;
}

Uring::~Uring() {
  if (ring_.ring_fd >= 0) io_uring_queue_exit(&ring_);
}

bool Uring::can(uint8_t operation) const { return operations_[operation]; }

void Uring::enable() {
  enabled_ = true;
  owner_ = pthread_self();
  // liburing 2.3 does not export io_uring_enable_rings().
  CHECK(io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS,
                          nullptr, 0) == 0);
}

io_uring_sqe* Uring::entry() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe != nullptr) return sqe;
  hand_over();
  return io_uring_get_sqe(&ring_);
}

bool Uring::hand_over() {
  if (!enabled_) enable();
  while (anything_asked()) {
    const int taken = io_uring_submit(&ring_);
    // Without memory for it, or with too much undelivered: later.
    if (taken <= 0 && taken != -EINTR) return false;
  }
  return true;
}

void Uring::hand_over_and_settle() {
  if (!enabled_) enable();
  (void)io_uring_submit_and_get_events(&ring_);
}

void Uring::hand_over_and_wait(Duration limit) {
  if (!enabled_) enable();
  __kernel_timespec timeout{};
  timeout.tv_sec = limit / std::chrono::seconds(1);
  timeout.tv_nsec = limit % std::chrono::seconds(1) / std::chrono::nanoseconds(1);
  io_uring_cqe* first = nullptr;
  // Returns early for a signal, and when it can't take what is asked: who waits comes again.
  (void)io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

bool Uring::deliver() {
  if (!enabled_) return false;
  struct Told {
    Completion* completion;
    int32_t result;
    uint32_t flags;
  } told[k_batch];
  io_uring_cqe* finished[k_batch];
  for (unsigned left = k_delivered_max; left > 0;) {
    const unsigned count = io_uring_peek_batch_cqe(&ring_, finished, std::min(left, k_batch));
    if (count == 0) return false;
    left -= count;
    for (unsigned i = 0; i < count; ++i) {
      told[i] = {static_cast<Completion*>(io_uring_cqe_get_data(finished[i])), finished[i]->res,
                 finished[i]->flags};
    }
    io_uring_cq_advance(&ring_, count);  // Before they are told: who is told may ask for more.
    for (unsigned i = 0; i < count; ++i) {
      if (told[i].completion != nullptr)
        told[i].completion->on_completion(told[i].result, told[i].flags);
    }
  }
  return true;
}

}  // namespace hongyan::runtime
