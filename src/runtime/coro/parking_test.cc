// Goal: a parked coroutine costs little, goes on as if nothing had been and never loses what others
// can see. Method: coroutines in virtual time that wait long, and their pages counted.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <string>
#include <vector>

#include "runtime/coro/manual_poller.h"
#include "runtime/coro/sanitizers.h"
#include "runtime/coro/scheduler.h"
#include "runtime/coro/sync.h"

#if !defined(HONGYAN_ASAN) && !defined(HONGYAN_TSAN)

namespace hongyan::runtime {
namespace {

struct Parking : testing::Test {
  ManualPoller poller;
  Scheduler scheduler{poller};
  std::string seen;
  Time in(Duration duration) { return scheduler.now() + duration; }
  SchedulerStats stats() { return scheduler.stats(); }
};

TEST_F(Parking, one_that_waits_long_is_parked_and_goes_on_with_all_it_had) {
  scheduler.set_parking(1s);
  scheduler.spawn("x", [&] {
    int numbers[100];
    int* const own = &numbers[50];  // Into its own stack: stays right.
    for (int i = 0; i < 100; ++i) numbers[i] = i * i;
    MayPark may_park;
    (void)scheduler.park(in(10s));
    EXPECT_EQ(*own, 2500);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(numbers[i], i * i);
    seen += "on";
  });
  scheduler.spawn("watcher", [&] {
    (void)scheduler.park(in(999ms));
    EXPECT_EQ(stats().parked_now, 0u);
    (void)scheduler.park(in(1s));
    EXPECT_EQ(stats().parked_now, 1u);
    EXPECT_LT(stats().parked_bytes, 1500u);
    EXPECT_NE(scheduler.dump().find("x (domain 0) waits for 8001 ms more, parked"),
              std::string::npos);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "on");
  EXPECT_EQ(stats().parked, 1u);
  EXPECT_EQ(stats().unparked, 1u);
  EXPECT_EQ(stats().parked_bytes, 0u);
}

TEST_F(Parking, only_waits_in_a_scope_that_allows_it_are_parked) {
  scheduler.set_parking(1s);
  scheduler.spawn("x", [&] {
    (void)scheduler.park(in(10s));
    { MayPark may_park; }
    (void)scheduler.park(in(10s));
  });
  scheduler.run_until_idle();
  EXPECT_EQ(stats().parked, 0u);
}

TEST_F(Parking, who_waits_in_something_on_its_own_stack_is_not_parked) {
  scheduler.set_parking(1s);
  WaitList elsewhere;
  scheduler.spawn("parent", [&] {
    MayPark may_park;
    Nursery nursery(scheduler);
    nursery.spawn("child", [&] {
      MayPark may_park;
      (void)elsewhere.wait(in(20s));
    });
    Call call;
    EXPECT_TRUE(nursery.join(call).ok());
  });
  scheduler.spawn("watcher", [&] {
    (void)scheduler.park(in(5s));
    EXPECT_EQ(stats().parked_now, 1u);  // The child.
  });
  scheduler.run_until_idle();
  EXPECT_EQ(stats().parked, 1u);
}

TEST_F(Parking, a_wake_a_cancel_and_a_kill_reach_the_parked) {
  scheduler.set_parking(0ns);
  WaitList list;
  const auto wait = [&](const char* mark) {
    return [&, mark] {
      MayPark may_park;
      seen += list.wait(k_never).ok() ? mark : "cancelled ";
    };
  };
  scheduler.spawn("woken", wait("woken "));
  Coroutine* cancelled = scheduler.spawn("cancelled", wait("?"));
  scheduler.spawn_in(1, "killed", wait("?"));
  scheduler.spawn("boss", [&] {
    (void)scheduler.park(in(1s));
    EXPECT_EQ(stats().parked_now, 3u);
    scheduler.kill(1);
    list.wake_one();
    scheduler.cancel(cancelled);
  });
  scheduler.run_until_idle();
  EXPECT_EQ(seen, "woken cancelled ");
  EXPECT_EQ(stats().parked_now, 0u);
  EXPECT_EQ(scheduler.live(), 0u);
}

#if defined(__x86_64__)
TEST_F(Parking, the_frames_of_a_parked_one_can_be_read) {
  scheduler.set_parking(0ns);
  scheduler.spawn("sleeper", [&] {
    MayPark may_park;
    (void)scheduler.park(in(2s), "test");
  });
  scheduler.spawn("watcher", [&] {
    std::vector<const void*> awake, parked;
    const auto frames = [&](std::vector<const void*>& into) {
      scheduler.each(
          [&](const CoroutineInfo& info) {
            if (info.waiting) into = info.frames;
          },
          true);
    };
    frames(awake);
    (void)scheduler.park(in(1s));
    EXPECT_EQ(stats().parked_now, 1u);
    frames(parked);
    EXPECT_GE(awake.size(), 3u);
    EXPECT_EQ(awake, parked);
    EXPECT_NE(scheduler.dump(true).find("sleeper (domain 0) waits in test for 1000 ms more, parked\n"
                                        "    "),
              std::string::npos);
  });
  scheduler.run_until_idle();
}
#endif

bool kernel_has_guard_markers() {
  constexpr int k_guard_install = 102;
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool has = madvise(page, 4096, k_guard_install) == 0;
  munmap(page, 4096);
  return has;
}

using ParkingDeathTest = Parking;
TEST_F(ParkingDeathTest, touching_a_parked_stack_stops_the_process_and_says_whose_it_was) {
  if (!kernel_has_guard_markers()) GTEST_SKIP() << "needs Linux 6.13";
  EXPECT_DEATH(
      {
        scheduler.set_parking(0ns);
        volatile char* exported = nullptr;
        scheduler.spawn("careless", [&] {
          volatile char mine = 1;
          exported = &mine;
          MayPark may_park;
          (void)scheduler.park(in(2s));
        });
        scheduler.spawn("other", [&] {
          (void)scheduler.park(in(1s));
          *exported = 2;
        });
        scheduler.run_until_idle();
      },
      "coroutine \"careless\" was touched while it was parked");
}

TEST_F(ParkingDeathTest, an_overflow_says_whose_it_was) {
  struct Deep {
    static int down(int depth) {
      volatile char frame[1024];
      frame[depth % 1024] = 1;
      return depth > 1'000'000 ? 0 : down(depth + 1) + frame[0];
    }
  };
  EXPECT_DEATH(
      {
        scheduler.spawn("deep thinker", [] { Deep::down(0); }, StackSize::k16);
        scheduler.run_until_idle();
      },
      "coroutine \"deep thinker\" overflowed its stack of 16 KiB");
}

TEST_F(Parking, stacks_have_the_size_that_was_asked_for) {
  for (StackSize size : {StackSize::k16, StackSize::k32, StackSize::k64, StackSize::k256}) {
    scheduler.spawn(
        "x",
        [size] {
          volatile char most[1];
          // All but what the frames above need.
          const size_t bytes = bytes_of(size) - 4096;
          auto* deep = static_cast<volatile char*>(__builtin_alloca(bytes));
          for (size_t i = 0; i < bytes; i += 1024) deep[i] = 1;
          most[0] = deep[0];
          EXPECT_EQ(most[0], 1);
        },
        size);
  }
  scheduler.run_until_idle();
  const SchedulerStats now = stats();
  for (int i = 0; i < k_stack_sizes; ++i) {
    EXPECT_EQ(now.stacks[i].bytes, bytes_of(static_cast<StackSize>(i)));
    EXPECT_EQ(now.stacks[i].in_use_max, 1u);
    EXPECT_EQ(now.stacks[i].in_use, 0u);
    EXPECT_EQ(now.stacks[i].depth_max, bytes_of(static_cast<StackSize>(i)));
  }
}

TEST_F(Parking, after_a_burst_an_idle_loop_gives_the_pages_back) {
  WaitList all;
  for (int i = 0; i < 2000; ++i) scheduler.spawn("x", [&] { EXPECT_TRUE(all.wait(k_never).ok()); });
  scheduler.spawn("end", [&] {
    (void)scheduler.park(in(1s));
    all.wake_all();
    (void)scheduler.park(in(1s));
  });
  scheduler.run_until_idle();
  const StackStats stacks = stats().stacks[static_cast<int>(StackSize::k64)];
  EXPECT_EQ(stacks.in_use_max, 2001u);
  EXPECT_GE(stacks.trimmed, 1400u);
  EXPECT_LE(stacks.trimmed, 1500u);
}

}  // namespace
}  // namespace hongyan::runtime

#endif
