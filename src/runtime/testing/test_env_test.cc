// Goal: TestEnv keeps the promises of Env and is deterministic. Method: the contract all Envs
// share, and runs compared.
#include "runtime/testing/test_env.h"

#include <gtest/gtest.h>

#include "runtime/coro/sync.h"
#include "runtime/testing/env_contract.h"

namespace hongyan::runtime {
namespace {

TEST(TestEnv, its_disk_keeps_the_contract) {
  TestEnv env;
  EXPECT_TRUE(env.disk().make_directories("/data").ok());
  check_disk_contract(env.disk(), "/data");
  EXPECT_TRUE(env.disk().make_directories("relative/path").ok());
  check_disk_contract(env.disk(), "relative/path");
  EXPECT_TRUE(env.disk().make_directories("/files").ok());
  run_in_coroutine(env, [&] { check_files_contract(env, "/files"); });
}

TEST(TestEnv, its_network_keeps_the_contract) {
  TestEnv env;
  run_in_coroutine(env, [&] { check_network_contract(env, "127.0.0.1:0"); });
  EXPECT_EQ(env.scheduler().live(), 0u);
}

TEST(TestEnv, one_seed_is_one_run) {
  const auto run = [](uint64_t seed) {
    TestEnv env(seed);
    std::string seen;
    run_in_coroutine(env, [&] {
      Call call = env.call();
      Nursery nursery(env.scheduler());
      for (int i = 0; i < 50; ++i) {
        nursery.spawn("x", [&, i] {
          Call mine = env.call();
          EXPECT_TRUE(sleep(mine, Duration(env.random_u64() % 1'000'000)).ok());
          seen +=
              std::to_string(i) + " " + std::to_string(env.now().time_since_epoch().count()) + "\n";
        });
      }
      EXPECT_TRUE(nursery.join(call).ok());
    });
    return seen + env.random_bytes(13);
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(TestEnv, time_jumps_when_everybody_waits_and_utc_follows) {
  TestEnv env;
  const int64_t utc = env.utc_ms();
  run_in_coroutine(env, [&] {
    Call call = env.call();
    EXPECT_TRUE(sleep(call, 30s).ok());
  });
  EXPECT_EQ(env.utc_ms() - utc, 30'000);
  env.jump_utc_ms(-5'000);
  EXPECT_EQ(env.utc_ms() - utc, 25'000);
  env.advance(1s);
  run_in_coroutine(env, [&] { EXPECT_EQ(env.utc_ms() - utc, 26'000); });
}

TEST(TestEnv, a_lane_runs_its_work_at_once_and_then_lets_the_others_run) {
  TestEnv env;
  auto lane = env.make_lane("lane", 1);
  std::string seen;
  run_in_coroutine(env, [&] {
    Call call = env.call();
    Nursery nursery(env.scheduler());
    nursery.spawn("other", [&] { seen += "other "; });
    lane->run([&] {
      volatile char deep[1024 * 1024];  // Far more than a coroutine has.
      for (size_t i = 0; i < sizeof(deep); i += 1024) deep[i] = 1;
      lane->run([&] { seen += "nested "; });
      seen += "work ";
    });
    seen += "back";
    EXPECT_TRUE(nursery.join(call).ok());
  });
  EXPECT_EQ(seen, "nested work other back");
}

TEST(TestEnv, the_log_is_kept) {
  TestEnv env;
  env.log().warning("disk {} % full", 93);
  EXPECT_EQ(env.log().lines(), std::vector<std::string>{"warning disk 93 % full"});
  EXPECT_TRUE(env.log().contains("93 %"));
}

TEST(TestEnvDeathTest, waiting_for_ever_is_found) {
  TestEnv env;
  EXPECT_DEATH(run_in_coroutine(env, [&] { (void)env.scheduler().park(k_never); }),
               "something_can_still_happen");
}

}  // namespace
}  // namespace hongyan::runtime
