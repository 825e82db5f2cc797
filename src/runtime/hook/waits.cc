// poll, select, epoll and sleeping: ask without waiting, park, ask again.
#undef _FORTIFY_SOURCE  // Its inline functions would have the names defined here.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "runtime/hook/state.h"

namespace hongyan::runtime::hook {
namespace {

constexpr int64_t k_seconds_max = 1'000'000'000;  // As good as never, and no overflow.
constexpr size_t k_mask_bytes = 8;                // Of a signal mask, as the kernel counts.

Time from_now(const timespec* time) {
  if (time == nullptr || time->tv_sec >= k_seconds_max) return k_never;
  return after(exact_now(),
               std::chrono::seconds(time->tv_sec) + std::chrono::nanoseconds(time->tv_nsec));
}

timespec spec_of(Duration duration) {
  duration = std::max(duration, Duration(0));
  return {.tv_sec = static_cast<time_t>(duration / 1s),
          .tv_nsec = static_cast<long>((duration % 1s).count())};
}

bool zero(const timespec* time) {
  return time != nullptr && time->tv_sec == 0 && time->tv_nsec == 0;
}

// Asks until there is an answer or the limit has come: `ask` never waits and gives 0 for no answer.
template <typename Ask, typename Interests>
long ask_until(State& state, Time limit, Ask ask, Interests interests) {
  for (;;) {
    const long answer = ask();
    if (answer != 0) return answer;
    switch (wait_for(state, interests(), limit)) {
      case Woken::ready:
      case Woken::closed: break;
      case Woken::timeout:
      case Woken::deadline: return ask();
      case Woken::cancelled: return errno = ECANCELED, -1;
    }
  }
}

int poll_waiting(State& state, pollfd* items, nfds_t count, Time limit, const sigset_t* mask) {
  const timespec none{};
  const auto ask = [&] {
    timespec time = none;  // The kernel writes what is left of it.
    return raw(SYS_ppoll, items, count, &time, mask, k_mask_bytes);
  };
  std::vector<Interest> interests;
  return static_cast<int>(ask_until(state, limit, ask, [&] {
    interests.clear();
    for (nfds_t i = 0; i < count; ++i) {
      if (items[i].fd >= 0)
        interests.push_back({.descriptor = items[i].fd, .events = items[i].events});
    }
    return std::span<const Interest>(interests);
  }));
}

// The sets of one select(): what was asked for, and where the answer goes.
class Sets {
 public:
  Sets(int count, fd_set* read, fd_set* write, fd_set* except)
      : count_(count), into_{read, write, except} {
    for (int i = 0; i < 3; ++i) {
      if (into_[i] != nullptr) std::memcpy(&asked_[i], into_[i], bytes());
    }
  }
  long ask(const void* mask) {
    for (int i = 0; i < 3; ++i) {
      if (into_[i] != nullptr) std::memcpy(into_[i], &asked_[i], bytes());
    }
    timespec none{};
    return raw(SYS_pselect6, count_, into_[0], into_[1], into_[2], &none, mask);
  }
  std::vector<Interest> interests() const {
    std::vector<Interest> all;
    for (int descriptor = 0; descriptor < count_; ++descriptor) {
      short events = 0;
      if (into_[0] != nullptr && FD_ISSET(descriptor, &asked_[0])) events |= POLLIN;
      if (into_[1] != nullptr && FD_ISSET(descriptor, &asked_[1])) events |= POLLOUT;
      if (into_[2] != nullptr && FD_ISSET(descriptor, &asked_[2])) events |= POLLPRI;
      if (events != 0) all.push_back({.descriptor = descriptor, .events = events});
    }
    return all;
  }

 private:
  size_t bytes() const {
    const size_t bits = 8 * sizeof(long);
    return (static_cast<size_t>(count_) + bits - 1) / bits * sizeof(long);
  }
  int count_;
  fd_set* into_[3];
  fd_set asked_[3] = {};
};

long select_waiting(State& state, Sets& sets, Time limit, const void* mask) {
  const std::vector<Interest> interests = sets.interests();
  return ask_until(
      state, limit, [&] { return sets.ask(mask); },
      [&] { return std::span<const Interest>(interests); });
}

// Sleeps end early, as if they were over, with the call: a loop that sleeps the rest of what was
// interrupted would never end.
void sleep_for(State& state, Time limit) {
  while (exact_now() < limit) {
    if (sleep_until(state, limit) != Woken::timeout) return;
  }
}

struct MaskArgument {  // Of the system call, which glibc's pselect hides.
  const sigset_t* mask;
  size_t bytes;
};

}  // namespace
}  // namespace hongyan::runtime::hook

using namespace hongyan::runtime::hook;  // What follows are libc's names.
using namespace hongyan::runtime;

extern "C" {

char hongyan_hook_waits = 0;
void __chk_fail(void) __attribute__((noreturn));

int ppoll(pollfd* items, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  State* state = active();
  if (state == nullptr || zero(timeout)) {
    timespec time{};
    if (timeout != nullptr) time = *timeout;
    return static_cast<int>(
        raw(SYS_ppoll, items, count, timeout == nullptr ? nullptr : &time, mask, k_mask_bytes));
  }
  return poll_waiting(*state, items, count, from_now(timeout), mask);
}

int poll(pollfd* items, nfds_t count, int timeout) {
  const timespec time = spec_of(std::chrono::milliseconds(timeout));
  return ppoll(items, count, timeout < 0 ? nullptr : &time, nullptr);
}

int __poll_chk(pollfd* items, nfds_t count, int timeout, size_t space) {
  if (count > space / sizeof(pollfd)) __chk_fail();
  return poll(items, count, timeout);
}

int __ppoll_chk(pollfd* items, nfds_t count, const timespec* timeout, const sigset_t* mask,
                size_t space) {
  if (count > space / sizeof(pollfd)) __chk_fail();
  return ppoll(items, count, timeout, mask);
}

int pselect(int count, fd_set* read, fd_set* write, fd_set* except, const timespec* timeout,
            const sigset_t* mask) {
  State* state = active();
  const MaskArgument argument{.mask = mask, .bytes = k_mask_bytes};
  if (state == nullptr || zero(timeout) || count < 0 || count > FD_SETSIZE) {
    timespec time{};
    if (timeout != nullptr) time = *timeout;
    return static_cast<int>(raw(SYS_pselect6, count, read, write, except,
                                timeout == nullptr ? nullptr : &time, &argument));
  }
  Sets sets(count, read, write, except);
  return static_cast<int>(select_waiting(*state, sets, from_now(timeout), &argument));
}

int select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  if (timeout == nullptr) return pselect(count, read, write, except, nullptr, nullptr);
  if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return errno = EINVAL, -1;
  const timespec time =
      spec_of(std::chrono::seconds(std::min<int64_t>(timeout->tv_sec, k_seconds_max)) +
              std::chrono::microseconds(timeout->tv_usec));
  const Time start = exact_now();
  const int answer = pselect(count, read, write, except, &time, nullptr);
  // Linux writes back what was left, and some libraries count on it.
  const timespec left = spec_of(std::chrono::seconds(time.tv_sec) +
                                std::chrono::nanoseconds(time.tv_nsec) - (exact_now() - start));
  timeout->tv_sec = left.tv_sec;
  timeout->tv_usec = left.tv_nsec / 1000;
  return answer;
}

int epoll_pwait(int set, epoll_event* events, int space, int timeout, const sigset_t* mask) {
  State* state = active();
  if (state == nullptr || timeout == 0)
    return static_cast<int>(raw(SYS_epoll_pwait, set, events, space, timeout, mask, k_mask_bytes));
  const Time limit = timeout < 0 ? k_never : after(exact_now(), std::chrono::milliseconds(timeout));
  const Interest interest{.descriptor = set, .events = POLLIN};
  return static_cast<int>(ask_until(
      *state, limit,
      [&] { return raw(SYS_epoll_pwait, set, events, space, 0, mask, k_mask_bytes); },
      [&] { return std::span(&interest, 1); }));
}

int epoll_wait(int set, epoll_event* events, int space, int timeout) {
  return epoll_pwait(set, events, space, timeout, nullptr);
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  State* state = active();
  if (state == nullptr || time->tv_nsec < 0 || time->tv_nsec >= 1'000'000'000 || time->tv_sec < 0) {
    const int error = errno;  // It returns the error and leaves errno alone.
    if (raw(SYS_clock_nanosleep, clock, flags, time, left) == 0) return 0;
    return std::exchange(errno, error);
  }
  Duration duration = std::chrono::seconds(std::min<int64_t>(time->tv_sec, 2 * k_seconds_max)) +
                      std::chrono::nanoseconds(time->tv_nsec);
  if ((flags & TIMER_ABSTIME) != 0) {
    timespec now{};
    if (clock_gettime(clock, &now) != 0) return EINVAL;
    duration -= std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
  sleep_for(*state, after(exact_now(), duration));
  return 0;
}

int nanosleep(const timespec* time, timespec* left) {
  const int error = clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
  return error == 0 ? 0 : (errno = error, -1);
}

int usleep(useconds_t time) {
  const timespec spec = spec_of(std::chrono::microseconds(time));
  return nanosleep(&spec, nullptr);
}

unsigned sleep(unsigned seconds) {
  timespec left = spec_of(std::chrono::seconds(seconds));
  return nanosleep(&left, &left) == 0 ? 0 : static_cast<unsigned>(left.tv_sec) + 1;
}

}  // extern "C"
