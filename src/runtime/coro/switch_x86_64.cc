#include "runtime/coro/switch_x86_64.h"

#ifndef HONGYAN_BOOST_SWITCH

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

// %rdi is `to`, whose context lies first in it; %rsi where the old stack's end goes; %rdx errno's place. The
// old and the new stack look alike at every instruction, so the unwinding notes hold across the change. A new
// stack has nothing above: unwinding ends there.
asm(R"(
.macro hongyan_push register, offset
  pushq %\register
  .cfi_adjust_cfa_offset 8
  .cfi_offset %\register, \offset
.endm
.macro hongyan_pop register
  popq %\register
  .cfi_adjust_cfa_offset -8
  .cfi_restore %\register
.endm
.macro hongyan_save
  hongyan_push rbp, -16
  hongyan_push rbx, -24
  hongyan_push r12, -32
  hongyan_push r13, -40
  hongyan_push r14, -48
  hongyan_push r15, -56
  movl (%rdx), %eax
  pushq %rax
  .cfi_adjust_cfa_offset 8
  movq %rsp, (%rsi)
.endm
.macro hongyan_go_on
  popq %rax
  .cfi_adjust_cfa_offset -8
  movl %eax, (%rdx)
  hongyan_pop r15
  hongyan_pop r14
  hongyan_pop r13
  hongyan_pop r12
  hongyan_pop rbx
  hongyan_pop rbp
  ret
.endm
.macro hongyan_go_on_new
  movl $0, (%rdx)
  movq (%rdi), %rsp
  .cfi_undefined %rip
  popq %rax
  leaq 8(%rsp), %rbp
  jmpq *%rax
.endm
.macro hongyan_function name
.p2align 4
.type \name, @function
.hidden \name
.globl \name
\name:
  .cfi_startproc
.endm
.macro hongyan_end name
  .cfi_endproc
.size \name, . - \name
.endm

.pushsection .text
hongyan_function hongyan_switch_stack
  hongyan_save
  movq (%rdi), %rsp
  hongyan_go_on
hongyan_end hongyan_switch_stack

hongyan_function hongyan_start_stack
  hongyan_save
  hongyan_go_on_new
hongyan_end hongyan_start_stack

// Of one that has ended: nothing of it is kept, and it has no callers any more.
hongyan_function hongyan_leave_stack
  .cfi_undefined %rip
  movq (%rdi), %rsp
  .cfi_restore %rip
  .cfi_def_cfa_offset 64
  .cfi_offset %rbp, -16
  .cfi_offset %rbx, -24
  .cfi_offset %r12, -32
  .cfi_offset %r13, -40
  .cfi_offset %r14, -48
  .cfi_offset %r15, -56
  hongyan_go_on
hongyan_end hongyan_leave_stack

hongyan_function hongyan_leave_for_new
  .cfi_undefined %rip
  hongyan_go_on_new
hongyan_end hongyan_leave_for_new
.popsection
.pushsection .note.GNU-stack, "", @progbits
.popsection
)");

namespace hongyan::runtime {
namespace {

// What hongyan_switch_stack leaves at the end of a stack.
struct End {
  uint64_t error_number;
  const void* registers[5];
  const void* frame_pointer;
  const void* instruction;
};

// What hongyan_start_stack finds at the end of a new one.
struct Start {
  void (*entry)(Fiber&);
  const void* no_caller = nullptr;                // Where the entry would return to.
  const void* top_frame[2] = {nullptr, nullptr};  // Where all stop who follow frames.
};
static_assert(sizeof(Start) % 16 == 0);  // The entry finds its stack as after a call.
static_assert(offsetof(Fiber, context) == 0);

}  // namespace

void prepare_fiber(Fiber& fiber, const Stack& stack, void (*entry)(Fiber&)) {
  char* const top = stack.low + stack.bytes;  // Aligned as calls want it.
  fiber.context = new (top - sizeof(Start)) Start{.entry = entry};
}

void adopt_thread_stack(Fiber&) { find_thread_state(); }

void switch_fiber(Fiber& from, Fiber& to) { switch_fiber_inline(from, to); }

void start_fiber(Fiber& from, Fiber& to) { start_fiber_inline(from, to); }

void leave_fiber(Fiber& from, Fiber& to) { leave_fiber_inline(from, to); }

void switch_in_exception(Fiber& from, Fiber& to) {
  const ExceptionState own = std::exchange(*thread_state.exceptions, {});
  hongyan_switch_stack(&to, &from.context, thread_state.error_number);
  *thread_state.exceptions = own;
}

void start_in_exception(Fiber& from, Fiber& to) {
  const ExceptionState own = std::exchange(*thread_state.exceptions, {});
  hongyan_start_stack(&to, &from.context, thread_state.error_number);
  *thread_state.exceptions = own;
}

void drop_fiber(Fiber&) {}

const int k_context_frame = offsetof(End, frame_pointer);

SavedFrame saved_frame(const void* context) {
  End end;
  std::memcpy(&end, context, sizeof(end));
  return {.instruction = end.instruction, .frame = end.frame_pointer};
}

}  // namespace hongyan::runtime

#endif
