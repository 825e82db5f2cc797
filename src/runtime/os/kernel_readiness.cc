#include "runtime/os/kernel_readiness.h"

#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/check.h"

namespace hongyan::runtime {
namespace {

// Taken from the kernel at once; there is no limit to how many are taken in a turn.
constexpr int k_events_max = 128;
// poll(2) and epoll use the same bits for these; others are not passed on.
constexpr uint32_t k_bits = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDNORM | EPOLLRDBAND |
                            EPOLLWRNORM | EPOLLWRBAND | EPOLLRDHUP;

}  // namespace

KernelReadiness::KernelReadiness(DescriptorPoller& poller, Scheduler& scheduler, FileEngine& files)
    : poller_(poller), scheduler_(scheduler), files_(files), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_ >= 0 && poller_.add(epoll_, this));
}

KernelReadiness::~KernelReadiness() {
  CHECK(waiting_.empty());
  poller_.remove(epoll_);
  ::close(epoll_);
}

Status KernelReadiness::wait(std::span<const Interest> interests, Time deadline) {
  std::vector<Waiter> waiters(interests.size());
  size_t entered = 0;
  bool watched = true;
  for (; entered < interests.size() && watched; ++entered) {
    waiters[entered].coroutine = scheduler_.running();
    waiters[entered].events = static_cast<uint16_t>(interests[entered].events) & k_bits;
    watched = enter(interests[entered].descriptor, waiters[entered]);
  }
  Status status = watched ? scheduler_.park(deadline)
                          : Status(Code::unsupported, "the kernel can't watch this descriptor");
  bool closed = false;
  for (size_t i = 0; i < entered; ++i) {
    leave(interests[i].descriptor, waiters[i]);
    closed = closed || waiters[i].closed;
  }
  if (status.ok() && closed) return Status(Code::closed, "closed by another coroutine");
  return status;
}

void KernelReadiness::closing(int descriptor) {
  files_.hand_over();  // Or the number could mean another file by the time the kernel sees it.
  const auto found = waiting_.find(descriptor);
  if (found == waiting_.end()) return;
  for (Waiter* waiter = found->second; waiter != nullptr; waiter = waiter->next) {
    waiter->closed = true;
    scheduler_.wake(waiter->coroutine);
  }
}

// The memory is its caller's, who stays until it is done.
int64_t KernelReadiness::read_file(int descriptor, std::span<const iovec> parts, int64_t offset) {
  return transfer(FileOperation::Kind::read_parts, descriptor, parts, offset);
}

int64_t KernelReadiness::write_file(int descriptor, std::span<const iovec> parts, int64_t offset) {
  return transfer(FileOperation::Kind::write_parts, descriptor, parts, offset);
}

int KernelReadiness::sync_file(int descriptor, bool data_only) {
  const auto kind = data_only ? FileOperation::Kind::sync : FileOperation::Kind::sync_all;
  return static_cast<int>(transfer(kind, descriptor, {}, 0));
}

int64_t KernelReadiness::transfer(FileOperation::Kind kind, int descriptor, std::span<const iovec> parts, int64_t offset) {
  const auto operation = std::make_shared<FileOperation>(kind);
  operation->number = descriptor;
  operation->parts = parts;
  operation->offset = offset;
  files_.run_to_end(operation);
  return operation->result;
}

bool KernelReadiness::enter(int descriptor, Waiter& waiter) {
  Waiter*& first = waiting_[descriptor];
  waiter.next = first;
  first = &waiter;
  return arm(descriptor, first);
}

void KernelReadiness::leave(int descriptor, Waiter& waiter) {
  const auto found = waiting_.find(descriptor);
  CHECK(found != waiting_.end());
  Waiter** place = &found->second;
  while (*place != &waiter) place = &(*place)->next;
  *place = waiter.next;
  if (found->second == nullptr) waiting_.erase(found);
}

// Asks for the next event any of them wants. Always asks the kernel, whatever was asked before:
// only it knows whether the number still means the same socket.
bool KernelReadiness::arm(int descriptor, Waiter* first) {
  epoll_event event{};
  event.events = EPOLLONESHOT;
  for (Waiter* waiter = first; waiter != nullptr; waiter = waiter->next) {
    if (!waiter->closed && !waiter->woken) event.events |= waiter->events;
  }
  event.data.fd = descriptor;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) == 0) return true;
  if (errno != ENOENT) return false;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
  // Newly opened: all but the newest waited for another thing of that number. The newest of them
  // asks now; who asked before it may as well look again.
  for (Waiter* waiter = first->next; waiter != nullptr; waiter = waiter->next) {
    waiter->closed = true;
    scheduler_.wake(waiter->coroutine);
  }
  return true;
}

void KernelReadiness::on_events(uint32_t) {
  epoll_event events[k_events_max];
  for (;;) {
    const int count = epoll_wait(epoll_, events, k_events_max, 0);
    for (int i = 0; i < count; ++i) happened(events[i].data.fd, events[i].events);
    if (count < k_events_max) return;  // Watched by edges: all has to be taken.
  }
}

void KernelReadiness::happened(int descriptor, uint32_t events) {
  const auto found = waiting_.find(descriptor);
  if (found == waiting_.end()) return;  // Gave up meanwhile.
  bool others = false;
  for (Waiter* waiter = found->second; waiter != nullptr; waiter = waiter->next) {
    if ((events & (waiter->events | EPOLLERR | EPOLLHUP)) != 0) {
      waiter->woken = true;
      scheduler_.wake(waiter->coroutine);
    } else if (!waiter->woken) {
      others = true;
    }
  }
  if (others) arm(descriptor, found->second);
}

}  // namespace hongyan::runtime
