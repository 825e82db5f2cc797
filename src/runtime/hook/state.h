// What a Scope keeps, and how hooked functions wait. For runtime/hook only.
#pragma once

#include <netdb.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/env/env.h"
#include "runtime/env/readiness.h"

namespace hongyan::runtime::hook {

// Variables a coroutine has set (or, without a value, unset) for itself.
using Variables = std::map<std::string, std::optional<std::string>, std::less<>>;

struct State {
  Env* env = nullptr;
  Readiness* readiness = nullptr;
  Time deadline = k_never;
  State* outer = nullptr;
  Variables own_variables;
  Variables* variables = nullptr;  // Those of the outermost Scope.
  hostent host{};                  // What gethostbyname() returned last, and where it points.
  std::vector<char> host_bytes;
};

// Of the Scope the caller is in; null for everybody else.
inline State* active() {
  void** word = Scheduler::hook_word();
  return word == nullptr ? nullptr : static_cast<State*>(*word);
}

// A system call as libc's function of that name would make it: -1 and errno.
template <typename... Arguments>
long raw(long number, Arguments... arguments) {
  return ::syscall(number, arguments...);
}

// The clock itself: a sleep must not be shortened by the loop's reading being old.
Time exact_now();

enum class Woken { ready, timeout, deadline, cancelled, closed };
// Parks until one of them may be ready, `limit` (timeout), or the call's end.
Woken wait_for(State& state, std::span<const Interest> interests, Time limit);
// The same for one descriptor, as an error number: 0, EAGAIN (timeout), ETIMEDOUT (the call's
// deadline), ECANCELED, EBADF.
int wait_for_one(State& state, int descriptor, short events, Time limit);
// Until `limit` or the call's end.
Woken sleep_until(State& state, Time limit);

// What its owner set.
bool nonblocking(int descriptor);
// The end of SO_RCVTIMEO or SO_SNDTIMEO from now; k_never without.
Time socket_limit(int descriptor, int option);

// Repeats `attempt`, which never blocks, until it succeeds or fails with anything but EAGAIN. A
// descriptor that its owner made non-blocking gets its EAGAIN.
template <typename Attempt>
ssize_t repeat(State& state, int descriptor, short events, int timeout_option, Attempt attempt) {
  std::optional<Time> limit;
  for (;;) {
    const ssize_t done = attempt();
    if (done >= 0 || errno != EAGAIN) return done;
    if (!limit.has_value()) {
      if (nonblocking(descriptor)) return errno = EAGAIN, -1;
      limit = timeout_option == 0 ? k_never : socket_limit(descriptor, timeout_option);
    }
    if (const int error = wait_for_one(state, descriptor, events, *limit); error != 0)
      return errno = error, -1;
  }
}

// Our own code, whose locks and files are no matter of the Scope.
template <typename Work>
void outside(Work work) {
  void** const word = Scheduler::hook_word();
  void* const scope = std::exchange(*word, nullptr);
  work();
  *word = scope;
}

// Runs what may block on a thread of the pool, with its errno.
template <typename Work>
auto in_pool(State& state, Work work) {
  decltype(work()) result{};
  int error = 0;
  outside([&] {
    state.env->pool().run([&] {
      result = work();
      error = errno;
    });
  });
  errno = error;
  return result;
}

// An operation on a regular file (readiness.h), as the system call would answer it.
template <typename Work>
ssize_t on_file(Work work) {
  int64_t result = 0;
  outside([&] { result = work(); });
  if (result < 0) errno = static_cast<int>(-result);
  return result < 0 ? -1 : static_cast<ssize_t>(result);
}

}  // namespace hongyan::runtime::hook
