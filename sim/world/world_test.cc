// The world keeps its own promises: time, chance, disk and processes, without any service in it.
#include "sim/world/world.h"

#include <gtest/gtest.h>

#include "runtime/coro/sync.h"
#include "runtime/testing/env_contract.h"
#include "sim/world/process.h"

namespace hongyan::sim {
namespace {

using runtime::OpenMode;

// Runs `body` as a coroutine of a process until it ends.
void run_in(World& world, Process& process, const std::function<void()>& body) {
  process.spawn("test", [&world, body] {
    body();
    world.stop();
  });
  ASSERT_TRUE(world.run(after(world.now(), 3600s)));
}

TEST(World, time_jumps_and_events_of_one_instant_keep_their_order) {
  World world(1);
  std::string order;
  world.plan(2s, [&] { order += 'c'; });
  world.plan(1s, [&] { order += 'a'; });
  world.plan(1s, [&] { order += 'b'; });
  EXPECT_FALSE(world.run(runtime::k_never));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(world.now(), after(k_birth, 2s));
}

TEST(World, a_limit_ends_a_run_before_what_lies_behind_it) {
  World world(1);
  bool happened = false;
  world.plan(10s, [&] { happened = true; });
  EXPECT_FALSE(world.run(after(k_birth, 5s)));
  EXPECT_FALSE(happened);
}

TEST(World, disk_and_network_keep_the_contract_of_every_env) {
  World world(2);
  SimDisk disk(world.random_for("disk"));
  Process process(world, disk, "p", 1, 0);
  ASSERT_TRUE(disk.make_directories("/data/contract").ok());
  runtime::check_disk_contract(disk, "/data/contract");
  run_in(world, process, [&] { runtime::check_network_contract(process.env(), "127.0.0.1:0"); });
  ASSERT_TRUE(disk.make_directories("/data/files").ok());
  run_in(world, process, [&] { runtime::check_files_contract(process.env(), "/data/files"); });
}

TEST(World, chance_differs_between_incarnations_and_repeats_with_the_seed) {
  const auto draw = [](uint64_t seed, uint64_t incarnation) {
    World world(seed);
    SimDisk disk(world.random_for("disk"));
    Process process(world, disk, "p", incarnation, 0);
    return process.env().random_u64();
  };
  EXPECT_EQ(draw(1, 1), draw(1, 1));
  EXPECT_NE(draw(1, 1), draw(1, 2));
  EXPECT_NE(draw(1, 1), draw(2, 1));
}

TEST(World, what_was_synced_survives_every_crash_and_what_was_not_may_not) {
  bool lost = false, torn = false, kept = false;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SimDisk disk{Random(seed)};
    auto file = disk.open("/data/log", OpenMode::create).value();
    ASSERT_TRUE(file->append("synced").ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_directory("/data").ok());
    ASSERT_TRUE(file->append("unsynced").ok());
    disk.die();
    EXPECT_FALSE(file->append("late").ok());
    disk.revive();
    const std::string found = disk.open("/data/log", OpenMode::read).value()->read_at(0, 100).value();
    ASSERT_EQ(found.substr(0, 6), "synced");
    lost |= found == "synced";
    kept |= found == "syncedunsynced";
    torn |= found.size() > 6 && found.size() < 14;
  }
  EXPECT_TRUE(lost && torn && kept);
}

TEST(World, names_are_durable_only_after_their_directory_was_synced) {
  bool lost = false, kept = false;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SimDisk disk{Random(seed)};
    auto file = disk.open("/data/new", OpenMode::create).value();
    ASSERT_TRUE(file->append("whole").ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_directory("/data").ok());
    ASSERT_TRUE(disk.rename("/data/new", "/data/old").ok());
    disk.die();
    disk.revive();
    ASSERT_NE(disk.exists("/data/new"), disk.exists("/data/old"));  // A rename is whole.
    (disk.exists("/data/old") ? kept : lost) = true;
  }
  EXPECT_TRUE(lost && kept);
}

TEST(World, a_process_dies_at_the_operation_it_was_told_to) {
  World world(3);
  SimDisk disk(world.random_for("disk"));
  auto process = std::make_unique<Process>(world, disk, "p", 1, 0);
  bool died = false;
  disk.crash_at(3, SimDisk::CrashMoment::before, [&] {
    died = true;
    world.plan(0s, [&] {
      process->kill();
      world.stop();
    });
  });
  bool answered = false;
  process->spawn("writer", [&] {
    auto lane = process->env().make_lane("lane", 1);
    lane->run([&] {
      auto file = disk.open("/data/log", OpenMode::create).value();
      EXPECT_TRUE(file->append("1").ok());
      EXPECT_FALSE(file->append("2").ok());
      EXPECT_FALSE(file->sync().ok());
    });
    answered = true;
  });
  EXPECT_TRUE(world.run(after(world.now(), 10s)));
  EXPECT_TRUE(died);
  EXPECT_FALSE(answered);
}

TEST(World, a_lane_of_one_thread_keeps_order_and_hides_results_until_their_time) {
  World world(4);
  SimDisk disk(world.random_for("disk"));
  Process process(world, disk, "p", 1, 0);
  std::string order;
  run_in(world, process, [&] {
    auto lane = process.env().make_lane("lane", 1);
    runtime::Nursery nursery(world.scheduler());
    for (const char name : {'a', 'b', 'c'}) {
      nursery.spawn("worker", [&, name] {
        lane->run([&] { order += name; });
        order += static_cast<char>(name - 'a' + 'A');
      });
    }
    Call call;
    ASSERT_TRUE(nursery.join(call).ok());
  });
  EXPECT_EQ(order, "aAbBcC");
}

TEST(World, a_full_disk_says_so_and_recovers) {
  SimDisk disk{Random(5)};
  auto file = disk.open("/data/log", OpenMode::create).value();
  disk.set_full(true);
  EXPECT_EQ(file->append("bytes").code(), Code::no_space);
  disk.set_full(false);
  EXPECT_TRUE(file->append("bytes").ok());
}

}  // namespace
}  // namespace hongyan::sim
