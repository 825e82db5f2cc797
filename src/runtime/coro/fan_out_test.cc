// Goal: fanning out keeps results apart, ends what is not needed and waits for all. Method: scripts
// in virtual time.
#include "runtime/coro/fan_out.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runtime/env/run_blocking.h"
#include "runtime/testing/test_env.h"

namespace hongyan::runtime {
namespace {

struct FanOut : testing::Test {
  TestEnv env;
  Scheduler& scheduler = env.scheduler();
  Result<int> after_waiting(Duration duration, Result<int> result) {
    Call call = env.call();
    TRY(sleep(call, duration));
    return result;
  }
};

TEST_F(FanOut, when_all_runs_them_at_once_and_returns_each_result_in_its_place) {
  run_in_coroutine(env, [&] {
    const Time start = scheduler.now();
    auto [number, text] = when_all([&] { return after_waiting(20ms, 7); },
                                   [&] {
                                     Call call = env.call();
                                     EXPECT_TRUE(sleep(call, 10ms).ok());
                                     return std::make_unique<std::string>("text");
                                   });
    EXPECT_EQ(number.value(), 7);
    EXPECT_EQ(*text, "text");
    EXPECT_EQ(scheduler.now() - start, 20ms);
  });
}

TEST_F(FanOut, when_all_takes_any_number) {
  run_in_coroutine(env, [&] {
    std::vector<std::function<Result<int>()>> functions;
    for (int i = 0; i < 10; ++i) {
      functions.push_back([this, i] { return after_waiting(10ms - i * 1ms, i); });
    }
    auto results = when_all(std::move(functions));
    ASSERT_EQ(results.size(), 10u);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(results[i].value(), i);
    EXPECT_TRUE(when_all(std::vector<std::function<int()>>()).empty());
  });
}

TEST_F(FanOut, when_any_is_the_first_success_and_the_others_are_cancelled_and_waited_for) {
  run_in_coroutine(env, [&] {
    const Time start = scheduler.now();
    Code slow = Code::ok;
    auto any = when_any([&] { return after_waiting(5ms, Status(Code::io, "broken")); },
                        [&]() -> Result<int> {
                          Result<int> result = after_waiting(1h, 1);
                          slow = result.code();
                          scheduler.yield();  // Its end takes a while.
                          return result;
                        },
                        [&] { return after_waiting(10ms, 2); });
    EXPECT_EQ(any.index, 2u);
    EXPECT_EQ(any.result.value(), 2);
    EXPECT_EQ(slow, Code::cancelled);
    EXPECT_EQ(scheduler.now() - start, 10ms);
  });
  EXPECT_EQ(scheduler.live(), 0u);
}

TEST_F(FanOut, when_none_succeeds_the_last_failure_is_told) {
  run_in_coroutine(env, [&] {
    auto any = when_any([&] { return after_waiting(10ms, Status(Code::io, "late")); },
                        [&] { return after_waiting(5ms, Status(Code::closed, "early")); });
    EXPECT_EQ(any.index, 0u);
    EXPECT_EQ(any.result.code(), Code::io);
  });
}

TEST_F(FanOut, a_cancelled_caller_cancels_and_still_waits) {
  Code inner = Code::ok;
  Coroutine* caller = scheduler.spawn("caller", [&] {
    (void)when_all([&] {
      inner = after_waiting(1h, 1).code();
      return 0;
    });
    EXPECT_EQ(inner, Code::cancelled);
  });
  scheduler.run_ready();
  scheduler.cancel(caller);
  scheduler.run_until_idle();
  EXPECT_EQ(inner, Code::cancelled);
  EXPECT_EQ(scheduler.live(), 0u);
}

TEST_F(FanOut, run_blocking_returns_what_the_function_does) {
  run_in_coroutine(env, [&] {
    EXPECT_EQ(*run_blocking(env, [] { return std::make_unique<int>(3); }), 3);
    int done = 0;
    run_blocking(env, [&] { ++done; });
    EXPECT_EQ(done, 1);
  });
}

}  // namespace
}  // namespace hongyan::runtime
