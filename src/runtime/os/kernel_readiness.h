// What foreign libraries' descriptors wait for: readiness by an epoll set of its own, one registration a descriptor, armed for one event at a
// time; the set itself is watched by the thread's DescriptorPoller. A wait costs one epoll_ctl (340 ns).
//
// The number of a descriptor that was closed unseen and opened again is told by the kernel: it no
// longer knows the registration, so those who waited for the old one are sent away. Regular files go through the Env's
// FileEngine.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "runtime/env/readiness.h"
#include "runtime/os/descriptor_poller.h"
#include "runtime/os/file_engine.h"

namespace hongyan::runtime {

class KernelReadiness : public Readiness, private Watcher {
 public:
  KernelReadiness(DescriptorPoller& poller, Scheduler& scheduler, FileEngine& files);
  ~KernelReadiness() override;
  Status wait(std::span<const Interest> interests, Time deadline) override;
  void closing(int descriptor) override;
  int64_t read_file(int descriptor, std::span<const ::iovec> parts, int64_t offset) override;
  int64_t write_file(int descriptor, std::span<const ::iovec> parts, int64_t offset) override;
  int sync_file(int descriptor, bool data_only) override;

 private:
  struct Waiter {
    Coroutine* coroutine = nullptr;
    uint32_t events = 0;
    bool closed = false;
    bool woken = false;  // It will ask again, if it wants more.
    Waiter* next = nullptr;
  };
  int64_t transfer(FileOperation::Kind kind, int descriptor, std::span<const ::iovec> parts, int64_t offset);
  void on_events(uint32_t events) override;
  void happened(int descriptor, uint32_t events);
  bool enter(int descriptor, Waiter& waiter);
  void leave(int descriptor, Waiter& waiter);
  bool arm(int descriptor, Waiter* first);

  DescriptorPoller& poller_;
  Scheduler& scheduler_;
  FileEngine& files_;
  int epoll_;
  std::map<int, Waiter*> waiting_;  // Lists of those who wait, by descriptor; none is empty.
};

}  // namespace hongyan::runtime
