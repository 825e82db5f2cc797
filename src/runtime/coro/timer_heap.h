// The timers of one scheduler: a heap of parked coroutines by (deadline, order of setting). Each
// coroutine has at most one timer and knows its place, so removal needs no search and setting needs
// no allocation.
#pragma once

#include <vector>

#include "runtime/coro/coroutine.h"

namespace hongyan::runtime {

class TimerHeap {
 public:
  bool empty() const { return heap_.empty(); }
  Coroutine* first() const { return heap_.empty() ? nullptr : heap_.front(); }

  void set(Coroutine* coroutine, Time deadline) {
    CHECK(coroutine->timer_index == Coroutine::k_no_timer);
    coroutine->deadline = deadline;
    coroutine->timer_order = next_order_++;
    heap_.push_back(coroutine);
    coroutine->timer_index = heap_.size() - 1;
    rise(heap_.size() - 1);
  }

  // No effect when it has no timer.
  void remove(Coroutine* coroutine) {
    const size_t hole = coroutine->timer_index;
    if (hole == Coroutine::k_no_timer) return;
    coroutine->timer_index = Coroutine::k_no_timer;
    Coroutine* last = heap_.back();
    heap_.pop_back();
    if (last == coroutine) return;
    place(hole, last);
    rise(hole);
    sink(last->timer_index);
  }

 private:
  static bool earlier(const Coroutine* a, const Coroutine* b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->timer_order < b->timer_order;
  }
  void place(size_t index, Coroutine* coroutine) {
    heap_[index] = coroutine;
    coroutine->timer_index = index;
  }
  void rise(size_t index) {
    Coroutine* moving = heap_[index];
    while (index > 0 && earlier(moving, heap_[(index - 1) / k_arity])) {
      place(index, heap_[(index - 1) / k_arity]);
      index = (index - 1) / k_arity;
    }
    place(index, moving);
  }
  void sink(size_t index) {
    Coroutine* moving = heap_[index];
    for (;;) {
      const size_t child = first_child(index);
      if (child == index || !earlier(heap_[child], moving)) break;
      place(index, heap_[child]);
      index = child;
    }
    place(index, moving);
  }
  // The earliest child of `index`; `index` itself when it has none.
  size_t first_child(size_t index) const {
    size_t best = index;
    for (size_t i = k_arity * index + 1; i <= k_arity * index + k_arity && i < heap_.size(); ++i) {
      if (best == index || earlier(heap_[i], heap_[best])) best = i;
    }
    return best;
  }

  static constexpr size_t k_arity = 4;  // Measured: half the cost of two.
  std::vector<Coroutine*> heap_;
  uint64_t next_order_ = 0;
};

}  // namespace hongyan::runtime
