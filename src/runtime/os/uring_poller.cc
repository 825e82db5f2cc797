#include "runtime/os/uring_poller.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

// The longest sleep, so that a time far away does not overflow what the kernel counts in.
constexpr Duration k_sleep_max = 1h;
// What the kernel had no memory for is asked again this often.
constexpr Duration k_ask_again = 10ms;
constexpr unsigned k_events = POLLIN | POLLOUT | POLLRDHUP;
static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLRDHUP == EPOLLRDHUP &&
              POLLERR == EPOLLERR && POLLHUP == EPOLLHUP);

}  // namespace

// One descriptor that is or was watched. Lives until the kernel has said its last word about it.
class UringPoller::Watch : public Completion {
 public:
  Watch(UringPoller& poller, int descriptor, Watcher* watcher)
      : poller_(poller), descriptor_(descriptor), watcher_(watcher) {}

  void on_completion(int32_t result, uint32_t flags) override {
    armed_ = (flags & IORING_CQE_F_MORE) != 0;
    if (watcher_ == nullptr) {
      if (!armed_) poller_.forget(*this);
      return;
    }
    if (!armed_ && result < 0) {
      poller_.refused_.push_back(this);
      return;
    }
    // A poll that has ended, since the kernel ran short of room for what it tells, begins anew and
    // tells what is possible then: no edge is lost.
    if (!armed_) poller_.arm(*this);
    watcher_->on_events(static_cast<uint32_t>(result));
  }

 private:
  friend class UringPoller;
  UringPoller& poller_;
  const int descriptor_;
  Watcher* watcher_;  // Null: removed.
  bool armed_ = false;
};

UringPoller::UringPoller(std::unique_ptr<Uring> ring) : ring_(std::move(ring)) {
  CHECK(ring_->can(IORING_OP_POLL_ADD) && ring_->can(IORING_OP_ASYNC_CANCEL));
  add(wakeup_.descriptor(), &wakeup_watcher_);
}

UringPoller::~UringPoller() = default;

Time UringPoller::now() { return monotonic_now(); }

void UringPoller::poll(Time limit) {
  const bool on_the_thread_of_the_ring = ring_->of_this_thread();
  CHECK(on_the_thread_of_the_ring);
  const Time start = now();
  end_turn(start);
  if (!refused_.empty()) limit = std::min(limit, after(start, k_ask_again));
  if (limit > start) {
    ring_->hand_over_and_wait(std::min(limit - start, k_sleep_max));
  } else if (ring_->anything_asked()) {
    ring_->hand_over_and_settle();
  }
  begin_turn(now());
  (void)ring_->deliver();  // The rest in the next turn.
  if (!refused_.empty()) ask_again();
}

bool UringPoller::add(int descriptor, Watcher* watcher) {
  auto made = std::make_unique<Watch>(*this, descriptor, watcher);
  Watch* watch = made.get();
  watches_.emplace(watch, std::move(made));
  by_descriptor_[descriptor] = watch;
  arm(*watch);
  return true;
}

void UringPoller::remove(int descriptor) {
  const auto found = by_descriptor_.find(descriptor);
  if (found == by_descriptor_.end()) return;  // Was not watched yet.
  Watch& watch = *found->second;
  by_descriptor_.erase(found);
  watch.watcher_ = nullptr;
  if (watch.armed_) {
    disarm(watch);
  } else {
    forget(watch);
  }
}

void UringPoller::arm(Watch& watch) {
  watch.armed_ = ring_->ask(&watch, [&](io_uring_sqe* sqe) {
    io_uring_prep_poll_multishot(sqe, watch.descriptor_, k_events);
  });
  if (!watch.armed_) refused_.push_back(&watch);
}

// Its end is told to it as the end of its poll. By a general cancel, which also ends a poll that
// has something to tell; IORING_OP_POLL_REMOVE would answer EALREADY and leave it.
void UringPoller::disarm(Watch& watch) {
  const bool asked = ring_->ask(nullptr, [&](io_uring_sqe* sqe) {
    io_uring_prep_cancel(sqe, static_cast<Completion*>(&watch), 0);
  });
  if (!asked) return refused_.push_back(&watch);
  if (ring_->of_this_thread()) ring_->hand_over_and_settle();
}

void UringPoller::ask_again() {
  for (Watch* watch : std::exchange(refused_, {})) {
    if (watch->watcher_ != nullptr) {
      arm(*watch);
    } else {
      disarm(*watch);
    }
  }
}

void UringPoller::forget(Watch& watch) {
  std::erase(refused_, &watch);
  watches_.erase(&watch);
}

}  // namespace hongyan::runtime
