// Callers are answered when the log is synced; until readers' tables have the batch, who asks for it waits. The backend
// here is held at that moment by the test.
#include "store/engine/shard.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "runtime/testing/run_in_coroutine.h"
#include "store/engine/rocks_backend.h"
#include "store/engine/testing/real_env.h"
#include "store/engine/testing/temporary_directory.h"

namespace hongyan::store {
namespace {

// Says that a batch is durable, then waits for leave before it writes it, or fails.
class HeldBackend : public Backend {
 public:
  explicit HeldBackend(std::unique_ptr<Backend> base) : base_(std::move(base)) {}

  Result<std::optional<std::string>> get(Space space, std::string_view key, Reach reach) override { return base_->get(space, key, reach); }
  std::unique_ptr<Cursor> cursor(Space space, std::string lower, std::string upper, Reach reach) override {
    return base_->cursor(space, std::move(lower), std::move(upper), reach);
  }
  Status write(const std::vector<Write>& batch, const Durable& durable) override {
    if (durable) {
      durable();
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return !held_; });
      if (!failure_.ok()) return failure_;
    }
    return base_->write(batch, {});
  }
  Status resume() override { return base_->resume(); }
  bool reads_beside_writes() const override { return true; }
  Status checkpoint(const std::string& directory) override { return base_->checkpoint(directory); }

  void hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void let_go(Status failure = {}) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
    held_ = false;
    news_.notify_all();
  }

 private:
  std::unique_ptr<Backend> base_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool held_ = false;
  Status failure_;
};

class ShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto rocks = open_rocks_backend(*env_, root_.path() + "/rocks", {.block_cache_bytes = 1 << 20, .reserve_bytes = 0});
    ASSERT_TRUE(rocks.ok());
    auto held = std::make_unique<HeldBackend>(std::move(*rocks));
    backend_ = held.get();
    auto shard = Shard::start(*env_, {{.id = 1, .name = "t"}, {.id = 2, .name = "tracked", .tracked = true}}, std::move(held), 0);
    ASSERT_TRUE(shard.ok());
    shard_ = std::move(*shard);
  }
  void TearDown() override {
    runtime::run_in_coroutine(*env_, [&] { shard_->close(); });
  }
  Call call() { return runtime::background_call(*env_, std::chrono::seconds(60)); }
  Result<CommitReply> put(const EntityId& entity, const std::string& value) {
    Call one = call();
    return shard_->commit(one, {.entity = entity, .mutations = {{.kind = Mutation::Kind::put, .key = "k", .value = value}},
                                .mark_work = static_cast<WorkTag>(1)});
  }
  Result<ReadReply> read(const EntityId& entity) {
    Call one = call();
    return shard_->read(one, {.entity = entity});
  }
  int64_t waited() { return env_->counters().counter("hongyan_store_reads_waited", "").value(); }

  TemporaryDirectory root_;
  std::unique_ptr<Env> env_ = real_env(root_.path() + "/log.txt");
  HeldBackend* backend_ = nullptr;
  std::unique_ptr<Shard> shard_;
  const EntityId a_{1, "a"}, ab_{1, "ab"}, tracked_{2, "a"};
};

TEST_F(ShardTest, a_commit_is_answered_when_it_is_durable_and_who_reads_it_then_waits_until_it_can_be_read) {
  runtime::run_in_coroutine(*env_, [&] {
    ASSERT_TRUE(put(ab_, "before").ok());
    backend_->hold();
    const auto reply = put(a_, "new");  // Comes back although the write does not.
    ASSERT_TRUE(reply.ok() && reply->committed);
    Call one = call();
    EXPECT_EQ(shard_->scan_work(one, static_cast<WorkTag>(1), nullptr, 10)->size(), 2u);

    // Entities that are not in the batch are read as always, also one whose name begins like one that is.
    EXPECT_EQ(read(ab_)->rows.at(0).value, "before");
    EXPECT_EQ(waited(), 0);

    int done = 0;
    runtime::Nursery readers(env_->scheduler());
    readers.spawn("read", [&] {
      const auto seen = read(a_);
      EXPECT_TRUE(seen.ok());
      EXPECT_EQ(seen->rows.at(0).value, "new");
      ++done;
    });
    readers.spawn("read many", [&] {
      Call many = call();
      const std::vector<Read> reads = {{.entity = ab_}, {.entity = a_}};
      const auto seen = shard_->read_many(many, reads);
      EXPECT_EQ(seen.at(0)->rows.at(0).value, "before");
      EXPECT_EQ(seen.at(1)->rows.at(0).value, "new");
      ++done;
    });
    while (waited() < 2) env_->scheduler().yield();
    EXPECT_EQ(done, 0);
    backend_->let_go();
    Call end = call();
    ASSERT_TRUE(readers.join(end).ok());
    EXPECT_EQ(done, 2);
    EXPECT_EQ(read(a_)->rows.at(0).value, "new");
    EXPECT_EQ(waited(), 2);
  });
}

TEST_F(ShardTest, changes_wait_too_and_the_next_batch_waits_for_the_one_before) {
  runtime::run_in_coroutine(*env_, [&] {
    backend_->hold();
    ASSERT_TRUE(put(tracked_, "one").ok());
    runtime::Nursery others(env_->scheduler());
    bool second = false;
    others.spawn("changes", [&] {
      Call one = call();
      const auto changes = shard_->changes(one, tracked_, 0, 10);
      ASSERT_TRUE(changes.ok());
      EXPECT_EQ(changes->changes.size(), 1u);
    });
    others.spawn("second", [&] {
      const auto reply = put(tracked_, "two");
      EXPECT_TRUE(reply.ok());
      EXPECT_EQ(reply->header.version, 2u);
      second = true;
    });
    while (waited() < 1) env_->scheduler().yield();
    EXPECT_FALSE(second);
    backend_->let_go();
    Call end = call();
    ASSERT_TRUE(others.join(end).ok());
    EXPECT_TRUE(second);
  });
}

TEST_F(ShardTest, a_reader_that_waits_gives_up_at_its_deadline) {
  runtime::run_in_coroutine(*env_, [&] {
    backend_->hold();
    ASSERT_TRUE(put(a_, "new").ok());
    Call hasty = runtime::background_call(*env_, std::chrono::milliseconds(5));
    EXPECT_EQ(shard_->read(hasty, {.entity = a_}).code(), Code::deadline);
    backend_->let_go();
    EXPECT_EQ(read(a_)->rows.at(0).value, "new");
  });
}

// The log has it and this process can't show it: saying "nothing there" would take back what was answered.
TEST_F(ShardTest, what_was_answered_and_could_not_be_written_is_not_read_as_missing) {
  runtime::run_in_coroutine(*env_, [&] {
    ASSERT_TRUE(put(ab_, "before").ok());
    backend_->hold();
    ASSERT_TRUE(put(a_, "new").ok());
    backend_->let_go(Status(Code::no_space, "no room"));
    while (shard_->health().ok()) env_->scheduler().yield();
    EXPECT_EQ(shard_->health().code(), Code::read_only);  // Not no_space: trying again would not mend it.
    EXPECT_EQ(read(a_).code(), Code::read_only);
    EXPECT_EQ(read(ab_)->rows.at(0).value, "before");
    EXPECT_EQ(put(ab_, "later").code(), Code::read_only);
  });
}

}  // namespace
}  // namespace hongyan::store
