// pthread_mutex_lock and pthread_cond_wait of a coroutine in a Scope: it tries, and lets the loop
// go on in between. A condition wait ends after a moment as if it had been woken for nothing, which
// every caller must expect; so signals need no hook.
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <atomic>

#include "runtime/hook/state.h"

#ifdef HONGYAN_HOOK_STATIC
extern "C" {
decltype(pthread_mutex_lock) __real_pthread_mutex_lock;
decltype(pthread_cond_wait) __real_pthread_cond_wait;
decltype(pthread_cond_timedwait) __real_pthread_cond_timedwait;
}
#define HOOKED(name) __wrap_##name
#define REAL(name, version) (&__real_##name)
#else
#define HOOKED(name) name
// Looked up once: a mutex is locked often. glibc has two generations of conditions, and the search
// without a version may find the older.
#define REAL(name, version)                                \
  ([] {                                                    \
    static constinit std::atomic<void*> found{nullptr};    \
    void* real = found.load(std::memory_order_relaxed);    \
    if (real == nullptr) {                                 \
      real = dlvsym(RTLD_NEXT, #name, version);            \
      if (real == nullptr) real = dlsym(RTLD_NEXT, #name); \
      found.store(real, std::memory_order_relaxed);        \
    }                                                      \
    return reinterpret_cast<decltype(&name)>(real);        \
  }())
#endif

namespace hongyan::runtime::hook {
namespace {

// How long to let others run before the next try: at first a turn of the loop, later longer.
constexpr Duration k_pause_min = 50us;
constexpr Duration k_pause_max = 2ms;

// A lock can't fail, so nothing ends this pause: not the call's deadline, not cancellation.
void let_others_run(State& state, Duration duration) {
  Scheduler& scheduler = state.env->scheduler();
  if (scheduler.park(after(exact_now(), duration)).code() != Code::cancelled) return;
  in_pool(state, [&] {
    const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(duration.count())};
    return raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, nullptr);
  });
}

int lock(State& state, pthread_mutex_t* mutex) {
  for (Duration duration = k_pause_min;; duration = std::min(2 * duration, k_pause_max)) {
    const int error = pthread_mutex_trylock(mutex);
    if (error != EBUSY) return error;
    let_others_run(state, duration);
  }
}

int wait_a_moment(State& state, pthread_mutex_t* mutex, Duration duration) {
  if (const int error = pthread_mutex_unlock(mutex); error != 0) return error;
  let_others_run(state, duration);
  return lock(state, mutex);
}

}  // namespace
}  // namespace hongyan::runtime::hook

using namespace hongyan::runtime::hook;  // What follows are libc's names.
using namespace hongyan::runtime;

extern "C" {

char hongyan_hook_locks = 0;

int HOOKED(pthread_mutex_lock)(pthread_mutex_t* mutex) noexcept {
  State* state = active();
  if (state == nullptr) return REAL(pthread_mutex_lock, "GLIBC_2.2.5")(mutex);
  return lock(*state, mutex);
}

int HOOKED(pthread_cond_wait)(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  State* state = active();
  if (state == nullptr) return REAL(pthread_cond_wait, "GLIBC_2.3.2")(condition, mutex);
  return wait_a_moment(*state, mutex, k_pause_max);
}

// The clock of a condition can't be asked for; libstdc++ and most others use the time of day.
int HOOKED(pthread_cond_timedwait)(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                   const timespec* until) {
  State* state = active();
  if (state == nullptr) return REAL(pthread_cond_timedwait, "GLIBC_2.3.2")(condition, mutex, until);
  const int error = wait_a_moment(*state, mutex, k_pause_max);
  if (error != 0) return error;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const bool over =
      now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
  return over ? ETIMEDOUT : 0;
}

}  // extern "C"
