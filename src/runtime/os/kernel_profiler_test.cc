// Goal: a profile names who spent the processor's time and who keeps memory, one at a time, and ends when it is told.
// Method: the real Env; functions that burn and allocate while a profile is taken. What they must show is that they are
// there; how often depends on the machine.
#include "runtime/env/profiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/os/clock.h"
#include "runtime/os/heap_samples.h"
#include "runtime/os/os_env.h"
#include "runtime/os/stack_walk.h"

namespace hongyan::runtime {

// Outside of the unnamed namespace: their names are to be found.
[[gnu::noinline]] uint64_t burn_for_the_profile(Duration time) {
  uint64_t sum = 1;
  const Time end = monotonic_now() + time;
  while (monotonic_now() < end) {
    for (int i = 0; i < 10'000; ++i) {
      sum = sum * 6364136223846793005u + 1;
      asm volatile("" : "+r"(sum));
    }
  }
  return sum;
}

using Pieces = std::vector<std::unique_ptr<char[]>>;
constexpr size_t k_piece = 256 * 1024;

[[gnu::noinline]] void keep_for_the_profile(Pieces& pieces) {
  for (int i = 0; i < 256; ++i) pieces.push_back(std::make_unique<char[]>(k_piece));
  asm volatile("" ::: "memory");
}

[[gnu::noinline]] void drop_for_the_profile() {
  for (int i = 0; i < 256; ++i) {
    auto piece = std::make_unique<char[]>(k_piece);
    asm volatile("" : : "r"(piece.get()) : "memory");
  }
}

// The frames above `calls` calls of its own: whoever called it may have been built without frame pointers.
[[gnu::noinline]] size_t walk_below(int calls, std::span<uintptr_t> found) {
  const size_t count = calls > 0 ? walk_below(calls - 1, found) : walk_stack(__builtin_frame_address(0), found);
  asm volatile("" ::: "memory");  // No tail call.
  return count;
}

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct ProfilerTest : ::testing::Test {
  void SetUp() override {
    if (!can_walk_stacks()) GTEST_SKIP() << "a sandbox that lets nobody read stacks";
  }
  void run(const std::function<void(Call& call)>& body) {
    run_to_end(env->scheduler(), "test", [&] {
      Call call;
      body(call);
    });
  }
  std::unique_ptr<Env> env = make_os_env({});
  Profiler& profiler = *env->profiler();
};

// The weight of the lines with that text; "\n" is a line's beginning.
int64_t weight_of(const std::string& stacks, std::string_view text) {
  int64_t weight = 0;
  for (size_t at = 0; at < stacks.size();) {
    const size_t end = stacks.find('\n', at);
    const std::string line = "\n" + stacks.substr(at, end - at);
    if (line.find(text) != std::string::npos) weight += std::stoll(line.substr(line.rfind(' ') + 1));
    at = end + 1;
  }
  return weight;
}

TEST_F(ProfilerTest, the_processor_profile_names_function_coroutine_and_thread) {
  run([&](Call& call) {
    Nursery nursery(env->scheduler());
    bool over = false;
    nursery.spawn("burns on the loop", [&] {
      while (!over) {
        burn_for_the_profile(2ms);
        env->scheduler().yield();
      }
    });
    nursery.spawn("waits for the pool", [&] {
      while (!over) env->pool().run([] { burn_for_the_profile(5ms); });
    });
    const auto stacks = profiler.cpu(call, 1s);
    over = true;
    ASSERT_TRUE(nursery.join(call).ok());
    ASSERT_TRUE(stacks.ok()) << stacks.status().detail();
    EXPECT_THAT(*stacks, HasSubstr("[burns on the loop];")) << *stacks;
    EXPECT_GT(weight_of(*stacks, "burn_for_the_profile"), 0) << *stacks;
    EXPECT_GT(weight_of(*stacks, "\npool;"), 0) << *stacks;
  });
}

TEST_F(ProfilerTest, one_at_a_time_of_a_sensible_length) {
  run([&](Call& call) {
    EXPECT_EQ(profiler.cpu(call, 0s).code(), Code::invalid);
    EXPECT_EQ(profiler.cpu(call, Profiler::k_cpu_time_max + 1s).code(), Code::invalid);
    EXPECT_EQ(profiler.heap(call, Profiler::k_heap_time_max + 1s).code(), Code::invalid);
    Nursery nursery(env->scheduler());
    Result<std::string> first(Status(Code::internal, "not ended"));
    nursery.spawn("profiles", [&] { first = profiler.cpu(call, Profiler::k_cpu_time_max); });
    for (int i = 0; i < 3; ++i) env->scheduler().yield();
    while (profiler.cpu(call, 1s).code() != Code::busy) {
    }
    EXPECT_EQ(profiler.heap(call, 1s).code(), Code::busy);
    nursery.cancel();
    ASSERT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(first.code(), Code::cancelled);
    EXPECT_TRUE(profiler.cpu(call, 1ms).ok());  // And the next one may.
  });
}

TEST_F(ProfilerTest, the_memory_profile_shows_what_stays_and_not_what_goes) {
  run([&](Call& call) {
    if (!start_heap_samples(1)) GTEST_SKIP() << "the sanitizer's allocator";
    end_heap_samples();
    Pieces pieces, before;
    keep_for_the_profile(before);
    Nursery nursery(env->scheduler());
    Result<std::string> stacks(Status(Code::internal, "not ended"));
    nursery.spawn("profiles", [&] { stacks = profiler.heap(call, Profiler::k_heap_time_max); });
    env->scheduler().yield();
    keep_for_the_profile(pieces);
    drop_for_the_profile();
    before.clear();  // Was there before.
    profiler.end_early();
    ASSERT_TRUE(nursery.join(call).ok());
    ASSERT_TRUE(stacks.ok()) << stacks.status().detail();
    // 64 MiB in 256 pieces, each noted with a chance of 0.39: within six standard deviations.
    const int64_t kept = weight_of(*stacks, "keep_for_the_profile");
    EXPECT_GT(kept, 34 << 20) << *stacks;
    EXPECT_LT(kept, 94 << 20) << *stacks;
    EXPECT_THAT(*stacks, Not(HasSubstr("drop_for_the_profile")));
  });
}

TEST_F(ProfilerTest, memory_is_what_the_allocator_has) {
  [[maybe_unused]] const Profiler::Memory before = profiler.memory();
  Pieces pieces;
  keep_for_the_profile(pieces);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_GE(profiler.memory().in_use_bytes, before.in_use_bytes + pieces.size() * k_piece);
#endif
}

TEST(StackWalk, ends_where_the_chain_is_broken) {
  if (!can_walk_stacks()) GTEST_SKIP() << "a sandbox that lets nobody read stacks";
  uintptr_t found[64];
  EXPECT_GT(walk_below(3, found), 3u);
  EXPECT_EQ(walk_stack(nullptr, found), 0u);
  EXPECT_EQ(walk_stack(reinterpret_cast<void*>(0x10), found), 0u);                       // Nothing is mapped there.
  EXPECT_EQ(walk_stack(static_cast<char*>(__builtin_frame_address(0)) + 1, found), 0u);  // Not aligned.
  uintptr_t loop[2] = {reinterpret_cast<uintptr_t>(loop), 0x4711};
  EXPECT_EQ(walk_stack(loop, found), 1u);
  uintptr_t broken[2] = {0x7fff00000010, 0x4711};
  EXPECT_EQ(walk_stack(broken, found), 1u);
}

}  // namespace
}  // namespace hongyan::runtime
