#include "store/engine/shard.h"

#include "base/bytes.h"
#include "store/engine/limits.h"

namespace hongyan::store {

using runtime::Scheduler;

StoreCounters::StoreCounters(runtime::Counters& c)
    : commits(c.counter("hongyan_store_commits", "Commits answered as done")),
      batches(c.counter("hongyan_store_batches", "Batches written, one sync each")),
      rows_written(c.counter("hongyan_store_rows_written", "Rows put or erased, headers and indexes included")),
      refused(c.counter("hongyan_store_refused", "Commits refused because the queue was full")),
      failed(c.counter("hongyan_store_failed", "Batches that did not become durable")),
      reads(c.counter("hongyan_store_reads", "Reads")),
      reads_from_disk(c.counter("hongyan_store_reads_from_disk", "Reads that missed the cache")),
      open_marks(c.counter("hongyan_store_open_marks", "Work marks that are set now", runtime::CounterKind::gauge)),
      batch_us(c.histogram("hongyan_store_batch", "microseconds", "From taking a batch to its sync")) {}

// A group of commits of one caller. Shared: the caller may give up while the committer works on it.
struct Shard::Pending {
  std::vector<Commit> commits;
  Order order = Order::any;
  std::string checkpoint_to;  // Instead of commits.
  std::vector<Result<CommitReply>> replies;
  Status checkpoint_status;
  bool done = false;
  runtime::WaitList waiters;
};

namespace {

size_t bytes_of(const Commit& commit) {
  size_t bytes = 0;
  for (const Mutation& mutation : commit.mutations) bytes += mutation.key.size() + mutation.value.size();
  return bytes;
}

// Leaves the store as it was, so that the next batch may pass.
bool harmless(Code code) { return code == Code::no_space || code == Code::overloaded; }

}  // namespace

Shard::Shard(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend, uint64_t restore_salt)
    : env_(env),
      tables_(std::move(tables)),
      backend_(std::move(backend)),
      restore_salt_(restore_salt),
      counters_(env.counters()),
      commit_lane_(env.make_lane("commit", 1)),
      read_lane_(env.make_lane("store-read", k_read_threads)),
      nursery_(env.scheduler()) {}

Shard::~Shard() { CHECK(closed_); }

Result<std::unique_ptr<Shard>> Shard::start(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend,
                                            uint64_t restore_salt) {
  std::unique_ptr<Shard> shard(new Shard(env, std::move(tables), std::move(backend), restore_salt));
  if (Status loaded = shard->load_marks(); !loaded.ok()) {
    shard->closed_ = true;
    return loaded;
  }
  shard->nursery_.spawn("committer", [it = shard.get()] { it->run_committer(); });
  return shard;
}

Status Shard::load_marks() {
  const auto cursor = backend_->cursor(Space::work, Reach::disk);
  for (cursor->seek(""); cursor->valid(); cursor->next()) {
    const auto key = parse_work_key(cursor->key());
    const auto version = Reader(cursor->value()).u64();
    if (!key || !version) return Status(Code::corrupt, "store: a damaged work mark");
    TagWork& tag = work_[key->tag];
    tag.marks[key->entity] = *version;
    tag.count += 1;
    counters_.open_marks.add(1);
  }
  return cursor->status();
}

Result<CommitReply> Shard::commit(Call& call, Commit commit) {
  std::vector<Commit> one;
  one.push_back(std::move(commit));
  return std::move(commit_many(call, std::move(one), Order::any).front());
}

std::vector<Result<CommitReply>> Shard::commit_many(Call& call, std::vector<Commit> commits, Order order) {
  const size_t count = commits.size();
  if (count == 0) return {};
  auto pending = std::make_shared<Pending>();
  pending->commits = std::move(commits);
  pending->order = order;
  if (Status status = enqueue(call, pending); !status.ok()) {
    return std::vector<Result<CommitReply>>(count, Result<CommitReply>(status));
  }
  return std::move(pending->replies);
}

Status Shard::enqueue(Call& call, const std::shared_ptr<Pending>& pending) {
  if (closed_) return Status(Code::closed, "store: closing");
  if (failed_) return Status(Code::read_only, "store: stopped after an I/O error");
  if (queued_commits_ + pending->commits.size() > k_queued_commits_max && !queue_.empty()) {
    counters_.refused.add(1);
    return Status(Code::overloaded, "store: too many commits wait");
  }
  if (env_.now() >= call.deadline) return Status(Code::deadline, "store: the deadline had passed before");
  queued_commits_ += pending->commits.size();
  queue_.push_back(pending);
  queue_news_.wake_one();
  while (!pending->done) TRY(pending->waiters.wait(call.deadline));
  return {};
}

void Shard::run_committer() {
  for (;;) {
    while (queue_.empty() && !closed_) queue_news_.wait_uncancellable();
    if (queue_.empty()) return;
    const std::vector<std::shared_ptr<Pending>> batch = take();
    Moment moment{.utc_ms = env_.utc_ms(), .entropy = env_.random_u64(), .restore_salt = restore_salt_};
    std::vector<Write> written;
    const runtime::Time begun = env_.now();
    commit_lane_->run([&] { execute(batch, moment, written); });
    counters_.batch_us.record(std::chrono::duration_cast<std::chrono::microseconds>(env_.now() - begun).count());
    apply_marks(written);
    for (const auto& pending : batch) {
      pending->done = true;
      pending->waiters.wake_all();
    }
  }
}

std::vector<std::shared_ptr<Shard::Pending>> Shard::take() {
  std::vector<std::shared_ptr<Pending>> batch;
  size_t commits = 0;
  size_t bytes = 0;
  while (!queue_.empty()) {
    Pending& next = *queue_.front();
    size_t next_bytes = 0;
    for (const Commit& commit : next.commits) next_bytes += bytes_of(commit);
    const bool full = commits + next.commits.size() > k_batch_commits_max || bytes + next_bytes > k_batch_bytes_max;
    if (!batch.empty() && full) break;
    commits += next.commits.size();
    bytes += next_bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_commits_ -= commits;
  return batch;
}

// On the commit lane's thread: touches nothing of the shard but the backend, the tables and atomic counters.
void Shard::execute(const std::vector<std::shared_ptr<Pending>>& batch, Moment moment, std::vector<Write>& written) {
  Evaluation evaluation(tables_, *backend_, moment);
  for (const auto& pending : batch) {
    if (!pending->checkpoint_to.empty()) continue;
    bool stopped = false;
    for (const Commit& commit : pending->commits) {
      if (stopped) {
        pending->replies.emplace_back(Status(Code::cancelled, "store: a commit before it in the list did not pass"));
        continue;
      }
      pending->replies.push_back(evaluation.evaluate(commit));
      const Result<CommitReply>& reply = pending->replies.back();
      stopped = pending->order == Order::in_order && (!reply.ok() || !reply->committed);
    }
  }
  written = evaluation.take_writes();
  const Status status = written.empty() ? Status() : backend_->write(written);
  if (status.ok()) {
    counters_.batches.add(1);
    counters_.rows_written.add(static_cast<int64_t>(written.size()));
  } else {
    counters_.failed.add(1);
    failed_ = !harmless(status.code());
    written.clear();
  }
  for (const auto& pending : batch) {
    if (!pending->checkpoint_to.empty()) {
      pending->checkpoint_status = backend_->checkpoint(pending->checkpoint_to);
      continue;
    }
    for (Result<CommitReply>& reply : pending->replies) {
      if (!status.ok()) reply = status;
      else if (reply.ok() && reply->committed) counters_.commits.add(1);
    }
  }
}

void Shard::apply_marks(const std::vector<Write>& written) {
  for (const Write& write : written) {
    if (write.space != Space::work) continue;
    const auto key = parse_work_key(write.key);
    CHECK(key.has_value());
    TagWork& tag = work_[key->tag];
    if (!write.value) {
      counters_.open_marks.add(-static_cast<int64_t>(tag.marks.erase(key->entity)));
      continue;
    }
    const bool fresh = tag.marks.insert_or_assign(key->entity, Reader(*write.value).u64().value()).second;
    counters_.open_marks.add(fresh ? 1 : 0);
    tag.count += 1;
    tag.news.wake_all();
  }
}

// From memory at once, on the thread's own stack: RocksDB takes more than a coroutine has.
template <typename Reply, typename Function>
Result<Reply> Shard::read_from(const Function& function) {
  counters_.reads.add(1);
  std::optional<Result<Reply>> reply;
  if (backend_->reads_beside_writes()) {
    env_.scheduler().run_on_thread_stack([&] { reply.emplace(function(Reach::memory)); });
    if (reply->code() != Code::busy) return std::move(*reply);
    counters_.reads_from_disk.add(1);
    read_lane_->run([&] { reply.emplace(function(Reach::disk)); });
    return std::move(*reply);
  }
  // Beside no writes: in their lane, between them.
  commit_lane_->run([&] { reply.emplace(function(Reach::disk)); });
  return std::move(*reply);
}

Result<ReadReply> Shard::read(Call&, const Read& read) {
  return read_from<ReadReply>([&](Reach reach) { return read_rows(*backend_, tables_, read, reach, restore_salt_); });
}

std::vector<Result<ReadReply>> Shard::read_many(Call& call, std::span<const Read> reads) {
  std::vector<Result<ReadReply>> replies;
  replies.reserve(reads.size());
  for (const Read& one : reads) replies.push_back(read(call, one));
  return replies;
}

Result<ChangesReply> Shard::changes(Call&, const EntityId& entity, uint64_t since, size_t rows_max) {
  return read_from<ChangesReply>(
      [&](Reach reach) { return read_changes(*backend_, tables_, entity, since, rows_max, reach, restore_salt_); });
}

Result<std::vector<Work>> Shard::scan_work(Call&, WorkTag tag, const EntityId* after, size_t rows_max) {
  std::vector<Work> work;
  const auto& marks = work_[tag].marks;
  for (auto at = after == nullptr ? marks.begin() : marks.upper_bound(*after);
       at != marks.end() && work.size() < std::min(rows_max, k_operation_rows_max); ++at) {
    work.push_back({.entity = at->first, .marked_at = at->second});
  }
  return work;
}

Result<uint64_t> Shard::wait_work(Call& call, WorkTag tag, uint64_t seen) {
  TagWork& work = work_[tag];
  while (work.count <= seen) {
    if (closed_) return Status(Code::closed, "store: closing");
    TRY(work.news.wait(call.deadline));
  }
  return work.count;
}

Status Shard::checkpoint(Call& call, const std::string& directory) {
  auto pending = std::make_shared<Pending>();
  pending->checkpoint_to = directory;
  TRY(enqueue(call, pending));
  return pending->checkpoint_status;
}

void Shard::close() {
  if (closed_) return;
  closed_ = true;
  queue_news_.wake_all();
  for (auto& [tag, work] : work_) work.news.wake_all();
  if (Scheduler::in_coroutine()) {
    Call call;
    (void)nursery_.join(call).ok();
  } else {
    while (nursery_.live() > 0) env_.scheduler().run_ready();
  }
}

}  // namespace hongyan::store
