// Goal: each coroutine has its own values and they end with it. Method: scripts.
#include "runtime/coro/local.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {
namespace {

struct CoroutineLocalTest : testing::Test {
  ManualPoller poller;
  Scheduler scheduler{poller};
};

TEST_F(CoroutineLocalTest, every_coroutine_has_its_own_value_under_each_key) {
  CoroutineLocal<std::string> name;
  CoroutineLocal<int> count;
  for (const char* own : {"a", "b"}) {
    scheduler.spawn("x", [&, own] {
      EXPECT_EQ(name.find(), nullptr);
      name.get() = own;
      EXPECT_EQ(count.get(), 0);
      for (int i = 0; i < 3; ++i) {
        ++count.get();
        scheduler.yield();
      }
      EXPECT_EQ(*name.find(), own);
      EXPECT_EQ(count.get(), 3);
    });
  }
  scheduler.run_until_idle();
}

struct SaysWhenItEnds {
  ~SaysWhenItEnds() {
    Scheduler::current().yield();  // It may still wait.
    *seen += mark;
  }
  std::string* seen = nullptr;
  const char* mark = "";
};

TEST_F(CoroutineLocalTest, values_end_with_the_coroutine_the_latest_first) {
  CoroutineLocal<SaysWhenItEnds> first, second;
  std::string seen;
  scheduler.spawn("x", [&] {
    first.get().seen = &seen;
    second.get().seen = &seen;
    first.get().mark = "first";
    second.get().mark = "second ";
  });
  scheduler.spawn("y", [&] { EXPECT_EQ(first.find(), nullptr); });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "second first");
}

}  // namespace
}  // namespace hongyan::runtime
