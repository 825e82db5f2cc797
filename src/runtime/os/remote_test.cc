// Goal: work reaches another thread's loop and its result comes back to the caller's own. Method: two
// real loops.
#include "runtime/coro/remote.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/os/epoll_poller.h"

namespace hongyan::runtime {
namespace {

struct RemoteTest : testing::Test {
  EpollPoller here_poller, there_poller;
  Scheduler here{here_poller};
  Scheduler there{there_poller};
  std::thread thread{[this] { there.run(); }};
  ~RemoteTest() override {
    there.stop();
    thread.join();
  }
};

TEST_F(RemoteTest, call_on_runs_there_and_returns_here) {
  run_to_end(here, "caller", [&] {
    const auto home = std::this_thread::get_id();
    for (int i = 0; i < 100; ++i) {
      auto result = call_on(there, "called", [&] {
        EXPECT_NE(std::this_thread::get_id(), home);
        EXPECT_EQ(&Scheduler::current(), &there);
        Scheduler::current().yield();  // It may wait there.
        return std::make_unique<int>(i);
      });
      EXPECT_EQ(*result, i);
      EXPECT_EQ(std::this_thread::get_id(), home);
    }
    int done = 0;
    call_on(there, "called", [&] { done = 1; });
    EXPECT_EQ(done, 1);
    EXPECT_EQ(call_on(here, "called", [&] { return &Scheduler::current(); }), &here);
  });
}

TEST_F(RemoteTest, many_callers_wait_at_once_and_both_directions_work) {
  std::atomic<int> there_count{0};
  run_to_end(here, "boss", [&] {
    Call call;
    Nursery nursery(here);
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
      nursery.spawn("caller", [&, i] {
        sum += call_on(there, "called", [&] {
          ++there_count;
          return i + call_on(here, "called back", [&] { return 1; });
        });
      });
    }
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(sum, 199 * 200 / 2 + 200);
  });
  EXPECT_EQ(there_count.load(), 200);
}

TEST_F(RemoteTest, spawn_on_takes_what_it_was_given_along) {
  auto payload = std::make_unique<int>(7);
  std::atomic<int> got{0};
  run_to_end(here, "boss", [&] {
    spawn_on(there, "sent", [&got, payload = std::move(payload)] { got = *payload; });
    while (got == 0) here.yield();
  });
  EXPECT_EQ(got.load(), 7);
}

}  // namespace
}  // namespace hongyan::runtime
