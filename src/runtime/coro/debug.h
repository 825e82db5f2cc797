// What looks at coroutines from outside: the handler of faults, and debuggers. A debugger has no
// types at hand where the build keeps none, so the layout is told as numbers in one variable that it
// finds by name (tools/gdb/coroutines.py).
#pragma once

#include <cstdint>

namespace hongyan::runtime {

class Coroutine;
class Scheduler;

// All of them; `visit` gets each Scheduler. Takes no lock: for a process that is about to end.
void debug_register(Scheduler& scheduler);
void debug_unregister(Scheduler& scheduler);

struct FaultPlace {
  const Coroutine* coroutine = nullptr;
  bool parked = false;  // Its parked stack was touched; otherwise the guard below its stack.
};
// Whose guard or parked stack `address` is in. Allocates nothing and takes no lock: for a process
// that is about to end.
FaultPlace debug_find(const void* address);

}  // namespace hongyan::runtime

extern "C" {

// Offsets in bytes. A list link is {next, previous}; a list is the link that is its head.
struct HongyanCoroDebug {
  uint32_t version;
  void* first_scheduler;
  int32_t scheduler_impl;
  int32_t scheduler_running;
  int32_t impl_next_scheduler;
  int32_t impl_everyone;
  int32_t coroutine_everyone_link;
  int32_t coroutine_name;  // Its address.
  int32_t coroutine_state;
  int32_t coroutine_context;  // Where its stack ends.
  int32_t coroutine_stack;    // {address, 4 bytes of length}; null: it has not started.
  int32_t coroutine_saved;    // Of one that has: null, or the copy of what lies from context up.
  int32_t coroutine_waits_in;  // Of one that waits.
  int32_t coroutine_domain;
  int32_t coroutine_name_bytes;  // Two bytes.
  int32_t context_frame;  // From where its stack ends up to {frame pointer, instruction}.
};
extern HongyanCoroDebug hongyan_coro_debug;
}
