// One io_uring of one thread: what a turn of the loop asks of the kernel is handed over at once,
// what is finished is told to whoever asked. Knows nothing of files and sockets.
//
// The ring belongs to the thread that hands over first. What is asked may be limited by the kernel
// at any time (ask() is false then); what was asked is told exactly once, or, of those that repeat,
// until told without IORING_CQE_F_MORE. Memory that an entry points to lives until then.
#pragma once

#include <liburing.h>
#include <pthread.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "runtime/time.h"

namespace hongyan::runtime {

// Truncating is younger (Linux 6.9) than the header.
inline constexpr uint8_t k_uring_ftruncate = 55;

class Completion {
 public:
  // As the system call's result: -errno for an error. Called from deliver(); may ask for more.
  virtual void on_completion(int32_t result, uint32_t flags) = 0;

 protected:
  ~Completion() = default;
};

struct UringOptions {
  bool in_epoll = false;              // Its descriptor is watched, instead of its being waited in.
  bool refused = false;               // As if the kernel refused rings.
  std::vector<uint8_t> without = {};  // As if it did not know these operations.
};

class Uring {
 public:
  // Code::busy: not now, for want of descriptors or memory. Code::unsupported: never; the detail
  // says why.
  static Result<std::unique_ptr<Uring>> make(const UringOptions& options);
  ~Uring();
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  bool can(uint8_t operation) const;  // IORING_OP_READ and its relatives.
  int descriptor() const { return ring_.ring_fd; }

  // `prepare` fills the entry by an io_uring_prep_ function; `completion` (null: nobody) is told.
  // False: the kernel takes no more for the moment.
  template <typename Prepare>
  bool ask(Completion* completion, Prepare prepare) {
    io_uring_sqe* sqe = entry();
    if (sqe == nullptr) return false;
    prepare(sqe);
    io_uring_sqe_set_data(sqe, completion);
    return true;
  }
  // False: another thread has handed over before, and this one can't.
  bool of_this_thread() const { return !enabled_ || pthread_equal(owner_, pthread_self()) != 0; }
  bool anything_asked() const { return io_uring_sq_ready(&ring_) > 0; }

  // Gives the kernel what was asked for. False: it did not take all of it; to be done again.
  bool hand_over();
  // The same, and what the kernel has pending for this thread is done when it returns: a descriptor
  // whose watch was taken away is let go.
  void hand_over_and_settle();
  // The same, and waits for something to deliver.
  void hand_over_and_wait(Duration limit);
  bool deliver();  // True: there may be more.

 private:
  Uring() = default;
  io_uring_sqe* entry();
  void enable();

  io_uring ring_{};
  bool enabled_ = false;
  pthread_t owner_{};
  bool operations_[256] = {};
};

}  // namespace hongyan::runtime
