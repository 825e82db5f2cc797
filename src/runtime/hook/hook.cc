#include "runtime/hook/hook.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>

#include "base/check.h"
#include "runtime/hook/state.h"

namespace hongyan::runtime::hook {
namespace {

// Where the kernel can't tell when, it is asked this often.
constexpr Duration k_ask_again = 2ms;

}  // namespace

Scope::Scope(Env& env, const Call& call) : state_(new State) {
  void** word = Scheduler::hook_word();
  const bool in_a_coroutine_of_this_env =
      word != nullptr && &Scheduler::current() == &env.scheduler();
  CHECK(in_a_coroutine_of_this_env);
  state_->env = &env;
  state_->readiness = env.readiness();
  CHECK(state_->readiness != nullptr);
  state_->deadline = call.deadline;
  state_->outer = static_cast<State*>(*word);
  state_->variables = &state_->own_variables;
  if (state_->outer != nullptr) {
    state_->deadline = std::min(state_->deadline, state_->outer->deadline);
    state_->variables = state_->outer->variables;
  }
  *word = state_;
}

Scope::~Scope() {
  void** word = Scheduler::hook_word();
  CHECK(word != nullptr && *word == state_);
  *word = state_->outer;
  delete state_;
}

WithoutHooks::WithoutHooks() : state_(active()) {
  if (state_ != nullptr) *Scheduler::hook_word() = nullptr;
}

WithoutHooks::~WithoutHooks() {
  if (state_ != nullptr) *Scheduler::hook_word() = state_;
}

Time exact_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Time(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

Woken wait_for(State& state, std::span<const Interest> interests, Time limit) {
  Scheduler& scheduler = state.env->scheduler();
  const Time end = std::min(limit, state.deadline);
  Status status = state.readiness->wait(interests, end);
  if (status.code() == Code::unsupported) {
    status = scheduler.park(std::min(end, after(exact_now(), k_ask_again)));
    if (status.code() == Code::deadline && exact_now() < end) return Woken::ready;
  }
  if (status.ok()) return Woken::ready;
  if (status.code() == Code::closed) return Woken::closed;
  // Whoever asks again although nobody waits for the answer must not keep the loop from others.
  scheduler.yield();
  if (status.code() == Code::cancelled) return Woken::cancelled;
  return limit <= state.deadline ? Woken::timeout : Woken::deadline;
}

int wait_for_one(State& state, int descriptor, short events, Time limit) {
  const Interest interest{.descriptor = descriptor, .events = events};
  switch (wait_for(state, std::span(&interest, 1), limit)) {
    case Woken::ready: return 0;
    case Woken::timeout: return EAGAIN;
    case Woken::deadline: return ETIMEDOUT;
    case Woken::cancelled: return ECANCELED;
    case Woken::closed: return EBADF;
  }
  return EBADF;
}

Woken sleep_until(State& state, Time limit) { return wait_for(state, {}, limit); }

bool nonblocking(int descriptor) {
  const long flags = raw(SYS_fcntl, descriptor, F_GETFL, 0);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

Time socket_limit(int descriptor, int option) {
  timeval time{};
  socklen_t bytes = sizeof(time);
  if (raw(SYS_getsockopt, descriptor, SOL_SOCKET, option, &time, &bytes) != 0) return k_never;
  if (time.tv_sec == 0 && time.tv_usec == 0) return k_never;
  constexpr int64_t k_seconds_max = 1'000'000'000;  // As good as never, and no overflow.
  if (time.tv_sec >= k_seconds_max) return k_never;
  return after(exact_now(),
               std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec));
}

}  // namespace hongyan::runtime::hook
