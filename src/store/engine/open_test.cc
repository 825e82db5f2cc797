// What a data directory promises: one owner, a format that is refused when it is newer, backups that open, and new
// incarnations after a restore. On both engines, the log engine on a disk in memory, RocksDB on the machine's.
#include "store/engine/open.h"

#include <gtest/gtest.h>

#include <set>

#include "base/bytes.h"
#include "runtime/counters/counters.h"
#include "runtime/testing/run_in_coroutine.h"
#include "store/engine/testing/real_env.h"
#include "store/engine/testing/temporary_directory.h"

namespace hongyan::store {
namespace {

// The real Env, whose disk RocksDB shares.
class OpenTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  OpenOptions options(const std::string& name) const {
    return {.directory = root_.path() + "/" + name, .tables = {{.id = 1, .name = "t"}}, .engine = GetParam(), .rocks = {.block_cache_bytes = 1 << 20}, .log = {}};
  }
  std::unique_ptr<OpenStore> open(const std::string& name) {
    auto opened = open_store(*env_, options(name));
    EXPECT_TRUE(opened.ok()) << opened.status().detail();
    return opened.ok() ? std::move(*opened) : nullptr;
  }
  Header put(OpenStore& store, const std::string& id) {
    Header header;
    runtime::run_in_coroutine(*env_, [&] {
      Call call = runtime::background_call(*env_, std::chrono::seconds(20));
      const auto reply = store.shard().commit(
          call, {.entity = {1, id}, .mutations = {{.kind = Mutation::Kind::put, .key = "k", .value = id}}, .mark_work = 7});
      ASSERT_TRUE(reply.ok()) << reply.status().detail();
      header = reply->header;
    });
    return header;
  }
  ReadReply read(OpenStore& store, const std::string& id) {
    ReadReply found;
    runtime::run_in_coroutine(*env_, [&] {
      Call call = runtime::background_call(*env_, std::chrono::seconds(20));
      const auto reply = store.shard().read(call, {.entity = {1, id}});
      ASSERT_TRUE(reply.ok()) << reply.status().detail();
      found = *reply;
    });
    return found;
  }
  std::string path(const std::string& name) const { return root_.path() + "/" + name; }
  void write_file(const std::string& file, std::string_view content) {
    auto opened = env_->disk().open(file, runtime::OpenMode::create);
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE((*opened)->append(content).ok());
  }

  TemporaryDirectory root_;
  std::unique_ptr<Env> env_ = real_env(root_.path() + "/log.txt");
};

TEST_P(OpenTest, a_second_owner_is_refused_with_the_name_of_the_directory) {
  auto first = open("a");
  const auto second = open_store(*env_, options("a"));
  EXPECT_EQ(second.code(), Code::busy);
  EXPECT_NE(second.status().detail().find(path("a")), std::string::npos);
  first.reset();
  EXPECT_NE(open("a"), nullptr);
}

TEST_P(OpenTest, data_marks_and_incarnations_are_there_after_reopening) {
  auto store = open("a");
  const Header before = put(*store, "x");
  store = nullptr;
  store = open("a");
  const ReadReply reply = read(*store, "x");
  EXPECT_EQ(reply.header.incarnation, before.incarnation);
  EXPECT_EQ(reply.rows.at(0).value, "x");
}

TEST_P(OpenTest, a_newer_format_another_engine_and_foreign_files_are_refused_and_left_alone) {
  open("a").reset();
  write_file(path("a") + "/FORMAT", "hongyan-store 2 rocks\n");
  const auto newer = open_store(*env_, options("a"));
  EXPECT_EQ(newer.code(), Code::unsupported);
  EXPECT_NE(newer.status().detail().find("hongyan-store 2 rocks"), std::string::npos);
  open("b").reset();
  OpenOptions other = options("b");
  other.engine = GetParam() == EngineKind::log ? EngineKind::rocks : EngineKind::log;
  EXPECT_EQ(open_store(*env_, other).code(), Code::unsupported);
  ASSERT_TRUE(env_->disk().make_directories(path("c")).ok());
  write_file(path("c") + "/letters.txt", "private");
  EXPECT_EQ(open_store(*env_, options("c")).code(), Code::unsupported);
  EXPECT_FALSE(env_->disk().exists(path("c") + "/FORMAT"));
}

TEST_P(OpenTest, a_backup_made_while_the_store_serves_opens_and_holds_what_was_answered_before) {
  auto store = open("a");
  put(*store, "before");
  runtime::run_in_coroutine(*env_, [&] {
    Call call = runtime::background_call(*env_, std::chrono::seconds(20));
    EXPECT_TRUE(backup_store(call, *env_, *store, GetParam(), path("copy")).ok());
    EXPECT_EQ(backup_store(call, *env_, *store, GetParam(), path("copy")).code(), Code::exists);
  });
  put(*store, "after");
  auto copy = open("copy");
  EXPECT_EQ(read(*copy, "before").rows.at(0).value, "before");
  EXPECT_EQ(read(*copy, "before").header.incarnation, read(*store, "before").header.incarnation);
  EXPECT_TRUE(read(*copy, "after").rows.empty());
  put(*copy, "on");
  copy = nullptr;
  copy = open("copy");
  EXPECT_EQ(read(*copy, "on").rows.at(0).value, "on");
  EXPECT_EQ(read(*store, "after").rows.at(0).value, "after");
}

TEST_P(OpenTest, an_unfinished_backup_is_no_store) {
  auto store = open("a");
  put(*store, "x");
  runtime::run_in_coroutine(*env_, [&] {
    Call call = runtime::background_call(*env_, std::chrono::seconds(20));
    ASSERT_TRUE(backup_store(call, *env_, *store, GetParam(), path("copy")).ok());
  });
  ASSERT_TRUE(env_->disk().remove(path("copy") + "/FORMAT").ok());
  EXPECT_EQ(open_store(*env_, options("copy")).code(), Code::unsupported);
}

TEST_P(OpenTest, after_a_restore_every_entity_reports_an_incarnation_it_never_had_and_keeps_it) {
  auto store = open("a");
  const uint64_t first = put(*store, "x").incarnation;
  EXPECT_EQ(mark_restored(*env_, path("a")).code(), Code::busy);
  store.reset();
  EXPECT_EQ(mark_restored(*env_, path("nothing")).code(), Code::not_found);
  std::set<uint64_t> seen = {first};
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(mark_restored(*env_, path("a")).ok());
    store = open("a");
    const ReadReply reply = read(*store, "x");
    EXPECT_TRUE(seen.insert(reply.header.incarnation).second);
    EXPECT_EQ(reply.rows.size(), 1u);
    EXPECT_EQ(put(*store, "x").incarnation, reply.header.incarnation);
    EXPECT_EQ(read(*store, "nobody").header.incarnation, 0u);
    store = nullptr;
    store = open("a");
    EXPECT_EQ(read(*store, "x").header.incarnation, reply.header.incarnation);
    store.reset();
  }
  // And so does a backup of it.
  store = open("a");
  const uint64_t now = read(*store, "x").header.incarnation;
  runtime::run_in_coroutine(*env_, [&] {
    Call call = runtime::background_call(*env_, std::chrono::seconds(20));
    ASSERT_TRUE(backup_store(call, *env_, *store, GetParam(), path("copy")).ok());
  });
  auto copy = open("copy");
  EXPECT_EQ(read(*copy, "x").header.incarnation, now);
  copy.reset();
  write_file(path("copy") + "/restored", "0000000000000001deadbeef\n");
  EXPECT_EQ(open_store(*env_, options("copy")).code(), Code::corrupt);
}

// Commits and reads of many coroutines while lanes work on threads of their own.
TEST_P(OpenTest, senders_and_readers_of_one_loop_share_batches_on_real_threads) {
  auto store = open("a");
  runtime::run_in_coroutine(*env_, [&] {
    runtime::Nursery nursery(env_->scheduler());
    for (int sender = 0; sender < 32; ++sender) {
      nursery.spawn("sender", [&, sender] {
        for (int i = 0; i < 50; ++i) {
          Call call = runtime::background_call(*env_, std::chrono::seconds(60));
          const EntityId entity{1, "e" + std::to_string(sender % 4)};
          const auto reply = store->shard().commit(
              call, {.entity = entity, .mutations = {{.kind = Mutation::Kind::put, .key = "log", .value = "v", .stamp = Mutation::Stamp::key},
                                                     {.kind = Mutation::Kind::add, .key = "n", .number = 1}}});
          ASSERT_TRUE(reply.ok() && reply->committed);
          const auto seen = store->shard().read(call, {.entity = entity, .from = "n"});
          ASSERT_TRUE(seen.ok());
          ASSERT_GE(seen->header.version, reply->header.version);
          ASSERT_EQ(seen->rows.at(0).value, [&] { std::string n; put_u64(n, seen->header.version); return n; }());
        }
      });
    }
    Call call = runtime::background_call(*env_, std::chrono::seconds(60));
    ASSERT_TRUE(nursery.join(call).ok());
  });
  EXPECT_EQ(read(*store, "e0").header.version, 400u);
  EXPECT_LT(env_->counters().counter("hongyan_store_batches", "").value(), 1600);
}

INSTANTIATE_TEST_SUITE_P(Engines, OpenTest, ::testing::Values(EngineKind::log, EngineKind::rocks),
                         [](const auto& info) { return info.param == EngineKind::log ? "log" : "rocks"; });

}  // namespace
}  // namespace hongyan::store
