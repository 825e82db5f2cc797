#include "runtime/coro/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/coro/debug.h"
#include "runtime/coro/fault.h"
#include "runtime/coro/local.h"
#include "runtime/coro/lock_check.h"
#include "runtime/coro/scheduler_impl.h"
#include "runtime/coro/switch_x86_64.h"
#include "runtime/coro/sync.h"

#ifdef HONGYAN_ASAN
#include <sanitizer/lsan_interface.h>
#endif

namespace hongyan::runtime {
namespace {

// After so many resumed coroutines, or so much time, the poller is asked for news: a long queue
// must not starve I/O.
constexpr int k_slice_coroutines = 512;
constexpr Duration k_slice_time = 200us;
// Reading the clock costs 23 ns, ten switches: it is read after ever more coroutines while they are
// quick, and after few as soon as they are not.
constexpr int k_clock_every_min = 4;
constexpr int k_clock_every_max = 64;
constexpr Duration k_quick = 10us;
// Ended control blocks kept for the next coroutine.
constexpr size_t k_spare_blocks = 4096;
// Done in one idle moment before events are asked for again.
constexpr int k_trims_at_once = 64;
constexpr int k_parks_at_once = 256;

// The scheduler whose loop this thread is in. Coroutines never change threads, so an address of it
// kept across a switch stays right.
thread_local Scheduler* current_scheduler = nullptr;

// On purpose: tells the leak checker that this, and all it leads to, is not forgotten.
void leak([[maybe_unused]] const void* object) {
#ifdef HONGYAN_ASAN
  __lsan_ignore_object(object);
#endif
}

// Marks this thread as the scheduler's while its loop runs.
class InLoop {
 public:
  explicit InLoop(Scheduler* scheduler) : outer_(current_scheduler) {
    CHECK(!Scheduler::in_coroutine());
    current_scheduler = scheduler;
    report_faults_of_this_thread();
  }
  ~InLoop() { current_scheduler = outer_; }
  InLoop(const InLoop&) = delete;
  InLoop& operator=(const InLoop&) = delete;

 private:
  Scheduler* outer_;
};

}  // namespace

// --- the loop ---

Scheduler::Impl::Impl(Scheduler& scheduler, Poller& poller) : self(scheduler), poller(poller) {
  adopt_thread_stack(loop_fiber);
}

Scheduler::Impl::~Impl() {
  for (TurnRing* ring : {&turn_starts, &turn_ends, &turn_now}) ring->leave();
}

// The loop runs on the calling thread from now on.
void Scheduler::Impl::begin() {
  adopt_thread_stack(loop_fiber);
  direct_left = 0;
  if (watch != nullptr) watch->on_loop_start();
  beat(true);
}

Time Scheduler::Impl::wake_up_time() {
  Time limit = timers.next_time();
  if (idle.empty()) return limit;
  const Time next_park = after(coroutine_of(idle.front())->life.waits_since, park_after);
  return std::min(limit, next_park);
}

// Asks the poller, waiting only if there is nothing to do, and takes in what has become due.
void Scheduler::Impl::poll(bool may_wait) {
  direct_left = 0;  // What is started from outside a slice comes back to who started it.
  Time limit = self.now_;
  if (may_wait && !anything_to_run()) {
    // Whoever posts from now on sees that the loop sleeps, or the loop sees what was posted.
    sleeping.store(true);
    if (!has_posted.load() && !stopped.load() && !clean_up()) limit = wake_up_time();
  }
  beat(false);
  poller.poll(limit);
  beat(true);
  sleeping.store(false, std::memory_order_relaxed);
  take_in();
}

bool Scheduler::Impl::clean_up() {
  run_queue.shrink();
  if (save_idle(k_parks_at_once)) return true;
  for (const auto& pool : pools) {
    if (pool != nullptr && pool->trim(k_trims_at_once)) return true;
  }
  return false;
}

void Scheduler::Impl::take_in() {
  if (watch != nullptr && watch->dozing.load(std::memory_order_relaxed)) watch->wake();
  self.now_ = poller.now();
  while (Timer* due = timers.fire_next(self.now_)) {
    unpark(static_cast<Coroutine*>(due), Code::deadline);
  }
  if (!anything_posted()) return;
  std::vector<Closure> callbacks;
  {
    std::lock_guard lock(posted_mutex);
    callbacks.swap(posted);
    has_posted.store(false, std::memory_order_relaxed);
  }
  for (Closure& callback : callbacks) callback();
}

void Scheduler::Impl::slice() {
  const Time end = after(self.now_, k_slice_time);
  call_all(turn_starts);
  Time read = self.now_;
  int step = k_clock_every_min;
  for (int left = k_slice_coroutines; left > 0; left -= step) {
    direct_left = step;
    while (direct_left > 0) {
      if (run_queue.empty() || stopped.load(std::memory_order_relaxed)) return;
      --direct_left;
      resume(run_queue.pop_front());
    }
    const Time now = poller.now();
    if (now >= end) return;
    step = now - read < k_quick ? std::min(step * 2, k_clock_every_max) : k_clock_every_min;
    read = now;
  }
}

void TurnNode::leave() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

void Scheduler::Impl::enter(TurnRing& ring, TurnNode& node) {
  if (node.next_ != nullptr) return;
  if (const Domain domain = running_domain(); domain != 0) node.domain_ = domain;  // An event from outside finds it where it was before.
  node.next_ = &ring;
  node.previous_ = ring.previous_;
  ring.previous_->next_ = &node;
  ring.previous_ = &node;
}

// Those who ask meanwhile are called in the next turn.
void Scheduler::Impl::call_all(TurnRing& ring) {
  if (ring.empty()) return;
  direct_left = 0;  // What is started here comes back here.
  TurnRing& now = turn_now;
  now.next_ = ring.next_;
  now.previous_ = ring.previous_;
  ring.clear();
  now.next_->previous_ = now.previous_->next_ = &now;
  while (!now.empty()) {
    TurnNode* node = now.next_;
    node->leave();
    loop_domain = node->domain_;
    node->run_turn();
  }
  loop_domain = 0;
}

void Scheduler::Impl::end_turn() { call_all(turn_ends); }

// --- one coroutine ---

StackPool& Scheduler::Impl::pool(StackSize size) {
  auto& pool = pools[static_cast<int>(size)];
  if (pool == nullptr) pool = std::make_unique<StackPool>(bytes_of(size));
  return *pool;
}

void Scheduler::Impl::unpark(Coroutine* coroutine, Code outcome) {
  CHECK(coroutine->state == Coroutine::State::waiting);
  timers.cancel(*coroutine);
  coroutine->queue_link().unlink();
  coroutine->life.idle.unlink();
  coroutine->outcome = static_cast<uint8_t>(outcome);
  coroutine->state = Coroutine::State::runnable;
  run_queue.push_back(*coroutine);
}

// Its first stack, or what lived of it.
bool Scheduler::Impl::give_stack(Coroutine* coroutine) {
  if (coroutine->started()) {
    restore_stack(coroutine);
    return false;
  }
  coroutine->begin(pool(coroutine->stack_size).take(), &Scheduler::coroutine_main);
  return true;
}

// Gives it what it needs to go on. True: it starts.
inline __attribute__((always_inline)) bool Scheduler::Impl::prepare(Coroutine* coroutine) {
  beat_on();
  return coroutine->needs_stack && give_stack(coroutine);
}

// Runs it, and others that follow it directly, until one waits, yields or ends that nothing
// follows. False: it has ended. Called by the loop or, for spawn_now(), by a coroutine, which keeps
// its turn: then no other follows.
bool Scheduler::Impl::resume(Coroutine* coroutine) {
  Coroutine* const outer = self.running_;
  if (outer != nullptr) return resume_within(coroutine, outer);
  bool starts = prepare(coroutine);
  for (;;) {
    self.running_ = coroutine;
    starts ? start_fiber_inline(loop_fiber, *coroutine) : switch_fiber_inline(loop_fiber, *coroutine);
    coroutine = std::exchange(self.running_, nullptr);  // Who came back.
    if (thread_stack_work == nullptr) return came_back(coroutine);
    (*std::exchange(thread_stack_work, nullptr))();
    starts = false;
  }
}

bool Scheduler::Impl::resume_within(Coroutine* coroutine, Coroutine* outer) {
  bool starts = prepare(coroutine);
  const int outer_direct_left = std::exchange(direct_left, 0);
  Fiber* const outer_back = std::exchange(back, outer);
  outer->state = Coroutine::State::running;
  for (;;) {
    self.running_ = coroutine;
    starts ? start_fiber_inline(*outer, *coroutine) : switch_fiber_inline(*outer, *coroutine);
    self.running_ = outer;
    if (thread_stack_work == nullptr) break;
    back = outer_back;
    switch_fiber_inline(*outer, *outer_back);  // On, to the thread's own stack, and back.
    back = outer;
    starts = false;
  }
  back = outer_back;
  outer->state = Coroutine::State::runnable;
  if (!stopped.load(std::memory_order_relaxed)) direct_left = outer_direct_left;
  return came_back(coroutine);
}

bool Scheduler::Impl::came_back(Coroutine* coroutine) {
  check_stack(*coroutine);
  const bool lives = coroutine->state != Coroutine::State::ended;
  bury_ended();
  return lives;
}

// Whether another may follow without the loop: it needs nothing of it. False: the loop's turn, or of who
// called spawn_now().
inline __attribute__((always_inline)) bool Scheduler::Impl::may_follow() {
  if (--direct_left >= 0) [[likely]] return true;
  direct_left = 0;
  return false;
}

// From the running coroutine to another one, which follows directly. Returns when its turn has come again.
// The last thing that its caller does, so that the caller keeps nothing: it ends as a jump.
inline __attribute__((always_inline)) void Scheduler::Impl::go_to(Coroutine* coroutine, Coroutine* next) {
  if (coroutine->canary | next->needs_stack) return go_with_care(coroutine, next);
  self.running_ = next;
  beat_on();
  switch_fiber_inline(*coroutine, *next);
}

void Scheduler::Impl::go_with_care(Coroutine* coroutine, Coroutine* next) {
  check_stack(*coroutine);
  self.running_ = next;
  if (prepare(next)) return start_fiber_inline(*coroutine, *next);
  switch_fiber_inline(*coroutine, *next);
}

// The running coroutine has ended: the same, but nothing comes back. It is buried later, since nobody can
// give back the stack it stands on.
inline __attribute__((always_inline)) void Scheduler::Impl::leave_for_ever(Coroutine* coroutine) {
  coroutine->state = Coroutine::State::ended;
  bury_ended();
  ended = coroutine;
  if (run_queue.empty() || !may_follow()) leave_fiber_inline(*coroutine, *back);
  check_stack(*coroutine);
  Coroutine* const next = run_queue.pop_front();
  self.running_ = next;
  if (prepare(next)) leave_fiber_for_new_inline(*coroutine, *next);
  leave_fiber_inline(*coroutine, *next);
}

inline __attribute__((always_inline)) void Scheduler::Impl::check_locks() {
#ifdef HONGYAN_CHECK_LOCKS
  const bool holds_an_os_mutex_while_it_waits = os_mutexes_held() != 0;
  CHECK(!holds_an_os_mutex_while_it_waits);
#endif
}

// Leaves the running coroutine until something makes it runnable.
// In place, as is what it calls: a parked coroutine keeps its frames.
inline __attribute__((always_inline)) Code Scheduler::Impl::wait(Time deadline, bool cancellable,
                                                                 const char* what,
                                                                 const void* in) {
  Coroutine* coroutine = self.running_;
  coroutine->cancellable = cancellable;
  coroutine->life.waits_in = what;
  coroutine->life.waits_since = self.now_;
  coroutine->state = Coroutine::State::waiting;
  if (deadline != k_never) timers.set(*coroutine, deadline);
  if (coroutine->may_park) begin_idle(coroutine, in);
  check_locks();
  if (!run_queue.empty() && may_follow()) {
    go_to(coroutine, run_queue.pop_front());
  } else {
    switch_fiber_inline(*coroutine, *back);
  }
  return static_cast<Code>(coroutine->outcome);
}

// Out of every list; not out of the run queue.
void Scheduler::Impl::detach(Coroutine* coroutine) {
  timers.cancel(*coroutine);
  coroutine->queue_link().unlink();
  if (coroutine->started()) coroutine->life.idle.unlink();
  coroutine->everyone_link().unlink();
}

// Takes its stack from a coroutine that will not run again.
void Scheduler::Impl::strip(Coroutine* coroutine) {
  if (coroutine->started()) {
    drop_fiber(*coroutine);
    pool(coroutine->stack_size).give_back(coroutine->stack());
    coroutine->end();
  }
  --live;
}

void Scheduler::Impl::bury(Coroutine* coroutine) {
  coroutine->everyone_link().unlink();
  strip(coroutine);
  if (spare.size() < k_spare_blocks) {
    spare.emplace_back(coroutine);
  } else {
    delete coroutine;
  }
}

Coroutine* Scheduler::Impl::new_coroutine() {
  if (spare.empty()) return new Coroutine;
  Coroutine* coroutine = spare.back().release();
  spare.pop_back();
  coroutine->state = Coroutine::State::runnable;
  coroutine->cancelled = false;
  coroutine->may_park = false;
  return coroutine;
}

// --- Scheduler ---

Scheduler::Scheduler(Poller& poller)
    : now_(poller.now()), impl_(std::make_unique<Impl>(*this, poller)) {
  debug_register(*this);
}

Scheduler::~Scheduler() {
  CHECK(impl_->live == 0);
  debug_unregister(*this);
}

Scheduler& Scheduler::current() {
  CHECK(in_coroutine());
  return *current_scheduler;
}

bool Scheduler::in_coroutine() {
  return current_scheduler != nullptr && current_scheduler->running_ != nullptr;
}

void** Scheduler::hook_word() {
  Scheduler* scheduler = current_scheduler;
  if (scheduler == nullptr || scheduler->running_ == nullptr) return nullptr;
  return &scheduler->running_->life.hook_word;
}

Coroutine* Scheduler::bear(Domain domain, std::string_view name, Closure& body, StackSize stack) {
  impl_->bury_ended();
  Coroutine* coroutine = impl_->new_coroutine();
  coroutine->scheduler = this;
  coroutine->name_start = name.data();
  coroutine->name_bytes = static_cast<uint16_t>(std::min<size_t>(name.size(), UINT16_MAX));
  coroutine->domain = domain;
  coroutine->stack_size = stack;
  coroutine->body = std::move(body);
  impl_->everyone.push_back(*coroutine);
  ++impl_->live;
  ++impl_->spawned;
  return coroutine;
}

void Scheduler::start(Coroutine* coroutine) { impl_->run_queue.push_back(*coroutine); }

bool Scheduler::start_now(Coroutine* coroutine) {
  CHECK(current_scheduler == this);
  return impl_->resume(coroutine);
}

Coroutine* Scheduler::spawn(std::string_view name, Closure body, StackSize stack) {
  return spawn_in(impl_->running_domain(), name, std::move(body), stack);
}

Coroutine* Scheduler::spawn_in(Domain domain, std::string_view name, Closure body,
                               StackSize stack) {
  Coroutine* coroutine = bear(domain, name, body, stack);
  start(coroutine);
  return coroutine;
}

Coroutine* Scheduler::spawn_now(std::string_view name, Closure body, StackSize stack) {
  Coroutine* coroutine = bear(impl_->running_domain(), name, body, stack);
  return start_now(coroutine) ? coroutine : nullptr;
}

void Scheduler::at_turn_end(TurnEnd& node) { impl_->enter(impl_->turn_ends, node); }

void Scheduler::at_turn_start(TurnStart& node) { impl_->enter(impl_->turn_starts, node); }

Time Scheduler::read_clock() { return impl_->poller.now(); }

// The first frame of every coroutine. noexcept: an exception that comes here aborts.
void Scheduler::coroutine_main(Fiber& fiber) noexcept {
  auto* coroutine = static_cast<Coroutine*>(&fiber);
  Impl& impl = *coroutine->scheduler->impl_;
  Closure& body = coroutine->own_body();
  body();
  body.reset();  // What it captured ends with it, while it can still wait.
  if (coroutine->life.locals != nullptr) end_locals(*coroutine);
  if (coroutine->nursery != nullptr) std::exchange(coroutine->nursery, nullptr)->ended(*coroutine);
  impl.leave_for_ever(coroutine);
}

void Scheduler::run() {
  InLoop in_loop(this);
  impl_->begin();
  impl_->take_in();
  for (;;) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) break;
    impl_->poll(true);
  }
  impl_->beat(false);
}

void Scheduler::run_until_idle() {
  InLoop in_loop(this);
  impl_->begin();
  impl_->take_in();
  for (;;) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) break;
    const bool idle = !impl_->ready() && impl_->timers.empty();
    impl_->poll(!idle);  // Once more without waiting: something may have arrived.
    if (idle && !impl_->ready() && impl_->timers.empty()) break;
  }
  impl_->beat(false);
}

void Scheduler::run_ready() {
  InLoop in_loop(this);
  impl_->begin();
  impl_->poll(false);
  while (impl_->ready()) {
    impl_->slice();
    impl_->end_turn();
    if (impl_->stopped.exchange(false)) break;
    impl_->poll(false);
  }
  impl_->beat(false);
}

void Scheduler::stop() {
  impl_->stopped.store(true);
  if (current_scheduler == this) impl_->direct_left = 0;
  if (current_scheduler != this && impl_->sleeping.load()) impl_->poller.interrupt();
}

void Scheduler::post(Closure callback) {
  {
    std::lock_guard lock(impl_->posted_mutex);
    impl_->posted.push_back(std::move(callback));
  }
  impl_->has_posted.store(true);
  if (current_scheduler != this && impl_->sleeping.load()) impl_->poller.interrupt();
}

Status Scheduler::park(Time deadline, const char* what, const void* in) {
  CHECK(running_ != nullptr);
  if (running_->cancelled) return Status(Code::cancelled, "cancelled");
  if (deadline <= now_) return Status(Code::deadline, "deadline passed");
  switch (impl_->wait(deadline, true, what, in)) {
    case Code::ok: return {};
    case Code::cancelled: return Status(Code::cancelled, "cancelled");
    default: return Status(Code::deadline, "deadline passed");
  }
}

void Scheduler::park_uncancellable(const char* what, const void* in) {
  CHECK(running_ != nullptr);
  CHECK(impl_->wait(k_never, false, what, in) == Code::ok);
}

void Scheduler::wake(Coroutine* coroutine) {
  CHECK(coroutine->scheduler == this);
  if (coroutine->state == Coroutine::State::waiting) impl_->unpark(coroutine, Code::ok);
}

void Scheduler::cancel(Coroutine* coroutine) {
  CHECK(coroutine->scheduler == this);
  coroutine->cancelled = true;
  if (coroutine->state == Coroutine::State::waiting && coroutine->cancellable) {
    impl_->unpark(coroutine, Code::cancelled);
  }
}

bool Scheduler::cancelled(const Coroutine* coroutine) const { return coroutine->cancelled; }

void Scheduler::yield() {
  Scheduler* const self = current_scheduler;  // The thread's word for `this`: see there.
  CHECK(self == this && self->running_ != nullptr);
  Impl& impl = *self->impl_;
  Coroutine* const coroutine = self->running_;
  impl.check_locks();
  if (!impl.may_follow()) return impl.yield_to_loop(coroutine);
  if (!impl.run_queue.empty()) impl.go_to(coroutine, impl.run_queue.exchange_front(*coroutine));
}

void Scheduler::run_on_thread_stack(const std::function<void()>& work) {
  if (running_ == nullptr) return work();
  impl_->thread_stack_work = &work;
  switch_fiber_inline(*running_, *impl_->back);
}

void Scheduler::Impl::yield_to_loop(Coroutine* coroutine) {
  run_queue.push_back(*coroutine);
  switch_fiber_inline(*coroutine, *back);
}

Domain Scheduler::running_domain() const { return impl_->running_domain(); }

size_t Scheduler::live() const {
  impl_->bury_ended();
  return impl_->live;
}

void Scheduler::set_watch(LoopWatch* watch) { impl_->watch = watch; }

void Scheduler::kill(Domain domain) {
  CHECK(running_ == nullptr || running_->domain != domain);
  impl_->bury_ended();
  for (Impl::TurnRing* ring : {&impl_->turn_starts, &impl_->turn_ends, &impl_->turn_now}) {
    for (TurnNode* node = ring->next_; node != ring;) {
      TurnNode* const next = node->next_;
      if (node->domain_ == domain) node->leave();
      node = next;
    }
  }
  std::vector<Coroutine*> victims;
  impl_->everyone.each([&](Link<EveryoneTag>& link) {
    Coroutine* coroutine = coroutine_of(&link);
    if (coroutine->domain == domain) victims.push_back(coroutine);
  });
  // Wait lists may live on the victims' stacks: all leave before the first stack goes.
  for (Coroutine* victim : victims) {
    if (victim->parked()) impl_->restore_stack(victim);
  }
  for (Coroutine* victim : victims) impl_->detach(victim);
  impl_->run_queue.remove_if([&](const Coroutine& one) { return one.domain == domain; });
  for (Coroutine* victim : victims) {
    victim->state = Coroutine::State::dead;
    // What the body captured is not destroyed either: nothing of a dead process runs.
    leak(new Closure(std::move(victim->started() ? victim->own_body() : victim->body)));
    if (victim->started()) leak(victim->life.locals);
    impl_->strip(victim);
    impl_->dead.emplace_back(victim);
  }
}

}  // namespace hongyan::runtime
