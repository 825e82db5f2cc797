// The log engine on a test's disk, behind a store that fails when it is told to. Its contents outlive the services
// that use it. Callers may stand outside a coroutine: each call runs in one of its own then.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"
#include "store/table/table.h"

namespace hongyan::inbox {

class FaultyStore : public store::Store {
 public:
  enum class Moment { before, after };
  FaultyStore(runtime::TestEnv& env, store::TableSpec table) : env_(env), table_(std::move(table)) { open(); }

  // The process dies at this commit, counted from now: before it takes effect, or after, with the answer lost. From
  // then on everything fails until reopen().
  void die_at(int commit, Moment moment) {
    left_ = commit;
    moment_ = moment;
  }
  bool dead() const { return dead_; }
  // From what is on the disk.
  void reopen() {
    store_.reset();
    open();
    dead_ = false;
    left_ = 0;
  }
  // As from a backup: every incarnation is another.
  void restore() {
    store_.reset();
    CHECK(store::mark_restored(env_, k_directory).ok());
    open();
  }
  // Commits to this entity fail, without any other harm, until cleared.
  void refuse(std::optional<store::EntityId> entity) { refused_ = std::move(entity); }
  // Runs once before the next commit: somebody else is faster.
  std::function<void()> before_commit;
  int commits = 0;
  bool in_different_places = false;  // No two entities in one batch.

  Result<store::CommitReply> commit(Call& call, store::Commit commit) override {
    ++commits;
    if (dead_) return Status(Code::unavailable, "dead");
    if (refused_ && commit.entity == *refused_) return Status(Code::unavailable, "refused");
    if (before_commit) {
      const auto hook = std::exchange(before_commit, nullptr);
      hook();
    }
    if (left_ > 0 && --left_ == 0) {
      dead_ = true;
      if (moment_ == Moment::after) (void)apply(call, std::move(commit)).ok();
      return Status(Code::unknown_outcome, "died");
    }
    return apply(call, std::move(commit));
  }
  std::vector<Result<store::CommitReply>> commit_many(Call& call, std::vector<store::Commit> commits,
                                                      store::Order order) override {
    if (order == store::Order::together) return commit_together(call, std::move(commits));
    std::vector<Result<store::CommitReply>> replies;
    bool stopped = false;
    for (store::Commit& one : commits) {
      if (stopped) {
        replies.emplace_back(Status(Code::cancelled, "not reached"));
        continue;
      }
      replies.emplace_back(commit(call, std::move(one)));
      stopped = order == store::Order::in_order && (!replies.back().ok() || !replies.back()->committed);
    }
    return replies;
  }
  Result<store::ReadReply> read(Call& call, const store::Read& read) override {
    return wait<Result<store::ReadReply>>([&] { return shard().read(call, read); });
  }
  std::vector<Result<store::ReadReply>> read_many(Call& call, std::span<const store::Read> reads) override {
    return wait<std::vector<Result<store::ReadReply>>>([&] { return shard().read_many(call, reads); });
  }
  Result<store::ChangesReply> changes(Call& call, const store::EntityId& entity, uint64_t since, size_t max) override {
    return wait<Result<store::ChangesReply>>([&] { return shard().changes(call, entity, since, max); });
  }
  Result<std::vector<store::Work>> scan_work(Call& call, store::WorkTag tag, const store::EntityId* after,
                                             size_t rows_max) override {
    if (dead_) return Status(Code::unavailable, "dead");
    return wait<Result<std::vector<store::Work>>>([&] { return shard().scan_work(call, tag, after, rows_max); });
  }
  Result<uint64_t> wait_work(Call& call, store::WorkTag tag, uint64_t seen) override {
    return shard().wait_work(call, tag, seen);
  }

  // For assertions: keys of a section, bytes of an entity, whether it is marked.
  size_t rows(const store::EntityId& entity, char section) {
    return size(entity, std::string(1, section), std::string(1, static_cast<char>(section + 1))).first;
  }
  size_t bytes(const store::EntityId& entity) { return size(entity, {}, {}).second; }
  bool marked(store::WorkTag tag, const store::EntityId& entity) {
    Call call = env_.call();
    const auto found = scan_work(call, tag, nullptr, 100);
    CHECK(found.ok());
    for (const store::Work& work : *found) {
      if (work.entity == entity) return true;
    }
    return false;
  }

 private:
  static constexpr const char* k_directory = "/data";

  store::Shard& shard() { return store_->shard(); }
  void open() {
    store::OpenOptions options;
    options.directory = k_directory;
    options.tables = {table_};
    options.engine = store::EngineKind::log;
    auto opened = store::open_store(env_, std::move(options));
    CHECK(opened.ok());
    store_ = std::move(opened).value();
  }
  template <typename T>
  T wait(const std::function<T()>& work) {
    if (runtime::Scheduler::in_coroutine()) return work();
    std::optional<T> result;
    runtime::run_in_coroutine(env_, [&] { result = work(); });
    return *std::move(result);
  }
  // One write, whatever is in it.
  std::vector<Result<store::CommitReply>> commit_together(Call& call, std::vector<store::Commit> commits) {
    const size_t count = commits.size();
    const auto all = [&](Status status) { return std::vector<Result<store::CommitReply>>(count, std::move(status)); };
    if (in_different_places) return all({Code::unsupported, "in different places"});
    ++this->commits;
    if (dead_) return all({Code::unavailable, "dead"});
    for (const store::Commit& one : commits) {
      if (refused_ && one.entity == *refused_) return all({Code::unavailable, "refused"});
    }
    if (before_commit) std::exchange(before_commit, nullptr)();
    const bool dies = left_ > 0 && --left_ == 0;
    dead_ = dead_ || dies;
    if (dies && moment_ == Moment::before) return all({Code::unknown_outcome, "died"});
    auto replies = wait<std::vector<Result<store::CommitReply>>>(
        [&] { return shard().commit_many(call, std::move(commits), store::Order::together); });
    return dies ? all({Code::unknown_outcome, "died"}) : replies;
  }
  Result<store::CommitReply> apply(Call& call, store::Commit commit) {
    return wait<Result<store::CommitReply>>([&] { return shard().commit(call, std::move(commit)); });
  }
  std::pair<size_t, size_t> size(const store::EntityId& entity, std::string from, std::string to) {
    std::pair<size_t, size_t> found;
    Call call = env_.call();
    for (bool more = true; more;) {
      const auto reply = read(call, {.entity = entity, .from = from, .to = to});
      CHECK(reply.ok());
      for (const store::Row& row : reply->rows) {
        ++found.first;
        found.second += row.key.size() + row.value.size();
      }
      more = reply->more;
      if (more) from = reply->rows.back().key + '\0';
    }
    return found;
  }

  runtime::TestEnv& env_;
  store::TableSpec table_;
  std::unique_ptr<store::OpenStore> store_;
  int left_ = 0;
  Moment moment_ = Moment::before;
  bool dead_ = false;
  std::optional<store::EntityId> refused_;
};

}  // namespace hongyan::inbox
