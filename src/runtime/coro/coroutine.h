// The control block of a coroutine; for runtime/coro only.
#pragma once

#include <string_view>

#include "base/result.h"
#include "runtime/coro/closure.h"
#include "runtime/coro/links.h"
#include "runtime/coro/scheduler.h"
#include "runtime/coro/stack.h"
#include "runtime/coro/switch.h"
#include "runtime/coro/timer_wheel.h"

namespace hongyan::runtime {

class Nursery;
struct LocalValue;

class Coroutine : public Fiber,
                  public Timer,
                  public Link<QueueTag>,
                  public Link<EveryoneTag>,
                  public Link<IdleTag>,
                  public Link<ChildTag> {
 public:
  enum class State : uint8_t { runnable, running, waiting, ended, dead };

  Link<QueueTag>& queue_link() { return *this; }
  Link<EveryoneTag>& everyone_link() { return *this; }
  Link<IdleTag>& idle_link() { return *this; }
  Link<ChildTag>& child_link() { return *this; }

  Scheduler* scheduler = nullptr;
  std::string_view name;
  Closure body;
  Nursery* nursery = nullptr;     // Whose child it is.
  void* hook_word = nullptr;      // Scheduler::hook_word().
  LocalValue* locals = nullptr;   // What CoroutineLocal keys hold for it.
  Fiber* resumed_by = nullptr;    // Where a wait goes: the loop, or who called spawn_now().

  Stack stack;  // Empty before the first run.
  StackSize stack_size = StackSize::k64;
  State state = State::runnable;
  bool cancelled = false;
  bool cancellable = true;  // While it waits: whether cancel() ends the wait.
  bool may_park = false;    // It says so by MayPark.
  char* saved = nullptr;    // Parked: what lived of its stack.
  uint32_t saved_bytes = 0;

  Domain domain = 0;
  Code outcome = Code::ok;            // Of the last wait.
  const char* waits_in = nullptr;     // While it waits: in what, if known.
  Time waits_since{};
};

using RunQueue = LinkList<QueueTag>;
inline Coroutine* coroutine_of(Link<QueueTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<EveryoneTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<IdleTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<ChildTag>* link) { return static_cast<Coroutine*>(link); }

}  // namespace hongyan::runtime
