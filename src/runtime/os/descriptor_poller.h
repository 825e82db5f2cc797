// Outside events of one thread: who watches a descriptor is told what happens to it, by edges, with
// one registration. Watchers are told while no coroutine runs, so a watcher may be removed at any
// other time without an event of the past reaching it. By epoll (epoll_poller.h) or by io_uring
// (uring_poller.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {

class Watcher {
 public:
  virtual ~Watcher() = default;
  // EPOLLIN and its relatives. Must not wait and must not remove watchers.
  virtual void on_events(uint32_t events) = 0;
};

class LoopCounters;

class DescriptorPoller : public Poller {
 public:
  // Tells `counters` (null: nobody) how long each turn of the loop lasted. It outlives the poller's loop.
  void count_in(LoopCounters* counters) { counters_ = counters; }
  // Owning thread only. False when the kernel has no memory or watches left for it.
  virtual bool add(int descriptor, Watcher* watcher) = 0;
  virtual void remove(int descriptor) = 0;  // Before it is closed.

 protected:
  // By poll(): what ran since the events of the last one is a turn, and the next one begins with those that it brings.
  void end_turn(Time at) {
    if (counters_ != nullptr) [[likely]] tell_turn(at);
  }
  void begin_turn(Time at) { turn_began_ = at; }

 private:
  void tell_turn(Time at);

  LoopCounters* counters_ = nullptr;
  Time turn_began_{};
};

// What another thread wakes a poll() with: an eventfd, written once however many want it.
class WakeupEvent {
 public:
  WakeupEvent();
  ~WakeupEvent();
  WakeupEvent(const WakeupEvent&) = delete;
  WakeupEvent& operator=(const WakeupEvent&) = delete;

  int descriptor() const { return descriptor_; }
  void raise();  // Any thread.
  void take();   // By the poll() that it has woken.

 private:
  int descriptor_;
  std::atomic<bool> pending_{false};
};

}  // namespace hongyan::runtime
