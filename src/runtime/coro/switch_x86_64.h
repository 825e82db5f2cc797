// The switch on x86-64. A return to where nobody called from costs 10 ns, because the processor foresees
// returns by the calls before. So each of these leaves as many calls open as it found: a stack that is new
// is entered by a jump, and one that has ended is left by a jump.
#pragma once

#include "runtime/coro/exception_state.h"
#include "runtime/coro/switch.h"

namespace hongyan::runtime {

#ifdef HONGYAN_BOOST_SWITCH

inline void switch_fiber_inline(Fiber& from, Fiber& to) { switch_fiber(from, to); }
inline void start_fiber_inline(Fiber& from, Fiber& to) { start_fiber(from, to); }
[[noreturn]] inline void leave_fiber_inline(Fiber& from, Fiber& to) { leave_fiber(from, to); }
[[noreturn]] inline void leave_fiber_for_new_inline(Fiber& from, Fiber& to) { leave_fiber(from, to); }

#else

extern "C" {
// Leaves the registers that calls keep, *error_number and where to go on at the end of the old stack, and its
// end in *save; goes on where the stack of `to` ends in the same way.
void hongyan_switch_stack(Fiber* to, void** save, int* error_number);
// The same, but `to` is new: its entry is jumped to.
void hongyan_start_stack(Fiber* to, void** save, int* error_number);
}

// Of one that waits in a catch block or a destructor: takes that away and brings it back, so that the
// others need not look.
void switch_in_exception(Fiber& from, Fiber& to);
void start_in_exception(Fiber& from, Fiber& to);

inline __attribute__((always_inline)) void switch_fiber_inline(Fiber& from, Fiber& to) {
  if (exceptions_under_way()) [[unlikely]] return switch_in_exception(from, to);
  hongyan_switch_stack(&to, &from.context, thread_state.error_number);
}

inline __attribute__((always_inline)) void start_fiber_inline(Fiber& from, Fiber& to) {
  if (exceptions_under_way()) [[unlikely]] return start_in_exception(from, to);
  hongyan_start_stack(&to, &from.context, thread_state.error_number);
}

[[noreturn]] inline __attribute__((always_inline)) void leave_fiber_inline(Fiber&, Fiber& to) {
  asm volatile("jmp hongyan_leave_stack" : : "D"(&to), "d"(thread_state.error_number) : "memory");
  __builtin_unreachable();
}

[[noreturn]] inline __attribute__((always_inline)) void leave_fiber_for_new_inline(Fiber&, Fiber& to) {
  asm volatile("jmp hongyan_leave_for_new" : : "D"(&to), "d"(thread_state.error_number) : "memory");
  __builtin_unreachable();
}

#endif

}  // namespace hongyan::runtime
