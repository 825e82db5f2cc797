// One thread's coroutines. A coroutine is a function on its own small stack; it runs until it
// waits, and it stays on the thread it was born on. The scheduler is deterministic: the run queue
// is FIFO, timers of one instant fire in the order they were set; everything else comes from the
// Poller. The real one waits in epoll (runtime/os), the simulated one advances virtual time
// (sim/world).
//
// Who may call: the owning thread only, but for post(). Stack: k_stack_bytes; RocksDB, argon2 and
// other foreign code that eats stack runs in a Lane (env.h). No exception may cross a coroutine's
// first frame: it aborts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/coro/sanitizers.h"
#include "runtime/time.h"

namespace hongyan::runtime {

class Scheduler;
struct Fiber;

// Stack of one coroutine: 64 KiB, lazily touched, guarded. protobuf JSON of the largest body needs
// 20 KiB. The sanitizers' frames are larger.
#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
inline constexpr size_t k_stack_bytes = 256 * 1024;
#else
inline constexpr size_t k_stack_bytes = 64 * 1024;
#endif

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
  // the past means: do not wait.
  virtual void poll(Time limit) = 0;
  // Makes a poll() that waits return. Any thread.
  virtual void interrupt() = 0;
};

// One coroutine. The pointer stays valid while it lives; hold one only while it is parked in your
// wait list.
class Coroutine;

// What wants to be called once by the loop, outside any coroutine. Belongs to its owner; whoever destroys it takes it
// out. Must not wait. May ask for the next turn while it is called.
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
  // dumps.
  Coroutine* spawn(std::string_view name, std::function<void()> body);
  Coroutine* spawn_in(Domain domain, std::string_view name, std::function<void()> body);

  // Runs a new coroutine at once and returns when it first waits, yields or ends; null then. The
  // caller, a coroutine or the loop, keeps its turn.
  Coroutine* spawn_now(std::string_view name, std::function<void()> body);

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

  // Runs `callback` outside any coroutine, in the next slice. Any thread; with stop(), the only
  // member that is.
  void post(std::function<void()> callback);

  // --- for primitives and pollers ---
  // The running coroutine; null outside.
  Coroutine* running() const { return running_; }
  // Waits until wake(), the deadline (Code::deadline) or cancel() (Code::cancelled; at once if
  // already cancelled). A wake() that came first wins. Spurious returns do not happen.
  Status park(Time deadline);
  // Makes a parked coroutine runnable; no effect when it is already runnable or running.
  void wake(Coroutine* coroutine);
  // Every wait of it fails with Code::cancelled from now on.
  void cancel(Coroutine* coroutine);
  bool cancelled(const Coroutine* coroutine) const;
  void yield();  // To the back of the run queue.
  // Waits for wake() alone: work that is under way and can't be undone, such as a Lane's.
  void park_uncancellable();
  // Runs `work` now, to its end, on the thread's own large stack instead of the coroutine's. It
  // must not wait.
  void run_on_thread_stack(const std::function<void()>& work);
  Domain running_domain() const;  // 0 outside coroutines.

  Time now() const { return now_; }  // Read once per slice of the loop.
  Time read_clock();                 // Right now: for measuring what happens inside a slice.
  size_t live() const;               // Coroutines that have not ended.
  std::string dump() const;  // One line a living coroutine: name, domain, what it does. For people.

  // A process dies: its coroutines never run again, their stacks are taken back without unwinding,
  // their objects leak. They leave the wait lists they stand in, so those must still exist; what
  // they had locked stays locked. Not from a coroutine of that domain. Simulator only.
  void kill(Domain domain);

 private:
  static void coroutine_main(Fiber& coroutine) noexcept;
  struct Impl;
  Time now_{};
  Coroutine* running_ = nullptr;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hongyan::runtime
