#include "runtime/coro/sync.h"

#include "runtime/coro/coroutine.h"

namespace hongyan::runtime {

Status WaitList::wait(Time deadline, const char* what) {
  Scheduler& scheduler = Scheduler::current();
  Coroutine* const self = scheduler.running();
  waiting_.push_back(*self);
  Status status = scheduler.park(deadline, what, this);
  self->queue_link().unlink();  // Still in the list when park() did not wait at all.
  return status;
}

void WaitList::wait_uncancellable(const char* what) {
  Scheduler& scheduler = Scheduler::current();
  waiting_.push_back(*scheduler.running());
  scheduler.park_uncancellable(what, this);
}

bool WaitList::wake_one() {
  Link<QueueTag>* const first = waiting_.pop_front();
  if (first == nullptr) return false;
  Coroutine* const coroutine = coroutine_of(first);
  coroutine->scheduler->wake(coroutine);
  return true;
}

void WaitList::wake_all() {
  while (wake_one()) {
  }
}

Result<Mutex::Guard> Mutex::lock(Call& call) {
  if (locked_) {
    TRY(waiters_.wait(call.deadline, "mutex"));  // Woken is owning: unlock() left it locked for us.
  }
  locked_ = true;
  return Guard(this);
}

void Mutex::unlock() {
  CHECK(locked_);
  if (!waiters_.wake_one()) locked_ = false;
}

Result<SharedMutex::Guard> SharedMutex::lock(Call& call) {
  if (writing_ || readers_ > 0) {
    Status status = writers_waiting_.wait(call.deadline, "shared mutex to write");
    if (!status.ok()) {
      if (!writing_ && writers_waiting_.empty()) let_readers_in();  // They waited behind this one.
      return status;
    }
  }
  writing_ = true;
  return Guard(this, false);
}

Result<SharedMutex::Guard> SharedMutex::lock_shared(Call& call) {
  if (writing_ || !writers_waiting_.empty()) {
    TRY(readers_waiting_.wait(call.deadline, "shared mutex to read"));  // Counted by who woke it.
  } else {
    ++readers_;
  }
  return Guard(this, true);
}

void SharedMutex::let_readers_in() {
  while (readers_waiting_.wake_one()) ++readers_;
}

void SharedMutex::unlock(bool shared) {
  if (shared) {
    CHECK(readers_ > 0);
    if (--readers_ == 0 && writers_waiting_.wake_one()) writing_ = true;
    return;
  }
  CHECK(writing_);
  writing_ = false;
  let_readers_in();
  if (readers_ == 0 && writers_waiting_.wake_one()) writing_ = true;
}

Status Semaphore::acquire(Call& call) {
  if (try_acquire()) return {};
  return waiters_.wait(call.deadline, "semaphore");  // Woken is inside.
}

bool Semaphore::try_acquire() {
  if (free_ == 0) return false;
  --free_;
  return true;
}

void Semaphore::release() {
  if (!waiters_.wake_one()) ++free_;
}

Nursery::~Nursery() { CHECK(live_ == 0); }

Coroutine* Nursery::bear(std::string_view name, Closure& body, StackSize stack) {
  Coroutine* child = scheduler_.bear(scheduler_.running_domain(), name, body, stack);
  child->nursery = this;
  child->cancelled = cancelled_;
  children_.push_back(*child);
  ++live_;
  return child;
}

void Nursery::spawn(std::string_view name, Closure body, StackSize stack) {
  scheduler_.start(bear(name, body, stack));
}

void Nursery::spawn_now(std::string_view name, Closure body, StackSize stack) {
  scheduler_.start_now(bear(name, body, stack));
}

// The last the child does.
void Nursery::ended(Coroutine& child) {
  child.child_link().unlink();
  if (--live_ == 0) joiners_.wake_all();
}

void Nursery::cancel() {
  cancelled_ = true;
  children_.each([&](Link<ChildTag>& child) { scheduler_.cancel(coroutine_of(&child)); });
}

Status Nursery::join(Call& call) {
  while (live_ > 0) TRY(joiners_.wait(call.deadline, "nursery"));
  return {};
}

void Nursery::cancel_and_join() {
  cancel();
  while (live_ > 0) joiners_.wait_uncancellable("nursery");
}

Status sleep(Call& call, Duration duration) {
  Scheduler& scheduler = Scheduler::current();
  const Time end = after(scheduler.now(), duration);
  const bool in_time = end <= call.deadline;
  Status status = scheduler.park(in_time ? end : call.deadline, "sleep");
  if (status.code() == Code::deadline && in_time) return {};
  return status;
}

}  // namespace hongyan::runtime
