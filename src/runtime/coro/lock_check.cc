#include "runtime/coro/lock_check.h"

#ifdef HONGYAN_CHECK_LOCKS

#include <dlfcn.h>
#include <pthread.h>

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

using OnMutex = int(pthread_mutex_t*);
OnMutex* lock_known = nullptr;
OnMutex* try_lock_known = nullptr;
OnMutex* unlock_known = nullptr;

}  // namespace

int os_mutexes_held() { return held; }

}  // namespace hongyan::runtime

// The program's own definitions come before the C library's, for shared libraries too.
extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  using namespace hongyan::runtime;
  const int result = real(lock_known, "pthread_mutex_lock")(mutex);
  if (result == 0) ++held;
  return result;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  using namespace hongyan::runtime;
  const int result = real(try_lock_known, "pthread_mutex_trylock")(mutex);
  if (result == 0) ++held;
  return result;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  using namespace hongyan::runtime;
  const int result = real(unlock_known, "pthread_mutex_unlock")(mutex);
  if (result == 0) --held;
  return result;
}

}  // extern "C"

#else

namespace hongyan::runtime {

int os_mutexes_held() { return 0; }

}  // namespace hongyan::runtime

#endif
