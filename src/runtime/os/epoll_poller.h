// Descriptors watched by epoll, edge-triggered. Before it sleeps it may ask for a while:
// idle_spin.h.
#pragma once

#include "runtime/os/descriptor_poller.h"
#include "runtime/os/idle_spin.h"

struct epoll_event;

namespace hongyan::runtime {

class EpollPoller : public DescriptorPoller {
 public:
  explicit EpollPoller(bool may_spin = true);
  ~EpollPoller() override;
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;

  Time now() override;
  void poll(Time limit) override;
  void interrupt() override { wakeup_.raise(); }

  bool add(int descriptor, Watcher* watcher) override;
  void remove(int descriptor) override;

 private:
  int wait(::epoll_event* events, Time limit);
  int ask(::epoll_event* events, Time start, Time until);
  bool others_ran();
  int ask_kernel(::epoll_event* events, Duration sleep);

  const int epoll_;
  const bool may_spin_;
  IdleSpin spin_;
  long switches_ = 0;  // Of this thread, away from a processor that it did not give up by sleeping.
  WakeupEvent wakeup_;
};

}  // namespace hongyan::runtime
