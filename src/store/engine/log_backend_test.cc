// Crashes, damage and full disks of the log engine. The workload appends to one entity, so that after any crash the
// version says what must be there: every row up to it, the number row equal to it, and no trace of anything above.
#include "store/engine/log_backend.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"
#include "store/engine/testing/fault_disk.h"
#include "store/engine/log_record.h"
#include "store/engine/open.h"

namespace hongyan::store {
namespace {

// A TestEnv on such a disk, which outlives it.
class FaultEnv : public runtime::TestEnv {
 public:
  explicit FaultEnv(FaultDisk& disk, uint64_t seed = 1) : TestEnv(seed), fault_disk_(disk) {}
  runtime::Disk& disk() override { return fault_disk_; }

 private:
  FaultDisk& fault_disk_;
};

const EntityId k_entity{.table = 1, .id = "e"};
constexpr uint64_t k_commits = 12;

Result<std::unique_ptr<OpenStore>> open_on(FaultEnv& env, size_t log_bytes_max = 700) {
  OpenOptions options{.directory = "/data", .tables = {{.id = 1, .name = "t"}}, .engine = EngineKind::log, .rocks = {}, .log = {}};
  options.log.log_bytes_max = log_bytes_max;
  return open_store(env, std::move(options));
}

std::string row_of(uint64_t version) { return "row" + std::to_string(version) + std::string(version * 5 % 37, '.'); }

Result<CommitReply> append(FaultEnv& env, Store& store, uint64_t next) {
  Call call = env.call();
  return store.commit(call, {.entity = k_entity,
                             .mutations = {{.kind = Mutation::Kind::put, .key = "r", .value = row_of(next), .stamp = Mutation::Stamp::key},
                                           {.kind = Mutation::Kind::add, .key = "n", .number = 1}},
                             .mark_work = 1});
}

// Appends until the disk gives up; returns how many were answered.
uint64_t work(FaultEnv& env, uint64_t have) {
  uint64_t acked = have;
  auto opened = open_on(env);
  if (!opened.ok()) return acked;
  runtime::run_in_coroutine(env, [&] {
    while (acked < have + k_commits && append(env, (*opened)->shard(), acked + 1).ok()) ++acked;
  });
  return acked;
}

// Checks that the store holds exactly its first `version` appends, and returns the version.
uint64_t check(FaultEnv& env) {
  auto opened = open_on(env);
  EXPECT_TRUE(opened.ok()) << opened.status().detail();
  if (!opened.ok()) return 0;
  uint64_t version = 0;
  runtime::run_in_coroutine(env, [&] {
    Call call = env.call();
    Store& store = (*opened)->shard();
    const auto reply = store.read(call, {.entity = k_entity});
    ASSERT_TRUE(reply.ok());
    version = reply->header.version;
    EXPECT_EQ(reply->header.position, version);
    ASSERT_EQ(reply->rows.size(), version == 0 ? 0 : version + 1);
    if (version == 0) return;
    EXPECT_EQ(*Reader(reply->rows[0].value).u64(), version);
    for (uint64_t i = 1; i <= version; ++i) EXPECT_EQ(reply->rows[i].value, row_of(i));
    const auto marks = store.scan_work(call, 1, nullptr, 10);
    ASSERT_EQ(marks->size(), 1u);
    EXPECT_EQ(marks->front().marked_at, version);
  });
  return version;
}

void crash_everywhere(FaultDisk::Unsynced unsynced, size_t torn_step) {
  size_t crashes = 0;
  for (size_t change = 1;; ++change) {
    bool survived = false;
    // Each tear of the append at this place, until the tear is longer than the append itself.
    for (size_t torn = 0; torn <= 400; torn += torn_step) {
      FaultDisk disk;
      uint64_t acked = 0;
      {
        FaultEnv env(disk);
        disk.die_at(change, torn);
        acked = work(env, 0);
      }
      survived = !disk.dead();
      if (survived) break;
      ++crashes;
      disk.restart(unsynced);
      FaultEnv again(disk, 2);
      const uint64_t version = check(again);
      ASSERT_GE(version, acked) << "change " << change << " torn " << torn;
      ASSERT_LE(version, acked + 1) << "change " << change << " torn " << torn;
      // And it goes on from there.
      FaultEnv third(disk, 3);
      ASSERT_EQ(work(third, version), version + k_commits);
      FaultEnv fourth(disk, 4);
      ASSERT_EQ(check(fourth), version + k_commits);
    }
    if (survived) break;
  }
  EXPECT_GT(crashes, 50u);
}

TEST(LogBackendCrash, what_was_answered_survives_a_crash_that_loses_what_was_not_synced) {
  crash_everywhere(FaultDisk::Unsynced::lost, 401);
}

TEST(LogBackendCrash, what_was_answered_survives_a_crash_that_tears_the_last_write_at_any_byte) {
  crash_everywhere(FaultDisk::Unsynced::kept, 3);
}

TEST(LogBackendCrash, a_second_crash_while_opening_loses_nothing) {
  size_t crashes = 0;
  for (size_t change = 1; change < 200; ++change) {
    FaultDisk disk;
    uint64_t acked = 0;
    {
      FaultEnv env(disk);
      disk.die_at(40, 11);
      acked = work(env, 0);
      ASSERT_TRUE(disk.dead());
    }
    disk.restart(FaultDisk::Unsynced::kept);
    {
      FaultEnv env(disk, 2);
      disk.die_at(change, 7);
      (void)open_on(env).ok();
      if (!disk.dead()) break;
      ++crashes;
    }
    disk.restart(FaultDisk::Unsynced::lost);
    FaultEnv env(disk, 3);
    ASSERT_GE(check(env), acked) << change;
  }
  EXPECT_GE(crashes, 4u);
}

// A log of ten records, no checkpoint.
FaultDisk written_disk() {
  FaultDisk disk;
  FaultEnv env(disk);
  auto opened = open_on(env, 1 << 20);
  runtime::run_in_coroutine(env, [&] {
    for (uint64_t i = 1; i <= 10; ++i) ASSERT_TRUE(append(env, (*opened)->shard(), i).ok());
  });
  return disk;
}

TEST(LogBackendDamage, a_flipped_bit_anywhere_is_refused_or_costs_the_last_record_only) {
  size_t refused = 0, cut = 0;
  const size_t bytes = written_disk().size("/data/log/log.1");
  for (size_t at = 0; at < bytes; ++at) {
    FaultDisk disk = written_disk();
    disk.content("/data/log/log.1")[at] ^= static_cast<char>(1 << at % 8);
    FaultEnv env(disk, 2);
    auto opened = open_on(env);
    if (!opened.ok()) {
      EXPECT_TRUE(opened.code() == Code::corrupt || opened.code() == Code::unsupported);
      ++refused;
      continue;
    }
    opened->reset();
    EXPECT_EQ(check(env), 9u) << at;  // Whether the crash tore it or it rotted can't be told.
    ++cut;
  }
  EXPECT_GT(refused, cut * 5);
  EXPECT_GT(cut, 0u);
}

TEST(LogBackendDamage, a_missing_log_or_a_damaged_checkpoint_is_refused) {
  FaultDisk disk;
  {
    FaultEnv env(disk);
    ASSERT_EQ(work(env, 0), k_commits);
  }
  {
    FaultEnv env(disk, 2);
    ASSERT_EQ(work(env, k_commits), 2 * k_commits);
  }
  size_t checkpoints = 0;
  for (const std::string& path : disk.paths()) {
    if (path.find("checkpoint.") == std::string::npos) continue;
    ++checkpoints;
    for (size_t at = 0; at < disk.size(path); at += 3) {
      disk.content(path)[at] ^= 4;
      FaultEnv env(disk, 3);
      EXPECT_FALSE(open_on(env).ok()) << path << " " << at;
      disk.content(path)[at] ^= 4;
    }
    const std::string whole = disk.content(path);
    disk.content(path).resize(whole.size() - 16);  // Without its end.
    FaultEnv env(disk, 3);
    EXPECT_EQ(open_on(env).code(), Code::corrupt);
    disk.content(path) = whole;
  }
  EXPECT_EQ(checkpoints, 1u);
  FaultDisk gap = written_disk();
  {
    FaultEnv env(gap, 2);
    (void)work(env, 10);
  }
  std::string oldest;
  for (const std::string& path : gap.paths()) {
    if (path == "/data/log/log.1") oldest = path;
  }
  if (!oldest.empty()) {
    ASSERT_TRUE(gap.remove(oldest).ok());
    FaultEnv env(gap, 3);
    EXPECT_EQ(open_on(env).code(), Code::corrupt);
  }
}

TEST(LogBackendDamage, a_row_made_to_look_like_a_record_does_not_turn_a_torn_end_into_damage) {
  std::string fake;
  put_record(fake, 0x1234, 2, "looks like a record");
  FaultDisk disk;
  {
    FaultEnv env(disk);
    auto opened = open_on(env, 1 << 20);
    runtime::run_in_coroutine(env, [&] {
      Call call = env.call();
      ASSERT_TRUE((*opened)->shard().commit(call, {.entity = k_entity,
                                                   .mutations = {{.kind = Mutation::Kind::put, .key = "x", .value = fake + fake}}}).ok());
    });
  }
  std::string& log = disk.content("/data/log/log.1");
  log.pop_back();
  FaultEnv env(disk, 2);
  EXPECT_TRUE(open_on(env).ok());
}

TEST(LogBackendFull, commits_fail_whole_reads_work_and_commits_do_again_when_there_is_room) {
  FaultDisk disk;
  FaultEnv env(disk);
  auto opened = open_on(env);
  ASSERT_TRUE(opened.ok());
  Shard& store = (*opened)->shard();
  runtime::run_in_coroutine(env, [&] {
    for (uint64_t i = 1; i <= 5; ++i) ASSERT_TRUE(append(env, store, i).ok());
    disk.leave_room(50);
    EXPECT_EQ(append(env, store, 6).code(), Code::no_space);
    EXPECT_EQ(store.health().code(), Code::no_space);
    EXPECT_EQ(append(env, store, 6).code(), Code::no_space);
    Call call = env.call();
    EXPECT_EQ(store.read(call, {.entity = k_entity})->rows.size(), 6u);
    disk.leave_room(SIZE_MAX);
    Call pause = env.call();
    ASSERT_TRUE(runtime::sleep(pause, std::chrono::seconds(1)).ok());
    for (uint64_t i = 6; i <= 40; ++i) ASSERT_TRUE(append(env, store, i).ok());
    EXPECT_TRUE(store.health().ok());
  });
  opened->reset();
  EXPECT_EQ(check(env), 40u);
}

TEST(LogBackendFull, a_checkpoint_that_does_not_fit_only_leaves_the_log_long) {
  FaultDisk disk;
  {
    FaultEnv env(disk);
    auto opened = open_on(env, 300);
    runtime::run_in_coroutine(env, [&] {
      for (uint64_t i = 1; i <= 30; ++i) {
        disk.leave_room(250);  // One record fits, the checkpoint soon does not.
        ASSERT_TRUE(append(env, (*opened)->shard(), i).ok()) << i;
      }
    });
    disk.leave_room(SIZE_MAX);
  }
  FaultEnv env(disk, 2);
  EXPECT_EQ(check(env), 30u);
}

TEST(LogBackendFailure, after_an_error_of_the_disk_the_store_is_read_only_until_it_is_opened_again) {
  FaultDisk disk;
  FaultEnv env(disk);
  auto opened = open_on(env);
  Shard& store = (*opened)->shard();
  runtime::run_in_coroutine(env, [&] {
    ASSERT_TRUE(append(env, store, 1).ok());
    disk.fail_with(Code::io);
    EXPECT_EQ(append(env, store, 2).code(), Code::io);
    disk.fail_with(Code::ok);
    EXPECT_EQ(append(env, store, 2).code(), Code::read_only);
    EXPECT_EQ(store.health().code(), Code::read_only);
    EXPECT_TRUE(env.log().contains("commits fail"));
    Call call = env.call();
    EXPECT_EQ(store.read(call, {.entity = k_entity})->header.version, 1u);
  });
  opened->reset();
  EXPECT_EQ(check(env), 1u);
  EXPECT_EQ(work(env, 1), 1 + k_commits);
}

TEST(LogBackendFormat, a_newer_format_is_refused_by_name) {
  FaultDisk disk = written_disk();
  disk.content("/data/log/log.1")[7] = '2';
  FaultEnv env(disk, 2);
  EXPECT_EQ(open_on(env).code(), Code::unsupported);
}

}  // namespace
}  // namespace hongyan::store
