#include "runtime/coro/timer_wheel.h"

namespace hongyan::runtime {

TimerWheel::TimerWheel(Time now) : tick_(tick_of(now)) {
  for (Timer& head : heads_) head.next_ = head.previous_ = &head;
}

int TimerWheel::first_slot() const {
  if (count_ == 0) return -1;
  // Lower levels hold what is due earlier, and no slot before the present digit holds anything.
  for (int word = 0; word <= k_far / 64; ++word) {
    if (occupied_[word] != 0) return word * 64 + std::countr_zero(occupied_[word]);
  }
  CHECK(false);
  return -1;
}

uint64_t TimerWheel::start_of(int slot) const {
  if (slot == k_far) return ((tick_ >> (k_levels * k_digit_bits)) + 1) << (k_levels * k_digit_bits);
  const int shift = slot / k_slots * k_digit_bits;
  const uint64_t above = tick_ >> shift >> k_digit_bits << k_digit_bits;
  return (above | static_cast<uint64_t>(slot % k_slots)) << shift;
}

// Its time has come: each of its timers finds its place below.
void TimerWheel::spread(int slot) {
  tick_ = start_of(slot);
  Timer& head = heads_[slot];
  Timer* timer = head.next_;
  head.next_ = head.previous_ = &head;
  clear(slot);
  while (timer != &head) {
    Timer* const next = timer->next_;
    place(*timer);
    timer = next;
  }
}

// Merges runs of growing length: stable, without memory of its own, one pass when it is in order.
void TimerWheel::sort(int slot) {
  Timer& head = heads_[slot];
  head.previous_->next_ = nullptr;
  Timer* list = head.next_;
  for (size_t run = 1;; run *= 2) {
    Timer* rest = list;
    Timer** end = &list;
    size_t merges = 0;
    while (rest != nullptr) {
      ++merges;
      Timer* left = rest;
      size_t left_count = 0;
      while (left_count < run && rest != nullptr) rest = rest->next_, ++left_count;
      Timer* right = rest;
      size_t right_count = 0;
      while (right_count < run && rest != nullptr) rest = rest->next_, ++right_count;
      while (left_count > 0 || right_count > 0) {
        const bool from_left = right_count == 0 ||
                               (left_count > 0 && left->deadline_ <= right->deadline_);
        Timer*& source = from_left ? left : right;
        --(from_left ? left_count : right_count);
        *end = source;
        end = &source->next_;
        source = source->next_;
      }
      *end = nullptr;
    }
    if (merges <= 1) break;
  }
  Timer* previous = &head;
  head.next_ = list;
  for (Timer* timer = list; timer != nullptr; timer = timer->next_) {
    timer->previous_ = previous;
    previous = timer;
  }
  previous->next_ = &head;
  head.previous_ = previous;
  unsorted_[slot / 64] &= ~(uint64_t{1} << slot % 64);
}

Time TimerWheel::next_time() {
  const int slot = first_slot();
  if (slot < 0) return k_never;
  const Timer& head = heads_[slot];
  if (slot < k_slots) {
    if (unsorted_[slot / 64] >> slot % 64 & 1) sort(slot);
    return head.next_->deadline_;
  }
  Time first = k_never;
  int scanned = 0;
  for (const Timer* timer = head.next_; timer != &head; timer = timer->next_) {
    if (++scanned > k_scan_max) return time_of(start_of(slot));
    if (timer->deadline_ < first) first = timer->deadline_;
  }
  return first;
}

Timer* TimerWheel::fire_next(Time now) {
  const uint64_t present = tick_of(now);
  for (;;) {
    const int slot = first_slot();
    if (slot < 0 || start_of(slot) > present) break;
    if (slot >= k_slots) {
      spread(slot);
      continue;
    }
    tick_ = start_of(slot);
    if (unsorted_[slot / 64] >> slot % 64 & 1) sort(slot);
    Timer* const first = heads_[slot].next_;
    if (first->deadline_ > now) break;
    cancel(*first);
    return first;
  }
  // Nothing is due before it, so no list has to be spread.
  if (present > tick_) tick_ = present;
  return nullptr;
}

}  // namespace hongyan::runtime
