// What coroutines of one thread wait on. All of them fail with Code::deadline or Code::cancelled
// instead of waiting past the call's deadline. First come, first served. None is held across an
// RPC.
#pragma once

#include <deque>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "runtime/call.h"
#include "runtime/coro/closure.h"
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
  // `what` is a literal that completes "waits in ...".
  Status wait(Time deadline, const char* what = nullptr);
  void wait_uncancellable(const char* what = nullptr);
  bool wake_one();  // False when nobody waits.
  void wake_all();
  bool empty() const { return waiting_.empty(); }

 private:
  LinkList<QueueTag> waiting_;
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

// Many readers or one writer. A reader that comes while a writer waits waits too, and after a writer
// all readers that have come meanwhile are let in: neither kind waits for ever.
class SharedMutex {
 public:
  class [[nodiscard]] Guard {
   public:
    Guard(SharedMutex* mutex, bool shared) : mutex_(mutex), shared_(shared) {}
    Guard(Guard&& other) noexcept
        : mutex_(std::exchange(other.mutex_, nullptr)), shared_(other.shared_) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->unlock(shared_);
    }

   private:
    SharedMutex* mutex_;
    bool shared_;
  };
  Result<Guard> lock(Call& call);
  Result<Guard> lock_shared(Call& call);

 private:
  void unlock(bool shared);
  void let_readers_in();
  bool writing_ = false;
  size_t readers_ = 0;
  WaitList writers_waiting_;
  WaitList readers_waiting_;
};

// So many may be inside at once.
class Semaphore {
 public:
  explicit Semaphore(size_t free) : free_(free) {}
  Status acquire(Call& call);
  bool try_acquire();
  void release();  // Hands over to the first waiter: nobody overtakes.
  size_t free() const { return free_; }

 private:
  size_t free_;
  WaitList waiters_;
};

class CondVar {
 public:
  Status wait(Call& call) { return waiters_.wait(call.deadline, "condition"); }
  template <typename Condition>
  Status wait_until(Call& call, Condition condition) {
    while (!condition()) TRY(wait(call));
    return {};
  }
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
    while (!closed_ && items_.size() >= capacity_) TRY(space_.wait(call.deadline, "channel to send"));
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
      TRY(news_.wait(call.deadline, "channel to receive"));
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
  void spawn(std::string_view name, Closure body, StackSize stack = StackSize::k64);
  // As Scheduler::spawn_now: it has run until its first wait, or to its end, when this returns.
  void spawn_now(std::string_view name, Closure body, StackSize stack = StackSize::k64);
  void cancel();  // Every child's waits fail from now on; new children are born cancelled.
  Status join(Call& call);  // Waits until all children have ended.
  // cancel(), then waits for the end of all children even if the caller is cancelled itself: for
  // cleaning up. Its length is what the children do between a failed wait and their end.
  void cancel_and_join();
  size_t live() const { return live_; }

 private:
  friend class Scheduler;
  Coroutine* bear(std::string_view name, Closure& body, StackSize stack);
  void ended(Coroutine& child);

  Scheduler& scheduler_;
  bool cancelled_ = false;
  size_t live_ = 0;
  LinkList<ChildTag> children_;
  WaitList joiners_;
};

// Waits; ok after the time has passed.
Status sleep(Call& call, Duration duration);

}  // namespace hongyan::runtime
