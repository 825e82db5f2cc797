// RocksDB under crashes and full disks: a child process that is killed with SIGKILL at its n-th answer, and a file
// system that refuses to grow.
#include "store/engine/rocks_backend.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <signal.h>
#include <stdio.h>

#include <atomic>
#include <filesystem>

#include "base/bytes.h"
#include "runtime/counters/counters.h"
#include "runtime/testing/run_in_coroutine.h"
#include "store/engine/open.h"
#include "store/engine/testing/real_env.h"
#include "store/engine/testing/temporary_directory.h"

namespace hongyan::store {
namespace {

constexpr const char* k_directory_variable = "HONGYAN_STORE_CRASH_TEST";
constexpr int k_senders = 8;

OpenOptions options_in(const std::string& directory) {
  return {.directory = directory, .tables = {{.id = 1, .name = "t"}}, .engine = EngineKind::rocks, .rocks = {.block_cache_bytes = 1 << 20, .memtable_bytes = 64 << 10}, .log = {}};
}

EntityId entity_of(int sender) { return {1, "sender" + std::to_string(sender)}; }

std::string number(uint64_t value) {
  std::string out;
  put_u64(out, value);
  return out;
}

Commit append_to(int sender) {
  return {.entity = entity_of(sender),
          .mutations = {{.kind = Mutation::Kind::put, .key = "log", .value = std::string(200, 'x'), .stamp = Mutation::Stamp::key},
                        {.kind = Mutation::Kind::add, .key = "n", .number = 1}},
          .mark_work = static_cast<WorkTag>(1)};
}

// The child: appends for ever and prints "sender version" after each answer. Run by the test below only.
TEST(RocksCrashChild, DISABLED_appends_until_it_is_killed) {
  const char* directory = getenv(k_directory_variable);
  ASSERT_NE(directory, nullptr);
  const auto env = real_env(std::string(directory) + ".log");
  auto store = open_store(*env, options_in(directory));
  ASSERT_TRUE(store.ok()) << store.status().detail();
  runtime::run_in_coroutine(*env, [&] {
    runtime::Nursery nursery(env->scheduler());
    for (int sender = 0; sender < k_senders; ++sender) {
      nursery.spawn("sender", [&, sender] {
        for (;;) {
          Call call = runtime::background_call(*env, std::chrono::seconds(60));
          const auto reply = (*store)->shard().commit(call, append_to(sender));
          CHECK(reply.ok() && reply->committed);
          printf("ack %d %llu\n", sender, static_cast<unsigned long long>(reply->header.version));
          fflush(stdout);
        }
      });
    }
    Call call;
    (void)nursery.join(call).ok();
  });
}

TEST(RocksCrash, everything_answered_before_a_kill_is_there_and_nothing_is_half_done) {
  TemporaryDirectory root;
  const std::string directory = root.path() + "/store";
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<uint64_t> acked(k_senders, 0);
  for (const int kill_after : {1, 30, 7, 400, 90, 1500}) {
    // The shell prints its process id, which becomes the child's.
    const std::string command = "echo pid $$; " + std::string(k_directory_variable) + "='" + directory + "' exec '" + program +
                                "' --gtest_also_run_disabled_tests --gtest_filter='RocksCrashChild.*' 2>&1";
    FILE* child = popen(command.c_str(), "r");
    ASSERT_NE(child, nullptr);
    long pid = 0;
    int answers = 0;
    char line[256];
    std::string others;
    while (fgets(line, sizeof(line), child) != nullptr) {
      int sender = 0;
      unsigned long long version = 0;
      if (sscanf(line, "pid %ld", &pid) == 1) continue;
      if (sscanf(line, "ack %d %llu", &sender, &version) != 2) {
        others += line;
        continue;
      }
      ASSERT_TRUE(sender >= 0 && sender < k_senders);
      acked[static_cast<size_t>(sender)] = std::max<uint64_t>(acked[static_cast<size_t>(sender)], version);
      if (++answers != kill_after) continue;
      ASSERT_GT(pid, 1);
      ASSERT_EQ(kill(static_cast<pid_t>(pid), SIGKILL), 0);
    }
    pclose(child);
    ASSERT_GE(answers, kill_after) << others;

    const auto env = real_env(root.path() + "/log.txt");
    auto store = open_store(*env, options_in(directory));
    ASSERT_TRUE(store.ok()) << store.status().detail();
    runtime::run_in_coroutine(*env, [&] {
      Call call = runtime::background_call(*env, std::chrono::seconds(60));
      for (int sender = 0; sender < k_senders; ++sender) {
        const auto reply = (*store)->shard().read(call, {.entity = entity_of(sender), .from = "n"});
        ASSERT_TRUE(reply.ok()) << reply.status().detail();
        const uint64_t version = reply->header.version;
        ASSERT_GE(version, acked[static_cast<size_t>(sender)]);
        if (version == 0) continue;
        EXPECT_EQ(reply->rows.at(0).value, number(version));
        uint64_t rows = 0;
        Read page{.entity = entity_of(sender), .from = "log", .to = "n"};
        for (bool more = true; more;) {
          const auto part = (*store)->shard().read(call, page);
          ASSERT_TRUE(part.ok());
          for (const Row& row : part->rows) EXPECT_EQ(row.key, "log" + number(++rows));
          more = part->more;
          if (more) page.from = part->rows.back().key + '\0';
        }
        EXPECT_EQ(rows, version);
      }
    });
  }
}

// Lets files grow by so many bytes in all.
class SmallFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit SmallFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base) : FileSystemWrapper(base) {}
  const char* Name() const override { return "SmallFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override {
    return wrapped(target()->NewWritableFile(name, options, result, debug), result);
  }
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override {
    return wrapped(target()->ReopenWritableFile(name, options, result, debug), result);
  }

  std::atomic<int64_t> room{INT64_MAX};
  std::atomic<bool> syncs_fail{false};

 private:
  class SmallFile : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    SmallFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, SmallFileSystem& system)
        : FSWritableFileOwnerWrapper(std::move(file)), system_(system) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (system_.room.fetch_sub(static_cast<int64_t>(data.size())) < static_cast<int64_t>(data.size())) {
        return rocksdb::IOStatus::NoSpace("No space left on device");
      }
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo&,
                             rocksdb::IODebugContext* debug) override {
      return Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
      if (system_.syncs_fail) return rocksdb::IOStatus::IOError("the disk failed");
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }

   private:
    SmallFileSystem& system_;
  };

  rocksdb::IOStatus wrapped(rocksdb::IOStatus status, std::unique_ptr<rocksdb::FSWritableFile>* file) {
    if (status.ok()) *file = std::make_unique<SmallFile>(std::move(*file), *this);
    return status;
  }
};

class RocksDiskTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void TearDown() override { store_.reset(); }
  void open() {
    store_.reset();
    OpenOptions options = options_in(root_.path() + "/store");
    options.rocks.env = rocks_env_.get();
    options.rocks.reserve_bytes = reserve_bytes_;
    auto opened = open_store(*env_, options);
    ASSERT_TRUE(opened.ok()) << opened.status().detail();
    store_ = std::move(*opened);
  }
  Code append() {
    Call call = runtime::background_call(*env_, std::chrono::seconds(60));
    const auto reply = store_->shard().commit(call, append_to(0));
    if (reply.ok()) ++acked_;
    return reply.code();
  }
  uint64_t version() {
    Call call = runtime::background_call(*env_, std::chrono::seconds(60));
    const auto reply = store_->shard().read(call, {.entity = entity_of(0), .from = "n"});
    EXPECT_TRUE(reply.ok()) << reply.status().detail();
    if (!reply.ok() || reply->rows.empty()) return 0;
    EXPECT_EQ(reply->rows[0].value, number(reply->header.version));
    return reply->header.version;
  }

  TemporaryDirectory root_;
  std::shared_ptr<SmallFileSystem> files_ = std::make_shared<SmallFileSystem>(rocksdb::FileSystem::Default());
  std::unique_ptr<rocksdb::Env> rocks_env_ = rocksdb::NewCompositeEnv(files_);
  std::unique_ptr<Env> env_ = real_env(root_.path() + "/log.txt");
  std::unique_ptr<OpenStore> store_;
  uint64_t acked_ = 0;
  size_t reserve_bytes_ = 0;  // The machine's own disk has no part in these tests.
};

TEST_F(RocksDiskTest, on_a_full_disk_commits_fail_with_no_space_reads_work_and_all_is_well_when_there_is_room) {
  runtime::run_in_coroutine(*env_, [&] {
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 50; ++i) ASSERT_EQ(append(), Code::ok);
      files_->room = 10'000;
      int appended = 0;
      Code code = Code::ok;
      while (code == Code::ok && ++appended < 1000) code = append();
      ASSERT_EQ(code, Code::no_space);
      EXPECT_EQ(store_->shard().health().code(), Code::no_space);
      for (int i = 0; i < 20; ++i) EXPECT_EQ(append(), Code::no_space);
      EXPECT_EQ(version(), acked_);
      files_->room = INT64_MAX;
      // The next attempt is a quarter of a second away at most.
      for (int i = 0; i < 400 && append() != Code::ok; ++i) {
        Call pause = runtime::background_call(*env_, std::chrono::seconds(60));
        ASSERT_TRUE(runtime::sleep(pause, std::chrono::milliseconds(25)).ok());
      }
      EXPECT_TRUE(store_->shard().health().ok());
      EXPECT_EQ(version(), acked_);
    }
  });
  open();
  runtime::run_in_coroutine(*env_, [&] { EXPECT_EQ(version(), acked_); });
}

// With nothing to flush RocksDB keeps the log in which a write failed, and would end the process at the next.
TEST_F(RocksDiskTest, a_disk_that_is_full_at_the_first_write_stops_commits_until_the_store_is_opened_again) {
  runtime::run_in_coroutine(*env_, [&] { ASSERT_EQ(append(), Code::ok); });
  open();
  runtime::run_in_coroutine(*env_, [&] {
    files_->room = 0;
    EXPECT_EQ(append(), Code::no_space);
    files_->room = INT64_MAX;
    for (int i = 0; i < 3; ++i) {
      Call pause = runtime::background_call(*env_, std::chrono::seconds(60));
      ASSERT_TRUE(runtime::sleep(pause, std::chrono::milliseconds(300)).ok());
      EXPECT_EQ(append(), Code::no_space);
    }
    EXPECT_EQ(version(), acked_);
  });
  open();
  runtime::run_in_coroutine(*env_, [&] {
    EXPECT_GE(version(), acked_);
    EXPECT_EQ(append(), Code::ok);
  });
}

TEST_F(RocksDiskTest, commits_are_refused_while_less_than_the_reserve_is_free) {
  runtime::run_in_coroutine(*env_, [&] { ASSERT_EQ(append(), Code::ok); });
  reserve_bytes_ = size_t{1} << 62;
  open();
  runtime::run_in_coroutine(*env_, [&] {
    EXPECT_EQ(append(), Code::no_space);
    EXPECT_EQ(version(), acked_);
  });
}

TEST_F(RocksDiskTest, a_sync_that_fails_stops_commits_until_the_store_is_opened_again) {
  runtime::run_in_coroutine(*env_, [&] {
    for (int i = 0; i < 50; ++i) ASSERT_EQ(append(), Code::ok);
    files_->syncs_fail = true;
    EXPECT_EQ(append(), Code::io);
    EXPECT_EQ(append(), Code::read_only);
    files_->syncs_fail = false;
    EXPECT_EQ(append(), Code::read_only);
    EXPECT_EQ(version(), acked_);
  });
  open();
  runtime::run_in_coroutine(*env_, [&] {
    // The failed one was never answered as done: it may be there, whole.
    EXPECT_GE(version(), acked_);
    EXPECT_LE(version(), acked_ + 1);
    ASSERT_EQ(append(), Code::ok);
  });
}

// Reads run on the loop's thread unless the disk is needed.
TEST_F(RocksDiskTest, reads_of_what_memory_holds_do_not_leave_the_loop_and_others_do) {
  runtime::run_in_coroutine(*env_, [&] {
    for (int i = 0; i < 100; ++i) {
      Call call = runtime::background_call(*env_, std::chrono::seconds(60));
      std::vector<Commit> commits;
      for (int sender = 0; sender < 10; ++sender) commits.push_back(append_to(i * 10 + sender));
      for (const auto& reply : store_->shard().commit_many(call, commits, Order::any)) ASSERT_TRUE(reply.ok());
    }
  });
  open();
  const auto from_disk = [&] { return env_->counters().counter("hongyan_store_reads_from_disk", "").value(); };
  runtime::run_in_coroutine(*env_, [&] {
    EXPECT_EQ(from_disk(), 0);
    EXPECT_EQ(version(), 1u);  // Cold.
    EXPECT_EQ(from_disk(), 1);
    EXPECT_EQ(version(), 1u);  // Warm.
    EXPECT_EQ(from_disk(), 1);
    // Many at once, cold and warm, each in its place.
    std::vector<Read> reads;
    for (int sender = 0; sender < 1000; ++sender) reads.push_back({.entity = entity_of(sender), .from = "log", .to = "m"});
    for (int round = 0; round < 2; ++round) {
      Call call = runtime::background_call(*env_, std::chrono::seconds(60));
      const auto replies = store_->shard().read_many(call, reads);
      ASSERT_EQ(replies.size(), 1000u);
      for (const auto& reply : replies) {
        ASSERT_TRUE(reply.ok()) << reply.status().detail();
        ASSERT_EQ(reply->rows.size(), 1u);
        EXPECT_EQ(reply->rows[0].key, "log" + number(1));
      }
    }
    EXPECT_GT(from_disk(), 2);
    EXPECT_LT(from_disk(), 1000);
  });
}

}  // namespace
}  // namespace hongyan::store
