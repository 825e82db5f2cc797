// Changing stacks. A Fiber is one side of it: a coroutine, or the loop on its thread's own stack.
// Everything that is per thread for the compiler but per stack in truth (exception state, the
// sanitizers' idea of the stack) changes with it.
#pragma once

#include "runtime/coro/stack.h"

namespace hongyan::runtime {

struct Fiber {
  void* context = nullptr;  // Where it goes on; meaningful while it does not run.
  Fiber* resumed_by = nullptr;
  void (*entry)(void*) = nullptr;  // Never returns.
  void* argument = nullptr;
  void* caught_exceptions = nullptr;  // As in __cxa_eh_globals of the Itanium C++ ABI.
  unsigned uncaught_exceptions = 0;
  const void* stack_low = nullptr;  // ASan and TSan only, from here.
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  void* sanitizer_fiber = nullptr;
};

// Makes `fiber` start in entry(argument), on `stack`, when it is first switched to.
void prepare_fiber(Fiber& fiber, const Stack& stack, void (*entry)(void*), void* argument);
// For the fiber of a thread's own stack.
void adopt_thread_stack(Fiber& fiber);
// Returns when something switches back to `from`.
void switch_fiber(Fiber& from, Fiber& to);
// The last switch of `from`.
[[noreturn]] void leave_fiber(Fiber& from, Fiber& to);
// Forgets a fiber that will not run again. From another one.
void drop_fiber(Fiber& fiber);

}  // namespace hongyan::runtime
