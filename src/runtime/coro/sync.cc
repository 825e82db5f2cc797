#include "runtime/coro/sync.h"

#include "runtime/coro/coroutine.h"

namespace hongyan::runtime {

Status WaitList::wait(Time deadline) {
  Scheduler& scheduler = Scheduler::current();
  Link& link = scheduler.running()->wait_link;
  waiting_.push_back(link);
  Status status = scheduler.park(deadline);
  link.unlink();  // Still in the list when park() did not wait at all.
  return status;
}

void WaitList::wait_uncancellable() {
  Scheduler& scheduler = Scheduler::current();
  waiting_.push_back(scheduler.running()->wait_link);
  scheduler.park_uncancellable();
}

bool WaitList::wake_one() {
  Coroutine* first = waiting_.pop_front();
  if (first == nullptr) return false;
  first->scheduler->wake(first);
  return true;
}

void WaitList::wake_all() {
  while (wake_one()) {
  }
}

Result<Mutex::Guard> Mutex::lock(Call& call) {
  if (locked_) {
    TRY(waiters_.wait(call.deadline));  // Woken is owning: unlock() left it locked for us.
  }
  locked_ = true;
  return Guard(this);
}

void Mutex::unlock() {
  CHECK(locked_);
  if (!waiters_.wake_one()) locked_ = false;
}

Nursery::~Nursery() { CHECK(children_.empty()); }

void Nursery::spawn(std::string_view name, std::function<void()> body, StackSize stack) {
  const auto place = children_.insert(children_.end(), nullptr);
  auto run = [this, place, body = std::move(body)]() mutable {
    std::exchange(body, nullptr)();  // What it captured is gone before the child counts as ended.
    children_.erase(place);
    if (children_.empty()) joiners_.wake_all();
  };
  *place = scheduler_.spawn(name, std::move(run), stack);
  if (cancelled_) scheduler_.cancel(*place);
}

void Nursery::cancel() {
  cancelled_ = true;
  for (Coroutine* child : children_) scheduler_.cancel(child);
}

Status Nursery::join(Call& call) {
  while (!children_.empty()) TRY(joiners_.wait(call.deadline));
  return {};
}

void Nursery::cancel_and_join() {
  cancel();
  while (!children_.empty()) joiners_.wait_uncancellable();
}

Status sleep(Call& call, Duration duration) {
  Scheduler& scheduler = Scheduler::current();
  const Time end = after(scheduler.now(), duration);
  const bool in_time = end <= call.deadline;
  Status status = scheduler.park(in_time ? end : call.deadline);
  if (status.code() == Code::deadline && in_time) return {};
  return status;
}

}  // namespace hongyan::runtime
