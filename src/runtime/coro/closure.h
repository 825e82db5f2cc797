// A function to be called once or more, as std::function<void()>, but it may own what can't be
// copied, and captures of up to six pointers need no allocation.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace hongyan::runtime {

class Closure {
 public:
  static constexpr size_t k_inline_bytes = 48;

  Closure() = default;
  Closure(std::nullptr_t) {}
  template <typename Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, Closure> &&
             std::is_invocable_v<std::decay_t<Function>&>)
  Closure(Function&& function) {
    using Held = std::decay_t<Function>;
    if constexpr (fits<Held>) {
      new (storage_) Held(std::forward<Function>(function));
      operations_ = &k_inline<Held>;
    } else {
      auto* held = new Held(std::forward<Function>(function));
      std::memcpy(storage_, &held, sizeof(held));
      operations_ = &k_on_heap<Held>;
    }
  }
  Closure(Closure&& other) noexcept { take(other); }
  Closure& operator=(Closure&& other) noexcept {
    if (this == &other) return *this;
    reset();
    take(other);
    return *this;
  }
  ~Closure() { reset(); }

  void operator()() { operations_->call(storage_); }
  explicit operator bool() const { return operations_ != nullptr; }
  // What it captured ends.
  void reset() {
    const Operations* const old = std::exchange(operations_, nullptr);
    if (old != nullptr && old->destroy != nullptr) old->destroy(storage_);
  }

 private:
  struct Operations {
    void (*call)(void*);
    void (*move)(void* from, void* to);  // Null: bytes may be copied, and nothing ends.
    void (*destroy)(void*);              // Null: nothing to do.
  };
  template <typename Held>
  static constexpr bool fits = sizeof(Held) <= k_inline_bytes &&
                               alignof(Held) <= alignof(void*) &&
                               std::is_nothrow_move_constructible_v<Held>;
  template <typename Held>
  static constexpr bool plain =
      std::is_trivially_copyable_v<Held> && std::is_trivially_destructible_v<Held>;
  template <typename Held>
  static Held& at(void* storage) {
    return *std::launder(static_cast<Held*>(storage));
  }
  template <typename Held>
  static Held* behind(void* storage) {
    Held* held;
    std::memcpy(&held, storage, sizeof(held));
    return held;
  }
  template <typename Held>
  static void move_inline(void* from, void* to) {
    new (to) Held(std::move(at<Held>(from)));
    at<Held>(from).~Held();
  }
  template <typename Held>
  static void destroy_inline(void* storage) {
    at<Held>(storage).~Held();
  }
  template <typename Held>
  static constexpr Operations k_inline = {
      .call = [](void* storage) { at<Held>(storage)(); },
      .move = plain<Held> ? nullptr : &move_inline<Held>,
      .destroy = plain<Held> ? nullptr : &destroy_inline<Held>};
  template <typename Held>
  static constexpr Operations k_on_heap = {
      .call = [](void* storage) { (*behind<Held>(storage))(); },
      .move = nullptr,
      .destroy = [](void* storage) { delete behind<Held>(storage); }};

  void take(Closure& other) {
    operations_ = std::exchange(other.operations_, nullptr);
    if (operations_ == nullptr) return;
    if (operations_->move != nullptr) {
      operations_->move(other.storage_, storage_);
    } else {
      std::memcpy(storage_, other.storage_, k_inline_bytes);
    }
  }

  const Operations* operations_ = nullptr;
  alignas(void*) unsigned char storage_[k_inline_bytes];
};

}  // namespace hongyan::runtime
