#include "runtime/coro/scheduler.h"

#include <fmt/format.h>

#include <atomic>
#include <iterator>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "runtime/coro/coroutine.h"
#include "runtime/coro/timer_wheel.h"

#ifdef HONGYAN_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace hongyan::runtime {
namespace {

// After so many resumed coroutines, or so much time, the poller is asked for news: a long queue
// must not starve I/O.
constexpr int k_slice_coroutines = 256;
constexpr Duration k_slice_time = 200us;
constexpr int k_slice_clock_every = 4;  // Reading the clock costs 23 ns.
// Ended control blocks kept for the next coroutine.
constexpr size_t k_spare_blocks = 1024;

// The scheduler whose loop this thread is in. Coroutines never change threads, so an address of it
// kept across a switch stays right.
thread_local Scheduler* current_scheduler = nullptr;

// On purpose: tells the leak checker that this, and all it leads to, is not forgotten.
void leak([[maybe_unused]] const void* object) {
#ifdef HONGYAN_ASAN
  __lsan_ignore_object(object);
#endif
}

}  // namespace

void TurnNode::leave() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

struct Scheduler::Impl {
  Impl(Scheduler& scheduler, Poller& poller) : self(scheduler), poller(poller) {
    for (RingHead* ring : {&turn_starts, &turn_ends}) ring->next_ = ring->previous_ = ring;
  }
  ~Impl() {
    for (RingHead* ring : {&turn_starts, &turn_ends}) ring->leave();
  }

  // The ring's own member.
  class RingHead : public TurnNode {
    friend struct Impl;
    void run_turn() override { CHECK(false); }
  };
  void enter(RingHead& ring, TurnNode& node) {
    if (node.next_ != nullptr) return;
    node.domain_ = domain;
    node.next_ = &ring;
    node.previous_ = ring.previous_;
    ring.previous_->next_ = &node;
    ring.previous_ = &node;
  }
  // Those who ask meanwhile are called in the next turn.
  void call_all(RingHead& ring) {
    if (ring.next_ == &ring) return;
    RingHead now;
    now.next_ = std::exchange(ring.next_, &ring);
    now.previous_ = std::exchange(ring.previous_, &ring);
    now.next_->previous_ = now.previous_->next_ = &now;
    while (now.next_ != &now) {
      TurnNode* node = now.next_;
      node->leave();
      domain = node->domain_;
      node->run_turn();
    }
    domain = 0;
    now.leave();
  }
  void leave_all(RingHead& ring, Domain dead_domain) {
    for (TurnNode* node = ring.next_; node != &ring;) {
      TurnNode* const next = node->next_;
      if (node->domain_ == dead_domain) node->leave();
      node = next;
    }
  }
  void end_turn() { call_all(turn_ends); }

  Scheduler& self;
  Poller& poller;
  StackPool stacks{k_stack_bytes};
  Fiber loop_fiber;
  ThreadState thread;
  RingHead turn_starts;
  RingHead turn_ends;
  LinkList run_queue;
  TimerWheel timers{self.now_};
  LinkList all;
  size_t live = 0;
  Domain domain = 0;  // Of the running coroutine.
  const std::function<void()>* thread_stack_work = nullptr;
  std::vector<std::unique_ptr<Coroutine>> spare;
  std::vector<std::unique_ptr<Coroutine>>
      dead;  // Kept: their pointers may still be known somewhere.

  std::atomic<bool> stopped{false};
  std::mutex posted_mutex;
  std::vector<std::function<void()>> posted;

  bool anything_posted() {
    std::lock_guard lock(posted_mutex);
    return !posted.empty();
  }
  bool ready() {
    return !run_queue.empty() || turn_starts.next_ != &turn_starts || turn_ends.next_ != &turn_ends ||
           anything_posted();
  }

  void interrupt_from_elsewhere() {
    if (current_scheduler != &self) poller.interrupt();
  }

  // Asks the poller, waiting only if there is nothing to do, and takes in what has become due.
  void poll(bool may_wait) {
    Time limit = self.now_;
    if (may_wait && !ready() && !stopped.load())
      limit = timers.next_time();
    poller.poll(limit);
    take_in();
  }

  void take_in() {
    self.now_ = poller.now();
    while (Timer* due = timers.fire_next(self.now_)) {
      unpark(static_cast<Coroutine*>(due), Code::deadline);
    }
    std::vector<std::function<void()>> callbacks;
    {
      std::lock_guard lock(posted_mutex);
      callbacks.swap(posted);
    }
    for (auto& callback : callbacks) callback();
  }

  void slice() {
    const Time end = after(self.now_, k_slice_time);
    call_all(turn_starts);
    for (int i = 1; i <= k_slice_coroutines; ++i) {
      if (run_queue.empty() || stopped.load(std::memory_order_relaxed)) return;
      resume(run_queue.pop_front());
      if (i % k_slice_clock_every == 0 && poller.now() >= end) return;
    }
  }

  void unpark(Coroutine* coroutine, Code outcome) {
    CHECK(coroutine->state == Coroutine::State::parked);
    timers.cancel(*coroutine);
    coroutine->wait_link.unlink();
    coroutine->outcome = outcome;
    coroutine->state = Coroutine::State::runnable;
    run_queue.push_back(coroutine->run_link);
  }

  // Runs it until it waits, yields or ends; false then. Called by the loop or, for spawn_now(), by a
  // coroutine, which keeps its turn.
  bool resume(Coroutine* coroutine) {
    if (coroutine->stack.low == nullptr) {
      coroutine->stack = stacks.take();
      prepare_fiber(*coroutine, thread, coroutine->stack, &Scheduler::coroutine_main);
    }
    coroutine->state = Coroutine::State::running;
    Coroutine* const outer = self.running_;
    const Domain outer_domain = domain;
    coroutine->resumed_by = outer != nullptr ? outer : &loop_fiber;
    for (;;) {
      self.running_ = coroutine;
      domain = coroutine->domain;
      switch_fiber(*coroutine->resumed_by, *coroutine);
      self.running_ = outer;
      domain = outer_domain;
      if (thread_stack_work == nullptr) break;
      if (outer != nullptr) {  // On, to the thread's own stack, and back.
        switch_fiber(*outer, *outer->resumed_by);
      } else {
        (*std::exchange(thread_stack_work, nullptr))();
      }
    }
    StackPool::check(coroutine->stack);
    if (coroutine->state != Coroutine::State::ended) return true;
    bury(coroutine);
    return false;
  }

  // Takes everything from a coroutine that will not run again, and its control block out of the
  // list of all.
  std::unique_ptr<Coroutine> strip(Coroutine* coroutine) {
    timers.cancel(*coroutine);
    coroutine->wait_link.unlink();
    coroutine->run_link.unlink();
    coroutine->all_link.unlink();
    if (coroutine->stack.low != nullptr) {
      drop_fiber(*coroutine);
      stacks.give_back(std::exchange(coroutine->stack, {}));
    }
    --live;
    return std::unique_ptr<Coroutine>(coroutine);
  }

  void bury(Coroutine* coroutine) {
    std::unique_ptr<Coroutine> block = strip(coroutine);
    if (spare.size() < k_spare_blocks) spare.push_back(std::move(block));
  }

  Coroutine* new_coroutine() {
    if (spare.empty()) return new Coroutine;
    Coroutine* coroutine = spare.back().release();
    spare.pop_back();
    coroutine->state = Coroutine::State::runnable;
    coroutine->cancelled = false;
    return coroutine;
  }

  Coroutine* bear(Domain born_in, std::string_view name, std::function<void()> body) {
    Coroutine* coroutine = new_coroutine();
    coroutine->scheduler = &self;
    coroutine->name = name;
    coroutine->domain = born_in;
    coroutine->body = std::move(body);
    all.push_back(coroutine->all_link);
    ++live;
    return coroutine;
  }

  // Leaves the running coroutine until something makes it runnable.
  Code wait(Time deadline, bool cancellable) {
    Coroutine* coroutine = self.running_;
    coroutine->cancellable = cancellable;
    coroutine->state = Coroutine::State::parked;
    if (deadline != k_never) timers.set(*coroutine, deadline);
    switch_fiber(*coroutine, *coroutine->resumed_by);
    return coroutine->outcome;
  }
};

namespace {

// Marks this thread as the scheduler's while its loop runs.
class InLoop {
 public:
  explicit InLoop(Scheduler* scheduler) : outer_(current_scheduler) {
    CHECK(!Scheduler::in_coroutine());
    current_scheduler = scheduler;
  }
  ~InLoop() { current_scheduler = outer_; }
  InLoop(const InLoop&) = delete;
  InLoop& operator=(const InLoop&) = delete;

 private:
  Scheduler* outer_;
};

}  // namespace

Scheduler::Scheduler(Poller& poller)
    : now_(poller.now()), impl_(std::make_unique<Impl>(*this, poller)) {}

Scheduler::~Scheduler() { CHECK(impl_->live == 0); }

Scheduler& Scheduler::current() {
  CHECK(in_coroutine());
  return *current_scheduler;
}

bool Scheduler::in_coroutine() {
  return current_scheduler != nullptr && current_scheduler->running_ != nullptr;
}

Coroutine* Scheduler::spawn(std::string_view name, std::function<void()> body) {
  return spawn_in(impl_->domain, name, std::move(body));
}

Coroutine* Scheduler::spawn_in(Domain domain, std::string_view name, std::function<void()> body) {
  Coroutine* coroutine = impl_->bear(domain, name, std::move(body));
  impl_->run_queue.push_back(coroutine->run_link);
  return coroutine;
}

Coroutine* Scheduler::spawn_now(std::string_view name, std::function<void()> body) {
  CHECK(current_scheduler == this);
  Coroutine* coroutine = impl_->bear(impl_->domain, name, std::move(body));
  return impl_->resume(coroutine) ? coroutine : nullptr;
}

void Scheduler::at_turn_end(TurnEnd& node) { impl_->enter(impl_->turn_ends, node); }

void Scheduler::at_turn_start(TurnStart& node) { impl_->enter(impl_->turn_starts, node); }

Time Scheduler::read_clock() { return impl_->poller.now(); }

// The first frame of every coroutine. noexcept: an exception that comes here aborts.
void Scheduler::coroutine_main(Fiber& fiber) noexcept {
  auto* coroutine = static_cast<Coroutine*>(&fiber);
  coroutine->body();
  coroutine->body = nullptr;  // What it captured ends with it, while it can still wait.
  coroutine->state = Coroutine::State::ended;
  leave_fiber(*coroutine, *coroutine->resumed_by);
}

void Scheduler::run() {
  InLoop in_loop(this);
  adopt_thread_stack(impl_->loop_fiber, impl_->thread);
  impl_->take_in();
  for (;;) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) return;
    impl_->poll(true);
  }
}

void Scheduler::run_until_idle() {
  InLoop in_loop(this);
  adopt_thread_stack(impl_->loop_fiber, impl_->thread);
  impl_->take_in();
  for (;;) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) return;
    const bool idle = !impl_->ready() && impl_->timers.empty();
    impl_->poll(!idle);  // Once more without waiting: something may have arrived.
    if (idle && !impl_->ready() && impl_->timers.empty()) return;
  }
}

void Scheduler::run_ready() {
  InLoop in_loop(this);
  adopt_thread_stack(impl_->loop_fiber, impl_->thread);
  impl_->poll(false);
  while (impl_->ready()) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) return;
    impl_->poll(false);
  }
}

void Scheduler::stop() {
  impl_->stopped.store(true);
  impl_->interrupt_from_elsewhere();
}

void Scheduler::post(std::function<void()> callback) {
  {
    std::lock_guard lock(impl_->posted_mutex);
    impl_->posted.push_back(std::move(callback));
  }
  impl_->interrupt_from_elsewhere();
}

Status Scheduler::park(Time deadline) {
  CHECK(running_ != nullptr);
  if (running_->cancelled) return Status(Code::cancelled, "cancelled");
  if (deadline <= now_) return Status(Code::deadline, "deadline passed");
  switch (impl_->wait(deadline, true)) {
    case Code::ok: return {};
    case Code::cancelled: return Status(Code::cancelled, "cancelled");
    default: return Status(Code::deadline, "deadline passed");
  }
}

void Scheduler::park_uncancellable() {
  CHECK(running_ != nullptr);
  CHECK(impl_->wait(k_never, false) == Code::ok);
}

void Scheduler::wake(Coroutine* coroutine) {
  CHECK(coroutine->scheduler == this);
  if (coroutine->state == Coroutine::State::parked) impl_->unpark(coroutine, Code::ok);
}

void Scheduler::cancel(Coroutine* coroutine) {
  CHECK(coroutine->scheduler == this);
  coroutine->cancelled = true;
  if (coroutine->state == Coroutine::State::parked && coroutine->cancellable) {
    impl_->unpark(coroutine, Code::cancelled);
  }
}

bool Scheduler::cancelled(const Coroutine* coroutine) const { return coroutine->cancelled; }

void Scheduler::yield() {
  CHECK(running_ != nullptr);
  Coroutine* coroutine = running_;
  coroutine->state = Coroutine::State::runnable;
  impl_->run_queue.push_back(coroutine->run_link);
  switch_fiber(*coroutine, *coroutine->resumed_by);
}

void Scheduler::run_on_thread_stack(const std::function<void()>& work) {
  if (running_ == nullptr) return work();
  impl_->thread_stack_work = &work;
  switch_fiber(*running_, *running_->resumed_by);
}

Domain Scheduler::running_domain() const { return impl_->domain; }

size_t Scheduler::live() const { return impl_->live; }

std::string Scheduler::dump() const {
  std::string out;
  impl_->all.each([&](Coroutine* coroutine) {
    const char* doing = coroutine == running_ ? "runs" : "is ready";
    std::string until;
    if (coroutine->state == Coroutine::State::parked) {
      doing = "waits";
      if (coroutine->set()) {
        until = fmt::format(" for {} ms more", milliseconds(coroutine->deadline() - now_));
      }
    }
    fmt::format_to(std::back_inserter(out), "{} (domain {}) {}{}{}\n", coroutine->name,
                   coroutine->domain, doing, until, coroutine->cancelled ? ", cancelled" : "");
  });
  return out;
}

void Scheduler::kill(Domain domain) {
  CHECK(running_ == nullptr || running_->domain != domain);
  std::vector<Coroutine*> victims;
  impl_->all.each([&](Coroutine* coroutine) {
    if (coroutine->domain == domain) victims.push_back(coroutine);
  });
  impl_->leave_all(impl_->turn_starts, domain);
  impl_->leave_all(impl_->turn_ends, domain);
  for (Coroutine* victim : victims) {
    victim->state = Coroutine::State::dead;
    // What the body captured is not destroyed either: nothing of a dead process runs.
    leak(new std::function<void()>(std::move(victim->body)));
    impl_->dead.push_back(impl_->strip(victim));
  }
}

}  // namespace hongyan::runtime
