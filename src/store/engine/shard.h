// One shard: a queue, a committer, a backend. Commits that wait are taken together, evaluated in order and written with
// one sync (group commit); the callers are answered after it, so nothing is seen before it is durable. The committer
// is a coroutine whose work runs in a Lane of one thread; reads run beside it: at once from memory, in a second Lane
// when the disk must be asked. Where the backend tells (Backend::Durable), callers are answered when the log is synced,
// before readers' tables have the batch; a read of one of its entities that the cache can't answer waits for those.
//
// Limits: limits.h. A commit whose deadline passes while it is under way fails with Code::deadline and may have
// happened; one that still waited then leaves no trace. When the disk is full, commits fail with no_space, whole, until
// there is room. When it fails, what it holds is unknown: read_only until the store is opened again. Reads go on.
// Owning thread only. close() before destruction, after the last call has come back.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "store/engine/backend.h"
#include "store/engine/commit_cache.h"
#include "store/engine/evaluate.h"
#include "store/engine/read_cache.h"
#include "store/entity/store.h"

namespace hongyan::store {

struct StoreCounters {
  explicit StoreCounters(runtime::Counters& counters);
  runtime::Counter& commits;
  runtime::Counter& batches;
  runtime::Counter& rows_written;
  runtime::Counter& refused;      // Queue full.
  runtime::Counter& failed;       // Writes that did not become durable.
  runtime::Counter& reads;
  runtime::Counter& reads_cached;
  runtime::Counter& reads_from_disk;
  runtime::Counter& reads_waited;  // For a batch that was answered already.
  runtime::Counter& bytes_written;
  runtime::Counter& open_marks;
  runtime::Histogram& batch_us;   // From taking a batch to its sync.
};

class Shard : public Store {
 public:
  // `restore_salt`: open.h. Starts the committer.
  static Result<std::unique_ptr<Shard>> start(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend,
                                              uint64_t restore_salt);
  ~Shard() override;

  Result<CommitReply> commit(Call& call, Commit commit) override;
  std::vector<Result<CommitReply>> commit_many(Call& call, std::vector<Commit> commits, Order order) override;
  Result<ReadReply> read(Call& call, const Read& read) override;
  std::vector<Result<ReadReply>> read_many(Call& call, std::span<const Read> reads) override;
  Result<ChangesReply> changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) override;
  Result<std::vector<Work>> scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) override;
  Result<uint64_t> wait_work(Call& call, WorkTag tag, uint64_t seen) override;

  // A consistent copy of the data while the shard serves.
  Status checkpoint(Call& call, const std::string& directory);
  uint64_t restore_salt() const { return restore_salt_; }
  // Ok, or why commits are refused now: no_space, read_only.
  Status health() const { return health_; }
  // Finishes what waits, then ends the committer. Commits fail with Code::closed from now on.
  void close();

 private:
  struct Pending;
  struct TagWork {
    std::map<EntityId, uint64_t> marks;
    uint64_t count = 0;  // Marks set so far.
    runtime::WaitList news;
  };

  Shard(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend, uint64_t restore_salt);
  Status load_marks();
  void run_committer();
  std::vector<std::shared_ptr<Pending>> take();
  struct Batch;
  static void evaluate(Evaluation& evaluation, Pending& pending);
  void execute(const std::shared_ptr<Batch>& batch);
  void answer(const std::shared_ptr<Batch>& batch);
  void settle(const std::shared_ptr<Batch>& batch);
  void fail(const std::shared_ptr<Batch>& batch);
  Status wait_until_seen(Call& call, const EntityId& entity);
  bool refused_for_now() const;
  void apply_marks(const std::vector<Write>& written);
  std::optional<ReadReply> find_cached(const Read& read);
  Status enqueue(Call& call, const std::shared_ptr<Pending>& pending);
  Status wait_for(Call& call, Pending& pending);
  template <typename Scan, typename Make>
  bool scan_inline(const Make& make, std::unique_ptr<Scan>& scan, Status& status);
  template <typename Scan, typename Make>
  Status scan_in_lane(Call& call, const Make& make, std::unique_ptr<Scan>& scan);
  template <typename Scan, typename Make>
  Status scan(Call& call, const Make& make, std::unique_ptr<Scan>& scan);

  Env& env_;
  Tables tables_;
  std::unique_ptr<Backend> backend_;
  const uint64_t restore_salt_;
  StoreCounters counters_;
  CommitCache committer_rows_;  // Of the commit lane's thread.
  std::vector<Write> spent_;    // Written: freed by the thread that made it, which is cheaper.
  ReadCache read_cache_;
  // Of the batch that is answered and that the backend may not show yet: who reads an entity of it waits.
  std::shared_ptr<Batch> unseen_;
  runtime::WaitList seen_;
  std::unique_ptr<runtime::Lane> commit_lane_;
  std::unique_ptr<runtime::Lane> read_lane_;
  std::deque<std::shared_ptr<Pending>> queue_;
  size_t queued_commits_ = 0;
  size_t queued_bytes_ = 0;
  runtime::WaitList queue_news_;
  std::map<WorkTag, TagWork> work_;
  bool closed_ = false;
  Status health_;
  runtime::Time retried_at_{};  // The last attempt to write to a full disk.
  runtime::Nursery nursery_;
};

}  // namespace hongyan::store
