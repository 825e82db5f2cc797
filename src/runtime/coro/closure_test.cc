// Goal: a Closure owns what it captured, once. Method: captures that count.
#include "runtime/coro/closure.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>

namespace hongyan::runtime {
namespace {

TEST(Closure, calls_what_it_was_made_of_whatever_its_size) {
  int sum = 0;
  std::array<int, 100> large{};
  large[99] = 5;
  Closure small([&sum] { ++sum; });
  Closure big([&sum, large] { sum += large[99]; });
  small();
  big();
  big();
  EXPECT_EQ(sum, 11);
  EXPECT_FALSE(Closure());
  EXPECT_FALSE(Closure(nullptr));
}

TEST(Closure, captures_move_with_it_and_end_once) {
  auto shared = std::make_shared<int>(0);
  std::array<char, 200> padding{};
  for (bool large : {false, true}) {
    Closure first = large ? Closure([shared, padding] { *shared += 1 + padding[0]; })
                          : Closure([shared] { ++*shared; });
    EXPECT_EQ(shared.use_count(), 2);
    Closure second = std::move(first);
    EXPECT_FALSE(first);
    EXPECT_EQ(shared.use_count(), 2);
    second();
    first = std::move(second);
    first();
    EXPECT_EQ(shared.use_count(), 2);
    first.reset();
    EXPECT_EQ(shared.use_count(), 1);
  }
  EXPECT_EQ(*shared, 4);
}

TEST(Closure, may_own_what_cannot_be_copied_and_takes_a_std_function) {
  int seen = 0;
  Closure unique([&seen, owned = std::make_unique<int>(3)] { seen += *owned; });
  const std::function<void()> function = [&seen] { seen += 10; };
  Closure copy(function);
  unique();
  copy();
  function();
  EXPECT_EQ(seen, 23);
}

}  // namespace
}  // namespace hongyan::runtime
