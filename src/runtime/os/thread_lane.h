// Threads on which functions may block. See Lane.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/env/env.h"

namespace hongyan::runtime {

class ThreadLane : public Lane {
 public:
  // `name` shows in thread lists, its first 15 bytes.
  ThreadLane(Scheduler& scheduler, std::string_view name, int threads);
  ~ThreadLane() override;
  void run(const std::function<void()>& work) override;
  // On the loop's thread; nobody waits. `then` runs there when `work` is done. Who asks for ever more without waiting has
  // a limit of its own.
  void start(std::function<void()> work, std::function<void()> then);

 private:
  struct Job {
    std::function<void()> work;
    std::function<void()> then;
  };
  void work_loop();

  Scheduler& scheduler_;
  std::mutex mutex_;
  std::condition_variable news_;
  std::deque<Job> jobs_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hongyan::runtime
