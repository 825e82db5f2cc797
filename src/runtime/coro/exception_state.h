// The C++ runtime's notes about exceptions, which belong to a stack and are kept per thread.
#pragma once

#include <cxxabi.h>

#include <cerrno>

#include "runtime/coro/switch.h"

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

inline void swap_thread_state(Fiber& from, const Fiber& to) {
  ExceptionState* const state = thread_state.exceptions;
  int* const error_number = thread_state.error_number;
  from.caught_exceptions = state->caught;
  from.uncaught_exceptions = state->uncaught;
  state->caught = to.caught_exceptions;
  state->uncaught = to.uncaught_exceptions;
  from.error_number = *error_number;
  *error_number = to.error_number;
}

}  // namespace hongyan::runtime
