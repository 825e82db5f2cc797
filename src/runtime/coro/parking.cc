// Parking: what lives of an idle coroutine's stack is copied out and its pages go back to the kernel.
// It returns to the same addresses before the coroutine goes on, so its own pointers stay right.
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "runtime/coro/scheduler_impl.h"

namespace hongyan::runtime {
namespace {

// More than this is not worth copying.
constexpr size_t k_saved_bytes_max = 16 * 1024;

}  // namespace

void Scheduler::set_parking([[maybe_unused]] Duration idle) {
#if !defined(HONGYAN_ASAN) && !defined(HONGYAN_TSAN)
  impl_->park_after = idle;
#endif
}

MayPark::MayPark()
    : coroutine_(Scheduler::current().running()),
      before_(coroutine_->may_park) {
  coroutine_->may_park = true;
}

MayPark::~MayPark() { coroutine_->may_park = before_; }

void Scheduler::Impl::begin_idle(Coroutine* coroutine, const void* in) {
  if (park_after == Duration::max()) return;
  if (coroutine->stack().contains(in)) return;  // Others know an address of this stack.
  idle.push_back(coroutine->life.idle);
}

bool Scheduler::Impl::save_idle(int most) {
  int done = 0;
  while (done < most && !idle.empty()) {
    Coroutine* coroutine = coroutine_of(idle.front());
    if (after(coroutine->life.waits_since, park_after) > self.now_) break;
    coroutine->life.idle.unlink();
    ++done;
    save_stack(coroutine);
  }
  return done > 0;
}

bool Scheduler::Impl::save_stack(Coroutine* coroutine) {
  CHECK(coroutine->state == Coroutine::State::waiting && !coroutine->parked());
  const size_t bytes = coroutine->stack_live();
  if (bytes > k_saved_bytes_max) return false;
  auto* saved = static_cast<char*>(std::malloc(bytes));
  if (saved == nullptr) return false;
  std::memcpy(saved, coroutine->context, bytes);
  pool(coroutine->stack_size).seal(coroutine->stack());
  coroutine->life.saved = saved;
  coroutine->needs_stack = true;
  ++parked;
  parked_bytes += bytes;
  return true;
}

void Scheduler::Impl::restore_stack(Coroutine* coroutine) {
  pool(coroutine->stack_size).unseal(coroutine->stack());
  std::memcpy(coroutine->context, coroutine->life.saved, coroutine->stack_live());
  coroutine->needs_stack = false;
  discard_saved(coroutine);
}

void Scheduler::Impl::discard_saved(Coroutine* coroutine) {
  std::free(std::exchange(coroutine->life.saved, nullptr));
  parked_bytes -= coroutine->stack_live();
  ++unparked;
}

}  // namespace hongyan::runtime
