#include "runtime/coro/local.h"

#include "runtime/coro/coroutine.h"
#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

LocalValue*& running_locals() { return Scheduler::current().running()->life.locals; }

void end_locals(Coroutine& coroutine) {
  while (LocalValue* value = coroutine.life.locals) {
    coroutine.life.locals = value->next;
    value->destroy(value);
  }
}

}  // namespace hongyan::runtime
