// Memory that many connections share: a share grows only while the sum stays below the budget, so that half-sent
// requests of strangers can't fill the process, and while the shares of one owner stay below a part of it, so that one
// stranger can't keep the others out. Never waits.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

namespace hongyan::api {

class Budget {
 public:
  // An owner is an address group (address_group()); the unnamed one, a front proxy on loopback, may hold all of it.
  static constexpr size_t k_owners_part = 4;  // Three strangers together still leave room for the others.

  explicit Budget(size_t max) : max_(max) {}

  class Share {
   public:
    Share(Budget& budget, std::string owner) : budget_(budget), owner_(std::move(owner)) {}
    ~Share() { (void)resize(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // False, and nothing changes, when the others hold too much, or this owner does.
    bool resize(size_t bytes) {
      if (bytes == held_) return true;
      if (bytes > held_ && !budget_.room_for(bytes - held_, owner_)) return false;
      budget_.change(held_, bytes, owner_);
      held_ = bytes;
      return true;
    }

   private:
    Budget& budget_;
    std::string owner_;
    size_t held_ = 0;
  };

  size_t used() const { return used_; }
  size_t owners() const { return by_owner_.size(); }  // Those that hold something.

 private:
  bool room_for(size_t more, const std::string& owner) const {
    if (more > max_ - used_) return false;
    if (owner.empty()) return true;
    const auto found = by_owner_.find(owner);
    return more + (found == by_owner_.end() ? 0 : found->second) <= max_ / k_owners_part;
  }
  void change(size_t from, size_t to, const std::string& owner) {
    used_ = used_ - from + to;
    if (owner.empty()) return;
    size_t& held = by_owner_[owner];
    held = held - from + to;
    if (held == 0) by_owner_.erase(owner);
  }

  size_t max_;
  size_t used_ = 0;
  std::map<std::string, size_t> by_owner_;
};

}  // namespace hongyan::api
