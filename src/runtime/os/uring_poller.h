// Descriptors watched by io_uring: one multishot poll each, by edges, in place of epoll's
// registration. What a turn has asked (new watches, files) and the wait for what comes next are one
// system call, and a turn that does not wait needs none. Streams and files are as with epoll: tried
// first, then waited for.
//
// A poll holds the file it watches: remove() returns when the kernel has let go, so that a close()
// right after it closes.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "runtime/os/descriptor_poller.h"
#include "runtime/os/uring.h"

namespace hongyan::runtime {

class UringPoller : public DescriptorPoller {
 public:
  explicit UringPoller(std::unique_ptr<Uring> ring);
  ~UringPoller() override;
  UringPoller(const UringPoller&) = delete;
  UringPoller& operator=(const UringPoller&) = delete;

  Time now() override;
  void poll(Time limit) override;
  void interrupt() override { wakeup_.raise(); }

  // Always true: what the kernel has no memory for at once is asked again.
  bool add(int descriptor, Watcher* watcher) override;
  void remove(int descriptor) override;

  // For files: handed over and delivered by poll().
  Uring& ring() { return *ring_; }

 private:
  class Watch;
  class Wakeup : public Watcher {
   public:
    explicit Wakeup(WakeupEvent& event) : event_(event) {}
    void on_events(uint32_t) override { event_.take(); }

   private:
    WakeupEvent& event_;
  };
  void arm(Watch& watch);
  void disarm(Watch& watch);
  void ask_again();
  void forget(Watch& watch);

  std::unique_ptr<Uring> ring_;
  WakeupEvent wakeup_;
  Wakeup wakeup_watcher_{wakeup_};
  std::unordered_map<int, Watch*> by_descriptor_;
  std::unordered_map<Watch*, std::unique_ptr<Watch>>
      watches_;                  // Also those removed that the kernel still knows.
  std::vector<Watch*> refused_;  // To be asked again.
};

}  // namespace hongyan::runtime
