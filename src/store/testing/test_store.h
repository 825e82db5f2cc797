// The store of a data service's tests: the log engine on the Env's disk with every table of the model, and hooks that
// see each commit first. A hook may fail the commit (a crash before it), let a rival go first, or swallow the answer
// (a crash after it). reopen() is a restart: what was not written is gone.
//
// Outlives the services that use it. Calls stand in a coroutine; construction and reopen() may stand outside.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/env/env.h"
#include "store/engine/open.h"
#include "store/entity/store.h"

namespace hongyan::store {

class TestStore final : public Store {
 public:
  explicit TestStore(Env& env);

  std::function<Status(Call&, const Commit&)> before;
  std::function<Status(const Commit&)> after;  // The commit is durable; a failure is its lost answer.
  std::function<Status(Call&, const Read&)> before_read;  // Of read(); a rival may change the rows first.
  int commits = 0;  // Also those of batches.
  int batches = 0;

  void reopen();  // Clears the hooks.
  Store& below() { return opened_->shard(); }

  Result<CommitReply> commit(Call& call, Commit commit) override;
  std::vector<Result<CommitReply>> commit_many(Call& call, std::vector<Commit> commits, Order order) override;
  Result<ReadReply> read(Call& call, const Read& read) override;
  std::vector<Result<ReadReply>> read_many(Call& call, std::span<const Read> reads) override;
  Result<ChangesReply> changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) override;
  Result<std::vector<Work>> scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) override;
  Result<uint64_t> wait_work(Call& call, WorkTag tag, uint64_t seen) override;

 private:
  Env& env_;
  std::unique_ptr<OpenStore> opened_;
};

}  // namespace hongyan::store
