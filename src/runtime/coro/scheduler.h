// One thread's coroutines. A coroutine is a function on its own small stack; it runs until it
// waits, and it stays on the thread it was born on. The scheduler is deterministic: the run queue
// is FIFO, timers of one instant fire in the order they were set; everything else comes from the
// Poller. The real one waits in epoll (runtime/os), the simulated one advances virtual time
// (sim/world).
//
// Who may call: the owning thread only, but for post() and stop(). Stack: bytes_of(StackSize), 64 KiB
// unless told; RocksDB, argon2 and other foreign code that eats stack runs in a Lane (env.h). No
// exception may cross a coroutine's first frame: it aborts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/coro/closure.h"
#include "runtime/coro/stack.h"
#include "runtime/time.h"

namespace hongyan::runtime {

class Scheduler;
class Nursery;
struct Fiber;

// Of a coroutine for which nothing else was asked.
inline constexpr size_t k_stack_bytes = bytes_of(StackSize::k64);

// A group of coroutines that dies together: a simulated process. Children are born into their
// parent's domain.
using Domain = uint32_t;

// Where a scheduler gets time and outside events.
class Poller {
 public:
  virtual ~Poller() = default;
  virtual Time now() = 0;
  // Delivers what has happened (by Scheduler::wake or by running callbacks) and returns; waits for
  // the first event until `limit` when nothing has. Called with no coroutine running. `limit` in
  // the past means: do not wait. It may return early.
  virtual void poll(Time limit) = 0;
  // Makes a poll() that waits return. Any thread.
  virtual void interrupt() = 0;
};

// One coroutine. The pointer stays valid while it lives; hold one only while it waits in your wait
// list.
class Coroutine;

// What wants to be called once by the loop, outside any coroutine. Belongs to its owner; whoever
// destroys it takes it out. Must not wait. May ask for the next turn while it is called.
class TurnNode {
 public:
  TurnNode() = default;
  TurnNode(const TurnNode&) = delete;
  TurnNode& operator=(const TurnNode&) = delete;
  virtual ~TurnNode() { leave(); }

 private:
  friend class Scheduler;
  virtual void run_turn() = 0;
  void leave();
  TurnNode* next_ = nullptr;  // In a ring; null: not asked for.
  TurnNode* previous_ = nullptr;
  Domain domain_ = 0;
};

// Something to do at the start of a turn of the loop, such as taking what a socket has got: before
// the coroutines that are ready, and before those that it wakes.
class TurnStart : public TurnNode {
 public:
  virtual void on_turn_start() = 0;

 private:
  void run_turn() final { on_turn_start(); }
};

// Something to do at the end of a turn of the loop, such as writing what the turn has collected:
// after all that was ready has run (or its slice is over) and before the poller is asked.
class TurnEnd : public TurnNode {
 public:
  virtual void on_turn_end() = 0;

 private:
  void run_turn() final { on_turn_end(); }
};

// What a coroutine does, for people and pages. Valid while nothing runs.
struct CoroutineInfo {
  std::string_view name;
  Domain domain = 0;
  bool running = false;
  bool waiting = false;  // Neither: it is ready.
  bool cancelled = false;
  bool parked = false;
  const char* waits_in = nullptr;  // "mutex"; null: it did not say.
  Time waits_since{};              // Of one that waits.
  Time deadline = k_never;         // Of one that waits.
  size_t stack_bytes = 0;          // 0: it has not started.
  size_t stack_used = 0;           // Of one that does not run.
  std::vector<const void*> frames;  // Where it goes on, innermost first, if they were asked for.
};

struct SchedulerStats {
  size_t live = 0;
  size_t ready = 0;  // In the run queue: counted, so not for every call.
  size_t waiting_timers = 0;
  uint64_t spawned = 0;
  uint64_t parked = 0;  // Times one was, and came back.
  uint64_t unparked = 0;
  size_t parked_now = 0;
  size_t parked_bytes = 0;  // Of saved stacks now.
  StackStats stacks[k_stack_sizes];
};

// What a watchdog on another thread sees of a loop.
class LoopWatch {
 public:
  virtual ~LoopWatch() = default;
  // Changes with every slice; odd while something runs, even while the loop waits for events.
  std::atomic<uint64_t> beat{0};
  // Set by the watchdog when it sleeps: the loop calls wake() when it has work again.
  std::atomic<bool> dozing{false};
  // On the loop's thread:
  virtual void wake() = 0;
  virtual void on_loop_start() = 0;  // From now on this thread runs the loop.
};

class Scheduler {
 public:
  explicit Scheduler(Poller& poller);
  ~Scheduler();  // Every coroutine has ended or its domain is dead.
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The scheduler that runs the calling coroutine; CHECKs that there is one.
  static Scheduler& current();
  static bool in_coroutine();

  // Queues a coroutine; it starts in a later slice. `name` must outlive it (a literal) and shows in
  // dumps. What `body` captured ends with it, on its own stack.
  Coroutine* spawn(std::string_view name, Closure body, StackSize stack = StackSize::k64);
  Coroutine* spawn_in(Domain domain, std::string_view name, Closure body,
                      StackSize stack = StackSize::k64);
  // Runs a new coroutine at once and returns when it first waits, yields or ends; null then. The
  // caller, a coroutine or the loop, keeps its turn.
  Coroutine* spawn_now(std::string_view name, Closure body, StackSize stack = StackSize::k64);

  // Calls node.on_turn_end() once, at the end of this turn; in the order of asking, and once however
  // often it was asked. Killed with the domain that asked.
  void at_turn_end(TurnEnd& node);
  // The same at the start of the next turn. A poller may ask while it delivers events.
  void at_turn_start(TurnStart& node);

  // Runs until stop(); a stop() that came before ends it at once. run_until_idle() runs until
  // nothing is runnable and no timer is set (tests, simulator). run_ready() runs what needs no
  // waiting, and what that makes runnable.
  void run();
  void run_until_idle();
  void run_ready();
  void stop();  // Any thread.

  // Runs `callback` outside any coroutine, in the next slice. Any thread.
  void post(Closure callback);

  // A coroutine that has waited for `idle` in a MayPark scope gives its stack's pages back and keeps
  // a copy of what lived of them: some hundred bytes instead of a page. k_never, as at first: none
  // does. Without effect under sanitizers.
  void set_parking(Duration idle);

  // --- for primitives and pollers ---
  // The running coroutine; null outside.
  Coroutine* running() const { return running_; }
  // Waits until wake(), the deadline (Code::deadline) or cancel() (Code::cancelled; at once if
  // already cancelled). A wake() that came first wins. Spurious returns do not happen. `what` is a
  // literal that completes "waits in ..."; `in`, where others find what is waited in, if anywhere.
  Status park(Time deadline, const char* what = nullptr, const void* in = nullptr);
  // Makes a waiting coroutine runnable; no effect when it is already runnable or running.
  void wake(Coroutine* coroutine);
  // Every wait of it fails with Code::cancelled from now on.
  void cancel(Coroutine* coroutine);
  bool cancelled(const Coroutine* coroutine) const;
  void yield();  // To the back of the run queue.
  // Waits for wake() alone: work that is under way and can't be undone, such as a Lane's.
  void park_uncancellable(const char* what = nullptr, const void* in = nullptr);
  // Runs `work` now, to its end, on the thread's own large stack instead of the coroutine's. It
  // must not wait.
  void run_on_thread_stack(const std::function<void()>& work);
  Domain running_domain() const;  // 0 outside coroutines.
  // A word of the calling coroutine's own, null when it is born; null outside coroutines. For
  // runtime/hook. Allocates nothing and touches no lock: libc's symbols are served from it.
  static void** hook_word();

  Time now() const { return now_; }  // Read once per slice of the loop.
  Time read_clock();  // Right now: for measuring what happens inside a slice.
  size_t live() const;               // Coroutines that have not ended.
  SchedulerStats stats() const;
  // One line a living coroutine: name, domain, what it does. For people. With frames, each is
  // followed by where it waits, a line a frame.
  std::string dump(bool with_frames = false) const;
  // In the order of birth.
  void each(const std::function<void(const CoroutineInfo&)>& visit, bool with_frames = false) const;
  // Null takes it away. `watch` outlives the scheduler's loop.
  void set_watch(LoopWatch* watch);

  // A process dies: its coroutines never run again, their stacks are taken back without unwinding,
  // their objects leak. They leave the wait lists they stand in, so those must still exist; what
  // they had locked stays locked. Not from a coroutine of that domain. Simulator only.
  void kill(Domain domain);

 private:
  friend class Nursery;
  friend struct DebugAccess;
  static void coroutine_main(Fiber& coroutine) noexcept;
  Coroutine* bear(Domain domain, std::string_view name, Closure& body, StackSize stack);
  void start(Coroutine* coroutine);
  bool start_now(Coroutine* coroutine);
  struct Impl;
  Time now_{};
  Coroutine* running_ = nullptr;
  std::unique_ptr<Impl> impl_;
};

// While it lives, waits of this coroutine may be long and it may be parked in them (set_parking). Who
// writes it promises that meanwhile nobody else holds a pointer into this coroutine's stack: no other
// coroutine, no thread, no kernel. What it waits in must live elsewhere (that is checked, and a
// coroutine that waits in something on its own stack is not parked). Touching a parked stack stops
// the process, with a message, where the kernel has guard markers.
class MayPark {
 public:
  MayPark();
  ~MayPark();
  MayPark(const MayPark&) = delete;
  MayPark& operator=(const MayPark&) = delete;

 private:
  Coroutine* coroutine_;
  bool before_;
};

}  // namespace hongyan::runtime
