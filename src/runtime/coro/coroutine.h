// The control block of a coroutine; for runtime/coro only.
#pragma once

#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "runtime/coro/closure.h"
#include "runtime/coro/links.h"
#include "runtime/coro/scheduler.h"
#include "runtime/coro/stack.h"
#include "runtime/coro/switch.h"
#include "runtime/coro/timer_wheel.h"

namespace hongyan::runtime {

class Nursery;
struct LocalValue;

// What a coroutine needs from its start to its end.
struct Life {
  Link<IdleTag> idle;
  char* saved = nullptr;         // Parked: what lived of its stack.
  void* hook_word = nullptr;     // Scheduler::hook_word().
  LocalValue* locals = nullptr;  // What CoroutineLocal keys hold for it.
  const char* waits_in = nullptr;  // Of one that waits: in what, if known.
  Time waits_since{};
};

static_assert(std::is_standard_layout_v<Life>);  // coroutine_of(Link<IdleTag>*) rests on it.

// Before that, what it is to do. At the start it moves to the top of the stack: an idle coroutine has
// room for it there.
struct Work {
  Work() : body() {}
  ~Work() { body.~Closure(); }  // It has ended, or never started.
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  union {
    Closure body;
    Life life;
  };
};

// There may be millions: members are in an order that leaves no holes, the first ones in what Timer
// leaves of its last word.
class Coroutine : public Fiber,
                  public Link<QueueTag>,
                  public Work,
                  public Link<EveryoneTag>,
                  public Link<ChildTag>,
                  public Timer {
 public:
  // The one that runs is runnable too: Scheduler knows it. `running` are those that have called it, by
  // spawn_now().
  enum class State : uint8_t { runnable, running, waiting, ended, dead };

  Link<QueueTag>& queue_link() { return *this; }
  Link<EveryoneTag>& everyone_link() { return *this; }
  Link<ChildTag>& child_link() { return *this; }

  State state = State::runnable;
  StackSize stack_size = StackSize::k64;
  uint8_t outcome = 0;          // Code of the last wait.
  bool needs_stack : 1 = true;  // To run: it has not started, or is parked.
  bool canary : 1 = false;      // Of its stack.
  bool cancelled : 1 = false;
  bool cancellable : 1 = true;  // While it waits: whether cancel() ends the wait.
  bool may_park : 1 = false;    // It says so by MayPark.
  uint16_t name_bytes = 0;

  char* stack_low = nullptr;  // Null: it has not started, or has ended.
  uint32_t stack_bytes = 0;
  Domain domain = 0;
  Scheduler* scheduler = nullptr;
  const char* name_start = nullptr;
  Nursery* nursery = nullptr;  // Whose child it is.

  std::string_view name() const { return {name_start, name_bytes}; }
  // `life` is there if it has, `body` if not.
  bool started() const { return stack_low != nullptr; }
  bool parked() const { return started() && life.saved != nullptr; }
  Stack stack() const { return {.low = stack_low, .bytes = stack_bytes, .canary = canary}; }
  size_t stack_used() const {  // Of one that has started and does not run.
    return static_cast<size_t>(stack_low + stack_bytes - static_cast<const char*>(context));
  }
  // Of that, what means anything: above its body is nothing but room for alignment.
  size_t stack_live() const { return stack_used() - (k_body_bytes - sizeof(Closure)); }
  // What a started one does.
  Closure& own_body() const {
    return *std::launder(reinterpret_cast<Closure*>(stack_low + stack_bytes - k_body_bytes));
  }
  // From the start on, of Life and the body; at the end.
  void begin(const Stack& stack, void (*entry)(Fiber&));
  void end();

 private:
  static constexpr uint32_t k_body_bytes = 64;  // What is below is aligned as stacks are.
  static_assert(sizeof(Closure) <= k_body_bytes);
};
#ifndef HONGYAN_BOOST_SWITCH
static_assert(sizeof(Coroutine) <= 184, "an idle coroutine would weigh more than is promised");
#endif

inline void Coroutine::begin(const Stack& stack, void (*entry)(Fiber&)) {
  stack_low = stack.low;
  stack_bytes = stack.bytes;
  canary = stack.canary;
  needs_stack = false;
  new (stack_low + stack_bytes - k_body_bytes) Closure(std::move(body));
  body.~Closure();
  new (&life) Life;
  prepare_fiber(*this, {.low = stack.low, .bytes = stack.bytes - k_body_bytes}, entry);
}

inline void Coroutine::end() {
  stack_low = nullptr;
  needs_stack = true;
  new (&body) Closure;
}

// Those that are ready, first come first served. An array: a list's links would be half of what a switch
// writes.
class RunQueue {
 public:
  bool empty() const { return first_ == end_; }
  uint64_t size() const { return end_ - first_; }
  void push_back(Coroutine& coroutine) {
    if (end_ - first_ > mask_) resize(2 * mask_ + 1);
    ring_[end_++ & mask_] = &coroutine;
  }
  // Of one that is not empty:
  Coroutine* pop_front() { return ring_[first_++ & mask_]; }
  Coroutine* exchange_front(Coroutine& last) {
    Coroutine* const first = pop_front();
    ring_[end_++ & mask_] = &last;
    return first;
  }
  template <typename Condition>
  void remove_if(Condition condition) {
    for (uint64_t left = end_ - first_; left > 0; --left) {
      Coroutine* const one = pop_front();
      if (!condition(*one)) push_back(*one);
    }
  }
  // Of an empty one, what a burst has left.
  void shrink() {
    if (mask_ > k_kept && empty()) resize(k_least);
  }

 private:
  static constexpr uint64_t k_least = 255;  // Masks: powers of two, less one.
  static constexpr uint64_t k_kept = 64 * 1024 - 1;
  void resize(uint64_t mask) {
    auto ring = std::make_unique_for_overwrite<Coroutine*[]>(mask + 1);
    for (uint64_t at = first_; at != end_; ++at) ring[at & mask] = ring_[at & mask_];
    ring_ = std::move(ring);
    mask_ = mask;
  }
  uint64_t first_ = 0;  // Apart from end_: as a pair they would be loaded and stored as one vector, later.
  uint64_t mask_ = k_least;
  std::unique_ptr<Coroutine*[]> ring_ = std::make_unique_for_overwrite<Coroutine*[]>(k_least + 1);
  uint64_t end_ = 0;
};

inline Coroutine* coroutine_of(Link<QueueTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<EveryoneTag>* link) { return static_cast<Coroutine*>(link); }
inline Coroutine* coroutine_of(Link<IdleTag>* link) {
  return static_cast<Coroutine*>(reinterpret_cast<Work*>(link));  // The first of the first.
}
inline Coroutine* coroutine_of(Link<ChildTag>* link) { return static_cast<Coroutine*>(link); }

}  // namespace hongyan::runtime
