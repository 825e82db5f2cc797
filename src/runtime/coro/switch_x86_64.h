// The switch itself, for files that must have it in place: it calls without the compiler's knowledge,
// which writes below the stack pointer, so they are compiled with -mno-red-zone.
#pragma once

#include "runtime/coro/exception_state.h"
#include "runtime/coro/switch.h"

namespace hongyan::runtime {

#ifdef HONGYAN_BOOST_SWITCH

inline void switch_fiber_inline(Fiber& from, Fiber& to) { switch_fiber(from, to); }

#elif defined(HONGYAN_NO_RED_ZONE)

inline __attribute__((always_inline)) void change_stack(Fiber& from, Fiber& to) {
  void* save = &from.context;
  void* end = to.context;
  Fiber* fiber = &to;
  asm volatile(
      "call hongyan_switch_stack"
      : "+D"(save), "+S"(end), "+d"(fiber)
      :
      : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
        "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15",
#ifdef __AVX512F__
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",
        "k7",
#endif
        "cc", "memory");
}

inline __attribute__((always_inline)) void switch_fiber_inline(Fiber& from, Fiber& to) {
  swap_thread_state(from, to);
  change_stack(from, to);
}

#endif

}  // namespace hongyan::runtime
