#include "runtime/os/epoll_poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

// Events taken per turn: enough to amortise the call, few enough that timers are not late.
constexpr int k_events_max = 256;
// The longest sleep, so that a time far away does not overflow what the kernel counts in.
constexpr Duration k_sleep_max = 1h;

}  // namespace

EpollPoller::EpollPoller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;  // Means: only a wakeup.
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_.descriptor(), &event) == 0);
}

EpollPoller::~EpollPoller() { close(epoll_); }

Time EpollPoller::now() { return monotonic_now(); }

int EpollPoller::wait(epoll_event* events, int events_max, Time limit) {
  const Time start = now();
  end_turn(start);
  const Duration sleep = limit <= start ? Duration(0) : std::min(limit - start, k_sleep_max);
  timespec timeout{};
  timeout.tv_sec = sleep / 1s;
  timeout.tv_nsec = sleep % 1s / 1ns;
  const int count = epoll_pwait2(epoll_, events, events_max, &timeout, nullptr);
  if (count >= 0 || errno == EINTR) return std::max(count, 0);
  CHECK(errno == ENOSYS ||
        errno == EPERM);  // Before Linux 5.11, or refused by a sandbox: whole milliseconds.
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(sleep);
  return std::max(epoll_wait(epoll_, events, events_max, static_cast<int>(whole.count())), 0);
}

void EpollPoller::poll(Time limit) {
  epoll_event events[k_events_max];
  const int count = wait(events, k_events_max, limit);
  begin_turn();
  for (int i = 0; i < count; ++i) {
    if (events[i].data.ptr != nullptr) {
      static_cast<Watcher*>(events[i].data.ptr)->on_events(events[i].events);
    } else {
      wakeup_.take();
    }
  }
}

bool EpollPoller::add(int descriptor, Watcher* watcher) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = watcher;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void EpollPoller::remove(int descriptor) { epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr); }

}  // namespace hongyan::runtime
