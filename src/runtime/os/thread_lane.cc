#include "runtime/os/thread_lane.h"

#include <pthread.h>
#include <signal.h>

#include "base/check.h"

namespace hongyan::runtime {
namespace {

// Signals belong to the loop's thread: a thread born while they are blocked never sees one, but for the profiler's.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGPROF);  // A profile is of all threads (kernel_profiler.h).
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

ThreadLane::ThreadLane(Scheduler& scheduler, std::string_view name, int threads)
    : scheduler_(scheduler) {
  CHECK(threads > 0);
  const std::string short_name(name.substr(0, 15));
  AllSignalsBlocked blocked;
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work_loop(); });
    pthread_setname_np(threads_.back().native_handle(), short_name.c_str());
  }
}

ThreadLane::~ThreadLane() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  news_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadLane::run(const std::function<void()>& work) {
  if (!Scheduler::in_coroutine()) return work();
  CHECK(&Scheduler::current() == &scheduler_);
  start([&work] { work(); },
        [scheduler = &scheduler_, waiting = scheduler_.running()] { scheduler->wake(waiting); });
  // The job's end reaches the loop by post(), so it can't come before this coroutine is parked.
  scheduler_.park_uncancellable();
}

void ThreadLane::start(std::function<void()> work, std::function<void()> then) {
  {
    std::lock_guard lock(mutex_);
    CHECK(!closing_);
    jobs_.push_back(Job{.work = std::move(work), .then = std::move(then)});
  }
  news_.notify_one();
}

void ThreadLane::work_loop() {
  for (;;) {
    std::unique_lock lock(mutex_);
    news_.wait(lock, [&] { return closing_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.work();
    scheduler_.post(std::move(job.then));
  }
}

}  // namespace hongyan::runtime
