#include "runtime/os/epoll_poller.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

// Events taken per turn: enough to amortise the call, few enough that timers are not late.
constexpr int k_events_max = 256;
// The longest sleep, so that a time far away does not overflow what the kernel counts in.
constexpr Duration k_sleep_max = 1h;

}  // namespace

EpollPoller::EpollPoller(bool may_spin)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), may_spin_(may_spin) {
  CHECK(epoll_ >= 0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;  // Means: only a wakeup.
  CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_.descriptor(), &event) == 0);
}

EpollPoller::~EpollPoller() { close(epoll_); }

Time EpollPoller::now() { return monotonic_now(); }

int EpollPoller::ask_kernel(epoll_event* events, Duration sleep) {
  timespec timeout{};
  timeout.tv_sec = sleep / 1s;
  timeout.tv_nsec = sleep % 1s / 1ns;
  const int count = epoll_pwait2(epoll_, events, k_events_max, &timeout, nullptr);
  if (count >= 0 || errno == EINTR) return std::max(count, 0);
  CHECK(errno == ENOSYS ||
        errno == EPERM);  // Before Linux 5.11, or refused by a sandbox: whole milliseconds.
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(sleep);
  return std::max(epoll_wait(epoll_, events, k_events_max, static_cast<int>(whole.count())), 0);
}

// Since the last time it was asked: a hypervisor or an interrupt that takes the processor is not
// meant.
bool EpollPoller::others_ran() {
  rusage use{};
  getrusage(RUSAGE_THREAD, &use);
  return std::exchange(switches_, use.ru_nivcsw) != use.ru_nivcsw;
}

// Without sleeping. Between two questions whoever else is ready on this processor may run.
int EpollPoller::ask(epoll_event* events, Time start, Time until) {
  for (Time before = start;;) {
    if (const int count = ask_kernel(events, Duration(0)); count > 0) return count;
    sched_yield();
    const Time back = now();
    if (back - before > IdleSpin::k_away && others_ran() && !spin_.taken_away(back - before, back))
      return 0;
    if (back >= until) return 0;
    before = back;
  }
}

int EpollPoller::wait(epoll_event* events, Time limit) {
  const Time start = now();
  end_turn(start);
  int count = 0;
  if (limit <= start) {
    count = ask_kernel(events, Duration(0));
    begin_turn(now());
    return count;
  }
  const Duration spin = may_spin_ ? spin_.limit() : Duration(0);
  if (spin > Duration(0)) count = ask(events, start, std::min(limit, start + spin));
  if (count == 0) {
    const Time asked = spin > Duration(0) ? now() : start;
    count = ask_kernel(events, limit <= asked ? Duration(0) : std::min(limit - asked, k_sleep_max));
  }
  const Time end = now();
  spin_.waited(end - start, end);
  begin_turn(end);
  return count;
}

void EpollPoller::poll(Time limit) {
  epoll_event events[k_events_max];
  const int count = wait(events, limit);
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
