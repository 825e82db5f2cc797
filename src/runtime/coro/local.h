// A value that each coroutine has for itself: the typed key to it. Made when it is first asked for,
// destroyed at the coroutine's end, the latest first, while the coroutine can still wait. The key
// outlives all that was kept under it. For what has to travel under code that knows nothing of it;
// what a function needs it takes as an argument.
#pragma once

#include <utility>

#include "base/check.h"

namespace hongyan::runtime {

class Coroutine;

struct LocalValue {
  LocalValue* next = nullptr;
  const void* key = nullptr;
  void (*destroy)(LocalValue*) = nullptr;
};

// Of the running coroutine.
LocalValue*& running_locals();
// Of one that has run to its end; on its own stack.
void end_locals(Coroutine& coroutine);

template <typename T>
class CoroutineLocal {
 public:
  CoroutineLocal() = default;
  CoroutineLocal(const CoroutineLocal&) = delete;
  CoroutineLocal& operator=(const CoroutineLocal&) = delete;
  ~CoroutineLocal() { CHECK(count_ == 0); }

  // Null: the running coroutine has none yet.
  T* find() const {
    for (LocalValue* value = running_locals(); value != nullptr; value = value->next) {
      if (value->key == this) return &static_cast<Held*>(value)->value;
    }
    return nullptr;
  }
  T& get() {
    T* const found = find();
    if (found != nullptr) return *found;
    LocalValue*& first = running_locals();
    auto* held = new Held;
    held->next = first;
    held->key = this;
    held->destroy = [](LocalValue* value) {
      auto* held = static_cast<Held*>(value);
      CoroutineLocal* const owner = held->owner;
      delete held;
      --owner->count_;
    };
    held->owner = this;
    first = held;
    ++count_;
    return held->value;
  }

 private:
  struct Held : LocalValue {
    CoroutineLocal* owner = nullptr;
    T value{};
  };
  int count_ = 0;
};

}  // namespace hongyan::runtime
