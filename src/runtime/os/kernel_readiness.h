// Readiness by an epoll set of its own, one registration a descriptor, armed for one event at a
// time; the set itself is watched by the thread's EpollPoller. A wait costs one epoll_ctl (340 ns).
//
// The number of a descriptor that was closed unseen and opened again is told by the kernel: it no
// longer knows the registration, so those who waited for the old one are sent away.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "runtime/env/readiness.h"
#include "runtime/os/epoll_poller.h"

namespace hongyan::runtime {

class KernelReadiness : public Readiness, private Watcher {
 public:
  KernelReadiness(EpollPoller& poller, Scheduler& scheduler);
  ~KernelReadiness() override;
  Status wait(std::span<const Interest> interests, Time deadline) override;
  void closing(int descriptor) override;

 private:
  struct Waiter {
    Coroutine* coroutine = nullptr;
    uint32_t events = 0;
    bool closed = false;
    Waiter* next = nullptr;
  };
  void on_events(uint32_t events) override;
  void happened(int descriptor, uint32_t events);
  bool enter(int descriptor, Waiter& waiter);
  void leave(int descriptor, Waiter& waiter);
  bool arm(int descriptor, Waiter* first);

  EpollPoller& poller_;
  Scheduler& scheduler_;
  int epoll_;
  std::map<int, Waiter*> waiting_;  // Lists of those who wait, by descriptor; none is empty.
};

}  // namespace hongyan::runtime
