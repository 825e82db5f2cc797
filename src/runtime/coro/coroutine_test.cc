// Goal: the run queue keeps its order whatever its size, and gives back what a burst took. Method: beside a deque.
#include "runtime/coro/coroutine.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "base/random.h"

namespace hongyan::runtime {
namespace {

TEST(RunQueue, is_first_come_first_served_across_growth_and_removal) {
  const uint64_t seed = 20261130;
  SCOPED_TRACE(seed);
  Random random(seed);
  std::vector<Coroutine> all(5000);
  RunQueue queue;
  std::deque<Coroutine*> model;
  size_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    switch (random.below(step % 4000 < 2000 ? 3 : 6)) {
      case 0:
      case 1:
        if (model.size() == all.size()) break;
        queue.push_back(all[next]);
        model.push_back(&all[next]);
        next = (next + 1) % all.size();
        break;
      case 2:
        if (step % 500 != 0) break;
        queue.remove_if([&](const Coroutine& one) { return (&one - all.data()) % 7 == 0; });
        std::erase_if(model, [&](const Coroutine* one) { return (one - all.data()) % 7 == 0; });
        break;
      default:
        if (model.empty()) break;
        ASSERT_EQ(queue.pop_front(), model.front());
        model.pop_front();
    }
    ASSERT_EQ(queue.empty(), model.empty());
  }
  while (!model.empty()) {
    ASSERT_EQ(queue.pop_front(), model.front());
    model.pop_front();
  }
  EXPECT_TRUE(queue.empty());
}

TEST(RunQueue, one_may_be_exchanged_for_the_first_when_there_is_no_room) {
  std::vector<Coroutine> all(257);
  RunQueue queue;
  for (int i = 0; i < 256; ++i) queue.push_back(all[i]);
  EXPECT_EQ(queue.exchange_front(all[256]), &all[0]);
  for (int i = 1; i < 257; ++i) EXPECT_EQ(queue.pop_front(), &all[i]);
  EXPECT_TRUE(queue.empty());
}

TEST(RunQueue, works_on_after_it_has_given_back_the_room_of_a_burst) {
  std::vector<Coroutine> all(70'000);
  RunQueue queue;
  for (Coroutine& one : all) queue.push_back(one);
  for (Coroutine& one : all) ASSERT_EQ(queue.pop_front(), &one);
  queue.shrink();
  for (int i = 0; i < 1000; ++i) queue.push_back(all[i]);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(queue.pop_front(), &all[i]);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace hongyan::runtime
