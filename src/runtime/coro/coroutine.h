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

// There may be millions: members are in an order that leaves no holes, the first ones in what Timer
// leaves of its last word.
class Coroutine : public Fiber,
                  public Link<QueueTag>,
                  public Link<EveryoneTag>,
                  public Link<IdleTag>,
                  public Link<ChildTag>,
                  public Timer {
 public:
  enum class State : uint8_t { runnable, running, waiting, ended, dead };

  Link<QueueTag>& queue_link() { return *this; }
  Link<EveryoneTag>& everyone_link() { return *this; }
  Link<IdleTag>& idle_link() { return *this; }
  Link<ChildTag>& child_link() { return *this; }

  State state = State::runnable;
  StackSize stack_size = StackSize::k64;
  bool cancelled = false;
  bool cancellable = true;  // While it waits: whether cancel() ends the wait.
  bool may_park = false;    // It says so by MayPark.
  uint8_t outcome = 0;      // Code of the last wait.

  Scheduler* scheduler = nullptr;
  const char* name_start = nullptr;
  uint16_t name_bytes = 0;
  uint16_t saved_bytes = 0;
  Domain domain = 0;
  char* saved = nullptr;  // Parked: what lived of its stack.
  Closure body;
  Nursery* nursery = nullptr;    // Whose child it is.
  void* hook_word = nullptr;     // Scheduler::hook_word().
  LocalValue* locals = nullptr;  // What CoroutineLocal keys hold for it.
  union {
    Fiber* resumed_by = nullptr;  // While it runs, where a wait goes: the loop, or who called
                                  // spawn_now().
    const char* waits_in;         // While it waits: in what, if known.
  };
  Stack stack;  // Empty before the first run.
  Time waits_since{};

  std::string_view name() const { return {name_start, name_bytes}; }
};
#ifndef HONGYAN_BOOST_SWITCH
static_assert(sizeof(Coroutine) <= 264, "an idle coroutine would weigh more than is promised");
#endif

using RunQueue = LinkList<QueueTag>;
inline Coroutine* coroutine_of(Link<QueueTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<EveryoneTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<IdleTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<ChildTag>* link) { return static_cast<Coroutine*>(link); }

}  // namespace hongyan::runtime
