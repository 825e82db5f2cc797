#include "runtime/coro/switch.h"

#ifdef HONGYAN_BOOST_SWITCH

#include <boost/context/detail/fcontext.hpp>

#include "base/check.h"
#include "runtime/coro/exception_state.h"

#ifdef HONGYAN_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HONGYAN_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace hongyan::runtime {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

void before_jump([[maybe_unused]] void** save, [[maybe_unused]] const Fiber& to) {
#ifdef HONGYAN_ASAN
  __sanitizer_start_switch_fiber(save, to.stack_low, to.stack_bytes);
#endif
#ifdef HONGYAN_TSAN
  __tsan_switch_to_fiber(to.sanitizer_fiber, 0);
#endif
}

// What goes along is in the Fibers: of the stack that was left nothing may be read, under ASan it
// may be gone.
transfer_t jump(Fiber& from, Fiber& to) {
  to.switched_from = &from;
  return jump_fcontext(to.context, &to);
}

// Now on the stack of `self`.
void after_jump(Fiber& self, const transfer_t& transfer) {
  Fiber& from = *self.switched_from;
  from.context = transfer.fctx;
#ifdef HONGYAN_ASAN
  __sanitizer_finish_switch_fiber(self.fake_stack, &from.stack_low, &from.stack_bytes);
#endif
}

void first_frame(transfer_t transfer) {
  Fiber& self = *static_cast<Fiber*>(transfer.data);
  after_jump(self, transfer);
  *thread_state.error_number = 0;
  self.entry(self);
  CHECK(false);
}

}  // namespace

void prepare_fiber(Fiber& fiber, const Stack& stack, void (*entry)(Fiber&)) {
  fiber = Fiber{};
  fiber.entry = entry;
  fiber.stack_low = stack.low;
  fiber.stack_bytes = stack.bytes;
  fiber.context = make_fcontext(stack.low + stack.bytes, stack.bytes, &first_frame);
#ifdef HONGYAN_TSAN
  fiber.sanitizer_fiber = __tsan_create_fiber(0);
#endif
}

void adopt_thread_stack([[maybe_unused]] Fiber& fiber) {
  find_thread_state();
#ifdef HONGYAN_TSAN
  fiber.sanitizer_fiber = __tsan_get_current_fiber();
#endif
}

void switch_fiber(Fiber& from, Fiber& to) {
  const ExceptionState exceptions = *thread_state.exceptions;
  const int error_number = *thread_state.error_number;
  *thread_state.exceptions = {};
  before_jump(&from.fake_stack, to);
  const transfer_t back = jump(from, to);
  after_jump(from, back);
  *thread_state.exceptions = exceptions;
  *thread_state.error_number = error_number;
}

void start_fiber(Fiber& from, Fiber& to) { switch_fiber(from, to); }

void leave_fiber(Fiber& from, Fiber& to) {
  before_jump(nullptr, to);
  jump(from, to);
  CHECK(false);
  __builtin_unreachable();
}

void drop_fiber([[maybe_unused]] Fiber& fiber) {
#ifdef HONGYAN_TSAN
  if (fiber.sanitizer_fiber != nullptr) __tsan_destroy_fiber(fiber.sanitizer_fiber);
  fiber.sanitizer_fiber = nullptr;
#endif
}

const int k_context_frame = -1;

SavedFrame saved_frame(const void*) { return {}; }  // Boost's layout is its own affair.

}  // namespace hongyan::runtime

#endif
