#include "store/testing/test_store.h"

#include <utility>

#include "model/tables.h"

namespace hongyan::store {

TestStore::TestStore(Env& env) : env_(env) { reopen(); }

void TestStore::reopen() {
  opened_.reset();
  before = nullptr;
  after = nullptr;
  before_read = nullptr;
  OpenOptions options;
  options.directory = "data";
  options.engine = EngineKind::log;
  for (const model::TableName& table : model::k_tables) {
    options.tables.push_back({.id = table.id, .name = table.name, .tracked = table.tracked});
  }
  opened_ = open_store(env_, std::move(options)).value();
}

Result<CommitReply> TestStore::commit(Call& call, Commit commit) {
  ++commits;
  const Commit seen = commit;
  if (before) TRY(before(call, seen));
  Result<CommitReply> reply = below().commit(call, std::move(commit));
  if (after) TRY(after(seen));
  return reply;
}

// One by one, so that the hooks see each of them.
std::vector<Result<CommitReply>> TestStore::commit_many(Call& call, std::vector<Commit> commits, Order order) {
  ++batches;
  if (!before && !after) this->commits += static_cast<int>(commits.size());
  if (!before && !after) return below().commit_many(call, std::move(commits), order);
  std::vector<Result<CommitReply>> replies;
  if (order == Order::together) return {commits.size(), Result<CommitReply>(Status(Code::unsupported, "one by one"))};
  replies.reserve(commits.size());
  bool stopped = false;
  for (Commit& one : commits) {
    if (stopped) {
      replies.emplace_back(Status(Code::cancelled, "a commit before it failed"));
      continue;
    }
    replies.emplace_back(commit(call, std::move(one)));
    stopped = order == Order::in_order && (!replies.back().ok() || !replies.back()->committed);
  }
  return replies;
}

Result<ReadReply> TestStore::read(Call& call, const Read& read) {
  if (before_read) TRY(before_read(call, read));
  return below().read(call, read);
}

std::vector<Result<ReadReply>> TestStore::read_many(Call& call, std::span<const Read> reads) {
  return below().read_many(call, reads);
}

Result<ChangesReply> TestStore::changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) {
  return below().changes(call, entity, since, rows_max);
}

Result<std::vector<Work>> TestStore::scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) {
  return below().scan_work(call, tag, after, rows_max);
}

Result<uint64_t> TestStore::wait_work(Call& call, WorkTag tag, uint64_t seen) {
  return below().wait_work(call, tag, seen);
}

}  // namespace hongyan::store
