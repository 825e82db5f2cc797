// Descriptors watched by epoll, edge-triggered.
#pragma once

#include "runtime/os/descriptor_poller.h"

struct epoll_event;

namespace hongyan::runtime {

class EpollPoller : public DescriptorPoller {
 public:
  EpollPoller();
  ~EpollPoller() override;
  EpollPoller(const EpollPoller&) = delete;
  EpollPoller& operator=(const EpollPoller&) = delete;

  Time now() override;
  void poll(Time limit) override;
  void interrupt() override { wakeup_.raise(); }

  bool add(int descriptor, Watcher* watcher) override;
  void remove(int descriptor) override;

 private:
  int wait(::epoll_event* events, int events_max, Time limit);

  int epoll_;
  WakeupEvent wakeup_;
};

}  // namespace hongyan::runtime
