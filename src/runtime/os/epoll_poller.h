// Outside events of one thread: epoll, edge-triggered, one registration a descriptor. Watchers are
// told of events while no coroutine runs, so a watcher may be removed at any other time without an
// event of the past reaching it.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/coro/scheduler.h"

struct epoll_event;

namespace hongyan::runtime {

class LoopCounters;

class Watcher {
 public:
  virtual ~Watcher() = default;
  // EPOLLIN and its relatives. Must not wait and must not remove watchers.
  virtual void on_events(uint32_t events) = 0;
};

class EpollPoller : public Poller {
 public:
  EpollPoller();
  ~EpollPoller() override;
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;

  Time now() override;
  void poll(Time limit) override;
  void interrupt() override;

  // Tells `counters` (null: nobody) how long each turn of the loop lasted. It outlives the poller's loop.
  void count_in(LoopCounters* counters) { counters_ = counters; }

  // Owning thread only. False when the kernel has no memory or watches left for it.
  bool add(int descriptor, Watcher* watcher);
  void remove(int descriptor);  // Before it is closed.

 private:
  int wait(::epoll_event* events, int events_max, Time limit);

  LoopCounters* counters_ = nullptr;
  Time turn_began_{};
  int epoll_;
  int wakeup_;  // An eventfd.
  std::atomic<bool> wakeup_pending_{false};
};

}  // namespace hongyan::runtime
