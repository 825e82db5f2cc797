// The timers of one scheduler: four levels of 256 slots, one tick a millisecond, intrusive. Setting
// and cancelling are O(1) and allocate nothing.
//
// A tick's digits, base 256, say where its timers stand: in the level of the highest digit in which
// the tick differs from the present one, in the slot of that digit. So every timer of a lower level
// is due before any of a higher one, slots of a level are due in their order, and a slot spreads
// over the lower levels when its time comes. What differs in a digit above the fourth (49 days)
// waits in one list.
//
// Deadlines are exact, not rounded to ticks: nothing fires early, and timers fire by deadline, those
// of one deadline in the order they were set. (Timers of one tick are always in one list together,
// in the order of setting; a list is sorted, stably, when its tick comes.)
#pragma once

#include <bit>
#include <cstdint>

#include "base/check.h"
#include "runtime/time.h"

namespace hongyan::runtime {

class TimerWheel;

class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool set() const { return next_ != nullptr; }
  Time deadline() const { return deadline_; }  // Of a set timer.

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;  // In the ring of its slot.
  Timer* previous_ = nullptr;
  Time deadline_{};
  uint16_t slot_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Time now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  bool empty() const { return count_ == 0; }
  size_t size() const { return count_; }
  // A deadline in the past fires at the next fire_next().
  void set(Timer& timer, Time deadline) {
    CHECK(!timer.set());
    timer.deadline_ = deadline;
    place(timer);
    ++count_;
  }
  // No effect when it is not set.
  void cancel(Timer& timer) {
    if (!timer.set()) return;
    remove(timer);
    --count_;
  }

  // When to come again: the first deadline, or earlier where a large slot has to be spread before
  // it can be known. k_never when empty.
  Time next_time();
  // Takes out the first timer that is due at `now`; null: none is. Time does not go backwards.
  Timer* fire_next(Time now);

 private:
  static constexpr int k_digit_bits = 8;
  static constexpr int k_slots = 1 << k_digit_bits;
  static constexpr int k_levels = 4;
  static constexpr int k_far = k_levels * k_slots;  // Beyond the last level.
  // Looking for the first of more than these is not done; spreading them is due anyway.
  static constexpr int k_scan_max = 32;

  static uint64_t tick_of(Time time) {
    const auto ns = time.time_since_epoch().count();
    return ns <= 0 ? 0 : static_cast<uint64_t>(ns) / 1'000'000;
  }
  static Time time_of(uint64_t tick) {
    return Time(Duration(static_cast<int64_t>(tick) * 1'000'000));
  }

  void place(Timer& timer) {
    uint64_t tick = tick_of(timer.deadline_);
    if (tick < tick_) tick = tick_;
    const uint64_t differs = tick ^ tick_;
    int slot = k_far;
    if (differs >> (k_levels * k_digit_bits) == 0) {
      const int level = differs == 0 ? 0 : (63 - std::countl_zero(differs)) / k_digit_bits;
      slot = level * k_slots + static_cast<int>(tick >> (level * k_digit_bits) & (k_slots - 1));
    }
    append(timer, slot);
  }
  void append(Timer& timer, int slot) {
    Timer& head = heads_[slot];
    Timer* const last = head.previous_;
    timer.slot_ = static_cast<uint16_t>(slot);
    timer.previous_ = last;
    timer.next_ = &head;
    last->next_ = &timer;
    head.previous_ = &timer;
    occupied_[slot / 64] |= uint64_t{1} << slot % 64;
    if (last != &head && timer.deadline_ < last->deadline_) {
      unsorted_[slot / 64] |= uint64_t{1} << slot % 64;
    }
  }
  void remove(Timer& timer) {
    timer.previous_->next_ = timer.next_;
    timer.next_->previous_ = timer.previous_;
    if (timer.next_ == timer.previous_) clear(timer.slot_);  // Only the head is left.
    timer.next_ = timer.previous_ = nullptr;
  }
  void clear(int slot) {
    occupied_[slot / 64] &= ~(uint64_t{1} << slot % 64);
    unsorted_[slot / 64] &= ~(uint64_t{1} << slot % 64);
  }

  int first_slot() const;          // -1: empty.
  uint64_t start_of(int slot) const;  // Its first tick.
  void spread(int slot);
  void sort(int slot);
  void set_tick(uint64_t tick);

  uint64_t tick_;  // Everything before it has fired.
  size_t count_ = 0;
  uint64_t occupied_[k_far / 64 + 1] = {};
  uint64_t unsorted_[k_far / 64 + 1] = {};
  Timer heads_[k_far + 1];
};

}  // namespace hongyan::runtime
