// What coroutines of one thread wait on. All of them fail with Code::deadline or Code::cancelled
// instead of waiting past the call's deadline. First come, first served. None is held across an
// RPC.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "runtime/call.h"
#include "runtime/coro/links.h"
#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

// The coroutines that wait for one thing, in order. The building block of the others.
class WaitList {
 public:
  WaitList() = default;
  ~WaitList() { CHECK(waiting_.empty()); }  // Wake all first.
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  // Leaves the list at the instant of deadline or cancel, so no wake_one() is spent on it
  // afterwards.
  Status wait(Time deadline);
  void wait_uncancellable();
  bool wake_one();  // False when nobody waits.
  void wake_all();
  bool empty() const { return waiting_.empty(); }

 private:
  LinkList waiting_;
};

class Mutex {
 public:
  class Guard {
   public:
    explicit Guard(Mutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->unlock();
    }

   private:
    Mutex* mutex_;
  };
  Result<Guard> lock(Call& call);

 private:
  void unlock();  // Hands over to the first waiter: nobody overtakes.
  bool locked_ = false;
  WaitList waiters_;
};

class CondVar {
 public:
  Status wait(Call& call) { return waiters_.wait(call.deadline); }
  void notify_one() { waiters_.wake_one(); }
  void notify_all() { waiters_.wake_all(); }

 private:
  WaitList waiters_;
};

// Bounded queue. receive() after close() drains what is there, then fails with Code::closed.
template <typename T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }
  Status send(Call& call, T item) {
    while (!closed_ && items_.size() >= capacity_) TRY(space_.wait(call.deadline));
    if (closed_) return Status(Code::closed, "channel closed");
    items_.push_back(std::move(item));
    news_.wake_one();
    return {};
  }
  bool try_send(T item) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    news_.wake_one();
    return true;
  }
  Result<T> receive(Call& call) {
    while (items_.empty()) {
      if (closed_) return Status(Code::closed, "channel closed");
      TRY(news_.wait(call.deadline));
    }
    T item = std::move(items_.front());
    items_.pop_front();
    space_.wake_one();
    return item;
  }
  void close() {
    closed_ = true;
    news_.wake_all();
    space_.wake_all();
  }
  size_t size() const { return items_.size(); }

 private:
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitList news_;
  WaitList space_;
};

// Owns coroutines: nothing is detached. The destructor CHECKs that all have ended: join first.
class Nursery {
 public:
  explicit Nursery(Scheduler& scheduler) : scheduler_(scheduler) {}
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;
  void spawn(std::string_view name, std::function<void()> body,
             StackSize stack = StackSize::normal);
  void cancel();  // Every child's waits fail from now on; new children are born cancelled.
  Status join(Call& call);  // Waits until all children have ended.
  // cancel(), then waits for the end of all children even if the caller is cancelled itself: for
  // cleaning up. Its length is what the children do between a failed wait and their end.
  void cancel_and_join();
  size_t live() const { return children_.size(); }

 private:
  Scheduler& scheduler_;
  bool cancelled_ = false;
  std::list<Coroutine*> children_;
  WaitList joiners_;
};

// Waits; ok after the time has passed.
Status sleep(Call& call, Duration duration);

}  // namespace hongyan::runtime
