#include "runtime/coro/switch_x86_64.h"

#ifndef HONGYAN_BOOST_SWITCH

#include <cstdint>
#include <cstring>

#include "base/check.h"

// hongyan_switch_stack(save: %rdi, to: %rsi) leaves the frame pointer on the old stack and its end in
// *save, and goes on where the other stack ends in the same way. Both look alike at every
// instruction, so the unwinding notes hold across the change. Everything else the caller declares
// lost, so that only what lives is saved, by the compiler.
//
// hongyan_start_fiber is what a new stack goes on with: entry, in %rbp, is called with the fiber, in
// %rdx. Nothing lies above it.
asm(R"(
.pushsection .text
.p2align 4
.type hongyan_switch_stack, @function
.hidden hongyan_switch_stack
.globl hongyan_switch_stack
hongyan_switch_stack:
  .cfi_startproc
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %rbp
  .cfi_def_cfa_offset 8
  .cfi_restore %rbp
  ret
  .cfi_endproc
.size hongyan_switch_stack, . - hongyan_switch_stack

.p2align 4
.type hongyan_start_fiber, @function
.hidden hongyan_start_fiber
.globl hongyan_start_fiber
hongyan_start_fiber:
  .cfi_startproc
  .cfi_undefined %rip
  movq %rdx, %rdi
  movq %rbp, %rax
  xorl %ebp, %ebp
  call *%rax
  ud2
  .cfi_endproc
.size hongyan_start_fiber, . - hongyan_start_fiber
.popsection
.pushsection .note.GNU-stack, "", @progbits
.popsection
)");

extern "C" void hongyan_start_fiber();

namespace hongyan::runtime {
namespace {

// What hongyan_switch_stack finds at the end of a stack.
struct End {
  const void* frame_pointer;
  const void* instruction;
};

}  // namespace

void prepare_fiber(Fiber& fiber, const Stack& stack, void (*entry)(Fiber&)) {
  fiber = Fiber{};
  char* const top = stack.low + stack.bytes;  // Whole pages: aligned as calls want it.
  const End end{.frame_pointer = reinterpret_cast<const void*>(entry),
                .instruction = reinterpret_cast<const void*>(&hongyan_start_fiber)};
  std::memset(top - 16, 0, 16);  // No frame and no caller above the first one.
  fiber.context = top - 16 - sizeof(End);
  std::memcpy(fiber.context, &end, sizeof(End));
}

void adopt_thread_stack(Fiber&) { find_thread_state(); }

void switch_fiber(Fiber& from, Fiber& to) { switch_fiber_inline(from, to); }

void leave_fiber(Fiber& from, Fiber& to) {
  switch_fiber_inline(from, to);
  CHECK(false);
  __builtin_unreachable();
}

void drop_fiber(Fiber&) {}

SavedFrame saved_frame(const void* context) {
  End end;
  std::memcpy(&end, context, sizeof(end));
  const bool started =
      end.instruction != reinterpret_cast<const void*>(&hongyan_start_fiber);
  return {.instruction = end.instruction, .frame = started ? end.frame_pointer : nullptr};
}

}  // namespace hongyan::runtime

#endif
