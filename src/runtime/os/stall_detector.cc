#include "runtime/os/stall_detector.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/check.h"
#include "runtime/coro/backtrace.h"
#include "runtime/coro/coroutine.h"
#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

constexpr int k_frames_max = 48;
// What the handler itself and the signal's frame add above the code that stalls.
constexpr int k_frames_of_handler = 2;
// Looks in a row that find the loop waiting, before the detector sleeps until it has work.
constexpr int k_idle_looks = 40;
// A log line a second at most; the counter counts all.
constexpr Duration k_log_every = 1s;
constexpr Duration k_answer_limit = 50ms;

// Of the process: one thread is asked at a time. The handler may touch nothing else.
struct Snapshot {
  std::mutex asking;
  std::atomic<bool> done{false};
  int frames = 0;
  void* frame[k_frames_max] = {};
  char name[64] = {};
};
Snapshot snapshot;

// On the thread that stalls. backtrace() was called once before, so that it loads nothing now.
void on_asked(int) {
  const int saved_errno = errno;
  if (!snapshot.done.load(std::memory_order_acquire)) {
    const std::string_view name = Scheduler::in_coroutine() ? Scheduler::current().running()->name()
                                                            : std::string_view("the loop itself");
    const size_t bytes = std::min(name.size(), sizeof(snapshot.name) - 1);
    std::memcpy(snapshot.name, name.data(), bytes);
    snapshot.name[bytes] = '\0';
    snapshot.frames = backtrace(snapshot.frame, k_frames_max);
    snapshot.done.store(true, std::memory_order_release);
  }
  errno = saved_errno;
}

void listen_for_questions() {
  static std::once_flag once;
  std::call_once(once, [] {
    void* frames[4];
    backtrace(frames, 4);
    struct sigaction action {};
    action.sa_handler = on_asked;
    action.sa_flags = SA_RESTART | SA_ONSTACK;  // A coroutine's own stack may be small.
    sigemptyset(&action.sa_mask);
    sigaction(SIGURG, &action, nullptr);
    snapshot.done.store(true);
  });
}

}  // namespace

StallDetector::StallDetector(Scheduler& scheduler, Counters& counters, Log& log, Duration limit,
                             std::unique_ptr<ThreadMeter> meter)
    : scheduler_(scheduler),
      log_(log),
      limit_(limit),
      stalls_(counters.counter("hongyan_runtime_stalls",
                               "Times one slice of the loop ran or blocked for more than 10 ms")),
      descheduled_(counters.counter("hongyan_runtime_descheduled",
                                    "Times one slice of the loop took more than 10 ms since the "
                                    "machine had no processor for it")),
      meter_(std::move(meter)) {
  listen_for_questions();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // Signals belong to the loop's thread.
  thread_ = std::thread([this] { watch_loop(); });
  pthread_setname_np(thread_.native_handle(), "stall detector");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  scheduler_.set_watch(this);
}

StallDetector::~StallDetector() {
  scheduler_.set_watch(nullptr);
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  news_.notify_all();
  thread_.join();
}

void StallDetector::on_loop_start() {
  std::lock_guard lock(mutex_);
  meter_->attach();
  loop_ = pthread_self();
  loop_known_ = true;
}

void StallDetector::wake() {
  std::lock_guard lock(mutex_);
  dozing.store(false);
  news_.notify_one();
}

void StallDetector::watch_loop() {
  // Twice within the limit, so that none that is half as long again stays unseen.
  const auto interval = limit_ / 2;
  logged_ = monotonic_now() - k_log_every;
  Slice slice;
  int idle = 0;
  std::unique_lock lock(mutex_);
  begin(slice, beat.load(std::memory_order_relaxed));
  while (!closing_) {
    if (idle >= k_idle_looks) {
      dozing.store(true);
      // Between the last look and now the loop may have begun to work; it would not wake anybody.
      if (beat.load() == slice.beat) news_.wait(lock, [&] { return closing_ || !dozing.load(); });
      dozing.store(false);
      idle = 0;
      begin(slice, beat.load(std::memory_order_relaxed));
      continue;
    }
    news_.wait_for(lock, interval);
    const uint64_t now_at = beat.load(std::memory_order_relaxed);
    const bool busy = (now_at & 1) != 0;
    if (now_at == slice.beat && busy) {
      if (loop_known_) look_again(slice);
      continue;
    }
    if (slice.late && !slice.stall) descheduled_.add(1);
    idle = busy ? 0 : idle + 1;
    begin(slice, now_at);
  }
}

// With the mutex held, here and below: the loop's thread does not end meanwhile.
void StallDetector::begin(Slice& slice, uint64_t beat) {
  const Time now = monotonic_now();
  slice = {.beat = beat, .since = now, .looked = now};
  if ((beat & 1) != 0 && loop_known_) slice.use = meter_->read();
}

void StallDetector::look_again(Slice& slice) {
  const ThreadUse use = meter_->read();
  const Time now = monotonic_now();
  slice.own += own_time(slice.use, use, now - slice.looked);
  slice.use = use;
  slice.looked = now;
  slice.late = now - slice.since >= limit_;
  if (slice.own < limit_) return;
  if (!slice.stall) stalls_.add(1);
  if (now - logged_ >= k_log_every) {
    report(now - slice.since, slice.stall);
    logged_ = now;
  }
  slice.stall = true;
}

void StallDetector::report(Duration so_far, bool again) {
  std::lock_guard one_at_a_time(snapshot.asking);
  snapshot.done.store(false, std::memory_order_release);
  if (pthread_kill(loop_, SIGURG) != 0) return;
  const Time limit = monotonic_now() + k_answer_limit;
  while (!snapshot.done.load(std::memory_order_acquire)) {
    if (monotonic_now() < limit) continue;
    snapshot.done.store(true, std::memory_order_release);  // A thread in the kernel may not answer.
    log_.warning("runtime: loop stalled ms={} coroutine=? backtrace=none", milliseconds(so_far));
    return;
  }
  std::string where;
  for (int i = k_frames_of_handler; i < snapshot.frames; ++i) {
    fmt::format_to(std::back_inserter(where), "{}{}", where.empty() ? "" : " < ",
                   describe_frame(snapshot.frame[i]));
  }
  log_.warning("runtime: loop {} ms={} coroutine=\"{}\" backtrace={}",
               again ? "still stalled" : "stalled", milliseconds(so_far), snapshot.name, where);
}

}  // namespace hongyan::runtime
