// Memory that many connections share: a share grows only while the sum stays below the budget, so that half-sent
// requests of strangers can't fill the process. Never waits.
#pragma once

#include <cstddef>

namespace hongyan::api {

class Budget {
 public:
  explicit Budget(size_t max) : max_(max) {}

  class Share {
   public:
    explicit Share(Budget& budget) : budget_(budget) {}
    ~Share() { budget_.used_ -= held_; }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // False, and nothing changes, when the others hold too much.
    bool resize(size_t bytes) {
      if (bytes > held_ && budget_.used_ - held_ + bytes > budget_.max_) return false;
      budget_.used_ = budget_.used_ - held_ + bytes;
      held_ = bytes;
      return true;
    }

   private:
    Budget& budget_;
    size_t held_ = 0;
  };

  size_t used() const { return used_; }

 private:
  size_t max_;
  size_t used_ = 0;
};

}  // namespace hongyan::api
