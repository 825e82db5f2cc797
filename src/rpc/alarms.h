// When to look at which of many objects again: a heap that each object is in at most once. An object that is looked at
// too early says when to come again, so a deadline that moves further away with every byte costs nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/time.h"

namespace hongyan::rpc {

// T has a member `size_t alarm_index = Alarms<T>::k_none`.
template <typename T>
class Alarms {
 public:
  static constexpr size_t k_none = SIZE_MAX;

  bool empty() const { return heap_.empty(); }
  runtime::Time first() const { return heap_.front().time; }
  T* first_object() const { return heap_.front().object; }

  // At `time` or, when it is set for earlier already, then.
  void set(T& object, runtime::Time time) {
    if (object.alarm_index == k_none) {
      heap_.push_back({time, &object});
      object.alarm_index = heap_.size() - 1;
      rise(object.alarm_index);
    } else if (time < heap_[object.alarm_index].time) {
      heap_[object.alarm_index].time = time;
      rise(object.alarm_index);
    }
  }
  void remove(T& object) {
    const size_t hole = std::exchange(object.alarm_index, k_none);
    if (hole == k_none) return;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.object == &object) return;
    place(hole, last);
    rise(hole);
    sink(last.object->alarm_index);
  }

 private:
  struct Entry {
    runtime::Time time;
    T* object;
  };
  void place(size_t index, Entry entry) {
    heap_[index] = entry;
    entry.object->alarm_index = index;
  }
  void rise(size_t index) {
    const Entry moving = heap_[index];
    while (index > 0 && moving.time < heap_[(index - 1) / 2].time) {
      place(index, heap_[(index - 1) / 2]);
      index = (index - 1) / 2;
    }
    place(index, moving);
  }
  void sink(size_t index) {
    const Entry moving = heap_[index];
    for (;;) {
      size_t child = 2 * index + 1;
      if (child >= heap_.size()) break;
      if (child + 1 < heap_.size() && heap_[child + 1].time < heap_[child].time) ++child;
      if (moving.time <= heap_[child].time) break;
      place(index, heap_[child]);
      index = child;
    }
    place(index, moving);
  }

  std::vector<Entry> heap_;
};

}  // namespace hongyan::rpc
