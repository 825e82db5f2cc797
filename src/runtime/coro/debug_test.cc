// Goal: what debuggers and the fault handler read is there. Method: the layout followed by hand; the
// gdb script itself is tested by tests/run.d/85-gdb.sh, which stops in debugger_stops_here().
#include "runtime/coro/debug.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

#include "runtime/coro/backtrace.h"
#include "runtime/coro/coroutine.h"
#include "runtime/coro/manual_poller.h"
#include "runtime/coro/sync.h"

extern "C" __attribute__((noinline, used)) void debugger_stops_here() { asm volatile(""); }

namespace hongyan::runtime {
namespace {

// With a name of its own in a backtrace.
__attribute__((noinline)) void wait_where_a_debugger_looks(WaitList& list) {
  EXPECT_TRUE(list.wait(k_never, "debug test").ok());
}

TEST(Debug, a_debugger_finds_every_coroutine_and_its_name) {
  ManualPoller poller;
  Scheduler scheduler(poller);
  WaitList list;
  scheduler.set_parking(0ns);
  scheduler.spawn("waiting coroutine", [&] { wait_where_a_debugger_looks(list); });
  scheduler.spawn("parked coroutine", [&] {
    MayPark may_park;
    wait_where_a_debugger_looks(list);
  });
  scheduler.spawn("looking coroutine", [&] {
    (void)scheduler.park(scheduler.now() + 1s);
    debugger_stops_here();
    ASSERT_EQ(hongyan_coro_debug.first_scheduler, &scheduler);
    ASSERT_EQ(hongyan_coro_debug.version, 2u);
    const char* name = nullptr;
    std::memcpy(&name,
                reinterpret_cast<const char*>(scheduler.running()) +
                    hongyan_coro_debug.coroutine_name,
                sizeof(name));
    EXPECT_EQ(std::string_view(name), "looking coroutine");
    list.wake_all();
  });
  scheduler.run_until_idle();
}

TEST(Debug, the_page_below_a_stack_is_known_to_be_its_guard) {
  ManualPoller poller;
  Scheduler scheduler(poller);
  scheduler.spawn("x", [&] {
    const Stack stack = scheduler.running()->stack();
    EXPECT_EQ(debug_find(stack.low - 1).coroutine, scheduler.running());
    EXPECT_EQ(debug_find(stack.low).coroutine, nullptr);
    EXPECT_EQ(debug_find(stack.low - 5000).coroutine, nullptr);
  });
  scheduler.run_until_idle();
}

TEST(Debug, a_frame_is_described_by_function_or_file) {
  EXPECT_EQ(describe_frame(nullptr), "0x0");
  const std::string text = describe_frame(reinterpret_cast<const void*>(&std::strlen));
  EXPECT_NE(text.find('+'), std::string::npos) << text;
}

}  // namespace
}  // namespace hongyan::runtime
