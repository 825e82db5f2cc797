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

inline ThreadState state_of_this_thread() {
  return {.exceptions = abi::__cxa_get_globals(), .error_number = &errno};
}

inline void swap_thread_state(Fiber& from, const Fiber& to) {
  auto* state = static_cast<ExceptionState*>(from.thread->exceptions);
  from.caught_exceptions = state->caught;
  from.uncaught_exceptions = state->uncaught;
  state->caught = to.caught_exceptions;
  state->uncaught = to.uncaught_exceptions;
  from.error_number = *from.thread->error_number;
  *from.thread->error_number = to.error_number;
}

}  // namespace hongyan::runtime
