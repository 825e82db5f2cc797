// The C++ runtime's notes about exceptions, which belong to a stack and are kept per thread.
#pragma once

#include <cxxabi.h>

#include <cerrno>
#include <cstdint>

namespace hongyan::runtime {

struct ExceptionState {  // __cxa_eh_globals, which <cxxabi.h> leaves opaque.
  void* caught;
  unsigned uncaught;
};

// Where the state that changes with the stack lies on this thread. Asking for it at every switch
// would cost more than the switch.
struct ThreadState {
  ExceptionState* exceptions = nullptr;
  int* error_number = nullptr;
};
inline constinit thread_local ThreadState thread_state;

inline void find_thread_state() {
  thread_state.exceptions = reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
  thread_state.error_number = &errno;
}

inline bool exceptions_under_way() {
  const ExceptionState& state = *thread_state.exceptions;
  return (reinterpret_cast<uintptr_t>(state.caught) | state.uncaught) != 0;
}

}  // namespace hongyan::runtime
