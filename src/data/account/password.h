// Passwords as argon2id hashes in the PHC string format, and the brake on guessing.
//
// Hashing runs in the Env's pool, never on a coroutine's stack; at most k_hashes_running_max at a time, and when
// k_hashes_waiting_max wait the next is refused with Code::overloaded. The salt comes from the Env. The cost of a
// stored hash is read from the hash, so that a raised cost leaves old passwords valid.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/account/limits.h"
#include "runtime/call.h"
#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

namespace hongyan::account {

struct PasswordCost {
  uint64_t memory_bytes = 19 * 1024 * 1024;  // OWASP password storage cheat sheet: argon2id, 19 MiB, ...
  uint64_t passes = 2;                       // ... two passes, one lane.
};
// What libsodium accepts at the least: for tests and simulations.
inline constexpr PasswordCost k_password_cost_least{.memory_bytes = 8192, .passes = 1};

class PasswordHasher {
 public:
  PasswordHasher(Env& env, PasswordCost cost);
  // The encoded hash with a new salt.
  Result<std::string> hash(Call& call, std::string_view password);
  // Whether `encoded` was made from this password. Code::corrupt for an encoding that is none.
  Result<bool> verify(Call& call, std::string_view password, std::string_view encoded);
  // Takes as long as verify() of a hash of today: so that an unknown name can't be told by the clock.
  Status pretend(Call& call, std::string_view password);

 private:
  class Turn;  // The right to run one hash; gives it back when it dies.
  Result<std::string> derive(Call& call, std::string_view password, std::string_view salt, PasswordCost cost);

  Env& env_;
  PasswordCost cost_;
  int running_ = 0;
  size_t waiting_ = 0;
  runtime::WaitList waiters_;
};

// Counts failures by key (a name, an address) in windows that start with the first failure. Bounded: the keys with
// the oldest windows are forgotten first, so a flood of names frees some early, but pays with its addresses.
class FailureLimiter {
 public:
  bool full(std::string_view key, runtime::Time now, int failures_max = k_failures_max) const;
  void add(const std::string& key, runtime::Time now);
  // One failure fewer: the attempt that was counted beforehand was none.
  void take_back(const std::string& key);
  void forget(const std::string& key);
  size_t size() const { return windows_.size(); }

 private:
  struct Window {
    runtime::Time start;
    uint64_t order = 0;
    int failures = 0;
  };
  void drop_old(runtime::Time now, size_t keep_max);

  std::map<std::string, Window, std::less<>> windows_;
  std::map<uint64_t, std::string> by_age_;
  uint64_t next_order_ = 0;
};

}  // namespace hongyan::account
