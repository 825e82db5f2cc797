// Goal: what a loop does and holds can be read as counters. Method: the real Env runs coroutines; a loop with a poller by
// hand for the figures.
#include "runtime/os/loop_counters.h"

#include <gtest/gtest.h>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/os/os_env.h"

namespace hongyan::runtime {
namespace {

const CounterSample* find(const std::vector<CounterSample>& all, std::string_view name, std::string_view labels = "") {
  for (const CounterSample& one : all) {
    if (one.name == name && one.labels == labels) return &one;
  }
  return nullptr;
}

TEST(LoopCounters, tell_coroutines_timers_queue_and_stacks) {
  ManualPoller poller;
  Scheduler scheduler(poller);
  Counters counters;
  LoopCounters loop(counters, scheduler);
  const auto sleep_long = [] {
    Call call;
    (void)sleep(call, 1h).ok();
  };
  scheduler.spawn("sleeps", sleep_long, StackSize::k16);
  scheduler.spawn("sleeps", sleep_long, StackSize::k16);
  scheduler.spawn("looks", [&] {
    scheduler.spawn("waits for its turn", [] {});
    loop.refresh(scheduler.now());
  });
  scheduler.run_ready();
  const auto all = counters.samples();
  const auto value = [&](std::string_view name, std::string_view labels = "") {
    const CounterSample* one = find(all, name, labels);
    EXPECT_NE(one, nullptr) << name;
    EXPECT_FALSE(one->help.empty()) << name;
    return one->value;
  };
  EXPECT_EQ(value("hongyan_runtime_coroutines"), 4);
  EXPECT_EQ(value("hongyan_runtime_coroutines_made"), 4);
  EXPECT_EQ(value("hongyan_runtime_timers"), 2);
  EXPECT_EQ(value("hongyan_runtime_ready"), 1);
  EXPECT_EQ(value("hongyan_runtime_parked"), 0);
  const std::string small = "size=\"" + std::to_string(bytes_of(StackSize::k16) / 1024) + "k\"";
  EXPECT_EQ(value("hongyan_runtime_stacks_in_use", small), 2);
  EXPECT_EQ(value("hongyan_runtime_stacks_in_use_max", small), 2);
  EXPECT_GE(value("hongyan_runtime_stacks_made", small), 2);
  EXPECT_GE(value("hongyan_runtime_stack_depth_max_bytes", small), 0);
  poller.advance(2h);
  scheduler.run_until_idle();
}

TEST(LoopCounters, are_kept_by_the_real_env_whatever_its_loop_waits_in) {
  for (const LoopIo io : {LoopIo::epoll, LoopIo::uring}) {
    OsEnvOptions options;
    options.io = io;
    const auto env = make_os_env(options);
    run_to_end(env->scheduler(), "test", [&] {
      Call call;
      for (int i = 0; i < 3; ++i) ASSERT_TRUE(sleep(call, 1ms).ok());  // The first turn and the last have one end each.
    });
    const auto all = env->counters().samples();
    const CounterSample* turns = find(all, "hongyan_runtime_turn");
    ASSERT_NE(turns, nullptr);
    EXPECT_GT(turns->count(), 1u) << describe_io(*env);
    EXPECT_EQ(turns->unit, "us");
    EXPECT_NE(find(all, "hongyan_runtime_coroutines_made"), nullptr);
  }
}

}  // namespace
}  // namespace hongyan::runtime
