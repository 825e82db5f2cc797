// Goal: a switch keeps all that belongs to a stack and stacks can be read while they wait. Method:
// coroutines that disturb each other, and the unwinder.
#include "runtime/coro/switch.h"

#include <execinfo.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/scheduler.h"

namespace hongyan::runtime {
namespace {

struct SwitchTest : testing::Test {
  ManualPoller poller;
  Scheduler scheduler{poller};
};

TEST_F(SwitchTest, each_coroutine_has_its_own_errno) {
  for (int own : {EAGAIN, EIO, ENOENT}) {
    scheduler.spawn("x", [this, own] {
      errno = own;
      scheduler.yield();
      EXPECT_EQ(errno, own);
    });
  }
  errno = EINVAL;
  scheduler.run_until_idle();
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(SwitchTest, a_new_coroutine_has_no_error_and_no_exception_of_who_started_it) {
  const auto look = [] {
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    errno = EIO;
  };
  bool caught_again = false;
  scheduler.spawn("x", [&] {
    try {
      throw 7;
    } catch (int) {
      errno = EAGAIN;
      scheduler.spawn_now("at once", look);
      EXPECT_EQ(errno, EAGAIN);
      scheduler.spawn("later", look);
      scheduler.yield();
      EXPECT_EQ(errno, EAGAIN);
      try {
        throw;
      } catch (int number) {
        caught_again = number == 7;
      }
    }
  });
  scheduler.run_until_idle();
  EXPECT_TRUE(caught_again);
}

TEST_F(SwitchTest, registers_and_floating_point_values_survive) {
  double sums[3] = {};
  for (int i = 0; i < 3; ++i) {
    scheduler.spawn("x", [this, i, &sums] {
      double a = i, b = i * 2.0, c = i * 3.0, d = i * 4.0;
      uint64_t p = 1, q = 2, r = 3, s = 4, t = 5, u = 6;
      for (int round = 0; round < 1000; ++round) {
        scheduler.yield();
        a += b, b += c, c += d, d += 1;
        p += q, q ^= r, r += s, s += t, t ^= u, u += p;
      }
      sums[i] = a + b + c + d + static_cast<double>((p + q + r + s + t + u) % 1000);
    });
  }
  scheduler.run_until_idle();
  for (int i = 0; i < 3; ++i) {
    double a = i, b = i * 2.0, c = i * 3.0, d = i * 4.0;
    uint64_t p = 1, q = 2, r = 3, s = 4, t = 5, u = 6;
    for (int round = 0; round < 1000; ++round) {
      a += b, b += c, c += d, d += 1;
      p += q, q ^= r, r += s, s += t, t ^= u, u += p;
    }
    EXPECT_EQ(sums[i], a + b + c + d + static_cast<double>((p + q + r + s + t + u) % 1000));
  }
}

TEST_F(SwitchTest, a_stack_is_aligned_as_calls_want_it) {
  scheduler.spawn("x", [] {
    alignas(16) volatile char here[16] = {};
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&here[0]) % 16, 0u);
    char text[64];  // Its code may store whole vectors to the stack.
    std::snprintf(text, sizeof(text), "%.3f %Lg", 1.5, 2.5L);
    EXPECT_STREQ(text, "1.500 2.5");
  });
  scheduler.run_until_idle();
}

#ifndef HONGYAN_BOOST_SWITCH
TEST_F(SwitchTest, the_unwinder_ends_at_the_first_frame_of_a_coroutine) {
  int depth = 0;
  scheduler.spawn("x", [&] {
    scheduler.yield();
    void* frames[64];
    depth = backtrace(frames, 64);
  });
  scheduler.run_until_idle();
  EXPECT_GE(depth, 2);
  EXPECT_LT(depth, 12);
}
#endif

}  // namespace
}  // namespace hongyan::runtime
