// What a Scheduler is made of; for runtime/coro only.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/coro/coroutine.h"
#include "runtime/coro/scheduler.h"
#include "runtime/coro/switch.h"
#include "runtime/coro/timer_wheel.h"

namespace hongyan::runtime {

struct Scheduler::Impl {
  Impl(Scheduler& scheduler, Poller& poller);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // --- the loop (scheduler.cc) ---
  bool anything_posted() const { return has_posted.load(std::memory_order_acquire); }
  bool ready() const { return anything_to_run() || anything_posted(); }
  bool anything_to_run() const {
    return !run_queue.empty() || !turn_starts.empty() || !turn_ends.empty();
  }
  void begin();
  void poll(bool may_wait);
  Time wake_up_time();
  void take_in();
  void slice();
  void end_turn();
  bool clean_up();  // What an idle moment is for; false: there was nothing to do.
  void beat(bool busy) {
    if (watch == nullptr) return;
    const uint64_t before = watch->beat.load(std::memory_order_relaxed);
    watch->beat.store(((before >> 1) + 1) << 1 | (busy ? 1 : 0), std::memory_order_relaxed);
  }
  void beat_on() {  // From one that is busy to the next.
    if (watch == nullptr) return;
    watch->beat.store(watch->beat.load(std::memory_order_relaxed) + 2, std::memory_order_relaxed);
  }

  // --- one coroutine (scheduler.cc) ---
  bool resume(Coroutine* coroutine);
  bool resume_within(Coroutine* coroutine, Coroutine* outer);
  bool came_back(Coroutine* coroutine);
  bool give_stack(Coroutine* coroutine);
  bool prepare(Coroutine* coroutine);
  static void check_stack(const Coroutine& coroutine) {
    if (coroutine.canary) [[unlikely]] StackPool::check(coroutine.stack());
  }
  bool may_follow();
  void go_to(Coroutine* coroutine, Coroutine* next);
  void go_with_care(Coroutine* coroutine, Coroutine* next);
  void yield_to_loop(Coroutine* coroutine);
  static void check_locks();
  [[noreturn]] void leave_for_ever(Coroutine* coroutine);
  void bury_ended() {
    if (ended != nullptr) bury(std::exchange(ended, nullptr));
  }
  void unpark(Coroutine* coroutine, Code outcome);
  Code wait(Time deadline, bool cancellable, const char* what, const void* in);
  void detach(Coroutine* coroutine);
  void strip(Coroutine* coroutine);
  void bury(Coroutine* coroutine);
  Coroutine* new_coroutine();
  StackPool& pool(StackSize size);

  // --- parking (parking.cc) ---
  void begin_idle(Coroutine* coroutine, const void* in);
  bool save_idle(int most);  // False: none was due.
  bool save_stack(Coroutine* coroutine);
  void restore_stack(Coroutine* coroutine);
  void discard_saved(Coroutine* coroutine);

  Scheduler& self;
  Poller& poller;
  Fiber loop_fiber;
  Fiber* back = &loop_fiber;  // Where the running coroutine's wait goes: the loop, or who called spawn_now().
  RunQueue run_queue;
  int direct_left = 0;  // Coroutines that may still follow one another without the loop.
  Coroutine* ended = nullptr;  // The last one that ended and nobody looked for since.
  Domain loop_domain = 0;      // Of what the loop calls itself.
  Domain running_domain() const { return self.running_ != nullptr ? self.running_->domain : loop_domain; }
  LoopWatch* watch = nullptr;
  TimerWheel timers{self.now_};
  LinkList<EveryoneTag> everyone;
  size_t live = 0;
  uint64_t spawned = 0;
  const std::function<void()>* thread_stack_work = nullptr;
  std::vector<std::unique_ptr<Coroutine>> spare;
  // Kept: their pointers may still be known somewhere.
  std::vector<std::unique_ptr<Coroutine>> dead;
  std::unique_ptr<StackPool> pools[k_stack_sizes];

  class TurnRing : public TurnNode {
   public:
    TurnRing() { clear(); }
    bool empty() const { return next_ == this; }

   private:
    friend struct Impl;
    friend class Scheduler;
    void run_turn() override {}
    void clear() { next_ = previous_ = this; }
  };
  void enter(TurnRing& ring, TurnNode& node);
  void call_all(TurnRing& ring);
  TurnRing turn_starts;  // To be called at the start of the next turn.
  TurnRing turn_ends;    // To be called at the end of this turn.
  TurnRing turn_now;     // Being called.

  // In the list of all schedulers of the process (debug.h).
  Scheduler* next_scheduler = nullptr;

  Duration park_after{Duration::max()};
  LinkList<IdleTag> idle;
  uint64_t parked = 0;
  uint64_t unparked = 0;
  size_t parked_bytes = 0;

  std::atomic<bool> stopped{false};
  std::atomic<bool> sleeping{false};  // The loop waits, or is about to.
  std::atomic<bool> has_posted{false};
  std::mutex posted_mutex;
  std::vector<Closure> posted;
};

}  // namespace hongyan::runtime
