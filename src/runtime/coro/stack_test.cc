// Goal: stacks do not run into each other unseen, and serve again. Method: write where nobody
// should.
#include "runtime/coro/stack.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "runtime/coro/sanitizers.h"

namespace hongyan::runtime {
namespace {

constexpr size_t k_bytes = 64 * 1024;

TEST(StackPool, stacks_are_whole_apart_and_used_again_last_in_first_out) {
  StackPool pool(k_bytes);
  std::vector<Stack> taken;
  std::set<char*> lows;
  for (int i = 0; i < 200; ++i) {
    taken.push_back(pool.take());
    std::memset(taken.back().low, i, k_bytes);
    lows.insert(taken.back().low);
  }
  char* before = nullptr;
  for (char* low : lows) {
    EXPECT_TRUE(before == nullptr || static_cast<size_t>(low - before) > k_bytes);
    before = low;
  }
  EXPECT_EQ(lows.size(), 200u);
  EXPECT_EQ(taken[7].low[k_bytes - 1], 7);
  const Stack last = taken.back();
  const size_t mapped = pool.mapped();
  for (const Stack& stack : taken) pool.give_back(stack);
  EXPECT_EQ(pool.take().low, last.low);
  pool.give_back(last);
  EXPECT_EQ(pool.mapped(), mapped);
}

TEST(StackPool, a_burst_of_stacks_serves_again_after_its_pages_were_given_back) {
  StackPool pool(k_bytes);
  for (int round = 0; round < 2; ++round) {
    std::vector<Stack> taken;
    for (int i = 0; i < 1000; ++i) {
      taken.push_back(pool.take());
      std::memset(taken.back().low, 1, k_bytes);
    }
    for (const Stack& stack : taken) pool.give_back(stack);
  }
  EXPECT_LE(pool.mapped(), 1024u);
}

#if !defined(HONGYAN_ASAN) && !defined(HONGYAN_TSAN)
TEST(StackPoolDeathTest, writing_below_a_stack_stops_the_process) {
  StackPool pool(k_bytes);
  const Stack stack = pool.take();
  EXPECT_FALSE(stack.canary);
  EXPECT_DEATH(*const_cast<volatile char*>(stack.low - 1) = 1, "");
  pool.give_back(stack);
}
#endif

TEST(StackPoolDeathTest, without_guard_pages_an_overflow_is_found_at_the_next_check) {
  StackPool pool(k_bytes, StackPool::Guards::canaries);
  const Stack stack = pool.take();
  StackPool::check(stack);
  EXPECT_DEATH(
      {
        std::memset(stack.low, 0, 64);
        StackPool::check(stack);
      },
      "k_canary");
  pool.give_back(stack);
}

}  // namespace
}  // namespace hongyan::runtime
