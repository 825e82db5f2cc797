#include "runtime/coro/lock_check.h"

#ifdef HONGYAN_CHECK_LOCKS

#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

#include <cerrno>

namespace hongyan::runtime {
namespace {

thread_local int held = 0;

// The C library's own, looked for once; two threads that look at the same time find the same.
template <typename Function>
Function* real(Function*& known, const char* name) {
  Function* function = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (function == nullptr) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
    __atomic_store_n(&known, function, __ATOMIC_RELAXED);
  }
  return function;
}

// How a call that may have taken a lock ended; EOWNERDEAD: it has, from a thread that died with it.
int taken(int result) {
  if (result == 0 || result == EOWNERDEAD) ++held;
  return result;
}

int given_back(int result) {
  if (result == 0) --held;
  return result;
}

}  // namespace

int os_mutexes_held() { return held; }

}  // namespace hongyan::runtime

// The program's own definitions come before the C library's, for shared libraries too. `count` is
// what the result means.
#define COUNTED(count, name, parameters, arguments) \
  int name parameters {                             \
    using namespace hongyan::runtime;               \
    static int(*known) parameters = nullptr;        \
    return count(real(known, #name) arguments);     \
  }

extern "C" {

COUNTED(taken, pthread_mutex_lock, (pthread_mutex_t * lock), (lock))
COUNTED(taken, pthread_mutex_trylock, (pthread_mutex_t * lock), (lock))
COUNTED(taken, pthread_mutex_timedlock, (pthread_mutex_t * lock, const timespec* end), (lock, end))
COUNTED(taken, pthread_mutex_clocklock,
        (pthread_mutex_t * lock, clockid_t clock, const timespec* end), (lock, clock, end))
COUNTED(given_back, pthread_mutex_unlock, (pthread_mutex_t * lock), (lock))

COUNTED(taken, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))
COUNTED(taken, pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), (lock))
COUNTED(taken, pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const timespec* end),
        (lock, end))
COUNTED(taken, pthread_rwlock_clockrdlock,
        (pthread_rwlock_t * lock, clockid_t clock, const timespec* end), (lock, clock, end))
COUNTED(taken, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))
COUNTED(taken, pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), (lock))
COUNTED(taken, pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const timespec* end),
        (lock, end))
COUNTED(taken, pthread_rwlock_clockwrlock,
        (pthread_rwlock_t * lock, clockid_t clock, const timespec* end), (lock, clock, end))
COUNTED(given_back, pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock))

}  // extern "C"

#else

namespace hongyan::runtime {

int os_mutexes_held() { return 0; }

}  // namespace hongyan::runtime

#endif
