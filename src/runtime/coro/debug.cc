#include "runtime/coro/debug.h"

#include <memory>
#include <mutex>

#include "runtime/coro/scheduler_impl.h"

extern "C" {
// Found by name from outside the program.
__attribute__((used, visibility("default"))) HongyanCoroDebug hongyan_coro_debug = {};
}

namespace hongyan::runtime {
namespace {

constexpr uint32_t k_version = 2;
std::mutex registry_mutex;

int32_t offset(const void* object, const void* member) {
  return static_cast<int32_t>(static_cast<const char*>(member) - static_cast<const char*>(object));
}

}  // namespace

struct DebugAccess {
  static Scheduler* first() { return static_cast<Scheduler*>(hongyan_coro_debug.first_scheduler); }
  static Scheduler*& next(Scheduler& scheduler) { return scheduler.impl_->next_scheduler; }
  static Scheduler::Impl& impl(Scheduler& scheduler) { return *scheduler.impl_; }

  static void tell_layout(Scheduler& scheduler) {
    HongyanCoroDebug& debug = hongyan_coro_debug;
    debug.version = k_version;
    debug.scheduler_impl = offset(&scheduler, &scheduler.impl_);
    debug.scheduler_running = offset(&scheduler, &scheduler.running_);
    Scheduler::Impl& impl = *scheduler.impl_;
    debug.impl_next_scheduler = offset(&impl, &impl.next_scheduler);
    debug.impl_everyone = offset(&impl, &impl.everyone);
    const auto one = std::make_unique<Coroutine>();
    const void* const start = one.get();
    debug.coroutine_everyone_link = offset(start, &one->everyone_link());
    debug.coroutine_name = offset(start, &one->name_start);
    debug.coroutine_state = offset(start, &one->state);
    debug.coroutine_context = offset(start, &one->context);
    debug.coroutine_stack = offset(start, &one->stack_low);
    debug.coroutine_saved = offset(start, &one->life.saved);
    debug.coroutine_waits_in = offset(start, &one->life.waits_in);
    debug.coroutine_domain = offset(start, &one->domain);
    debug.coroutine_name_bytes = offset(start, &one->name_bytes);
    debug.context_frame = k_context_frame;
  }
};

void debug_register(Scheduler& scheduler) {
  std::lock_guard lock(registry_mutex);
  if (hongyan_coro_debug.version == 0) DebugAccess::tell_layout(scheduler);
  DebugAccess::next(scheduler) = DebugAccess::first();
  hongyan_coro_debug.first_scheduler = &scheduler;
}

void debug_unregister(Scheduler& scheduler) {
  std::lock_guard lock(registry_mutex);
  Scheduler* const next = DebugAccess::next(scheduler);
  if (DebugAccess::first() == &scheduler) {
    hongyan_coro_debug.first_scheduler = next;
    return;
  }
  Scheduler* before = DebugAccess::first();
  while (DebugAccess::next(*before) != &scheduler) before = DebugAccess::next(*before);
  DebugAccess::next(*before) = next;
}

FaultPlace debug_find(const void* address) {
  constexpr size_t k_guard_bytes = 4096;
  FaultPlace found;
  for (Scheduler* each = DebugAccess::first(); each != nullptr; each = DebugAccess::next(*each)) {
    DebugAccess::impl(*each).everyone.each([&](Link<EveryoneTag>& link) {
      const Coroutine* coroutine = coroutine_of(&link);
      if (!coroutine->started()) return;
      const Stack stack = coroutine->stack();
      const bool below = address < stack.low && address >= stack.low - k_guard_bytes;
      if (below) found = {.coroutine = coroutine, .parked = false};
      if (coroutine->parked() && stack.contains(address)) {
        found = {.coroutine = coroutine, .parked = true};
      }
    });
  }
  return found;
}

}  // namespace hongyan::runtime
