// Changing stacks. A Fiber is one side of it: a coroutine, or the loop on its thread's own stack.
// Everything that is per thread for the compiler but per stack in truth (exception state, errno,
// the sanitizers' idea of the stack) changes with it. Floating-point control words do not: they
// are the thread's.
//
// On x86-64 a few instructions of our own (switch_x86_64.cc); Boost.Context on other processors and
// under sanitizers, whose notes need to know both stacks.
#pragma once

#include "runtime/coro/sanitizers.h"
#include "runtime/coro/stack.h"

#if !defined(__x86_64__) || defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
#define HONGYAN_BOOST_SWITCH 1
#endif

namespace hongyan::runtime {

struct Fiber {
  void* context = nullptr;  // Where its stack ends; meaningful while it does not run.
#ifdef HONGYAN_BOOST_SWITCH
  Fiber* switched_from = nullptr;
  void (*entry)(Fiber&) = nullptr;
  const void* stack_low = nullptr;
  size_t stack_bytes = 0;
  void* fake_stack = nullptr;
  void* sanitizer_fiber = nullptr;
#endif
};

// Makes `fiber` start in entry(fiber), which never returns, on `stack`, by start_fiber().
void prepare_fiber(Fiber& fiber, const Stack& stack, void (*entry)(Fiber&));
// For the fiber of the calling thread's own stack; before the first switch on this thread.
void adopt_thread_stack(Fiber& fiber);
// Returns when something switches back to `from`.
void switch_fiber(Fiber& from, Fiber& to);
// The first switch to `to`.
void start_fiber(Fiber& from, Fiber& to);
// The last switch of `from`, to one that has started.
[[noreturn]] void leave_fiber(Fiber& from, Fiber& to);
// Forgets a fiber that will not run again. From another one.
void drop_fiber(Fiber& fiber);

// For whoever looks at one that does not run: where it goes on, and the frame pointer there.
struct SavedFrame {
  const void* instruction = nullptr;
  const void* frame = nullptr;
};
SavedFrame saved_frame(const void* context);
// From `context` up to {frame pointer, instruction}; -1: nobody knows.
extern const int k_context_frame;

}  // namespace hongyan::runtime
