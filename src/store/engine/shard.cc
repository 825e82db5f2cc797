#include "store/engine/shard.h"

#include <algorithm>

#include "base/bytes.h"
#include "runtime/log/log.h"
#include "store/engine/limits.h"
#include "store/engine/scan.h"

namespace hongyan::store {

using runtime::Scheduler;

StoreCounters::StoreCounters(runtime::Counters& c)
    : commits(c.counter("hongyan_store_commits", "Commits answered as done")),
      batches(c.counter("hongyan_store_batches", "Batches written, one sync each")),
      rows_written(c.counter("hongyan_store_rows_written", "Rows put or erased, headers and indexes included")),
      refused(c.counter("hongyan_store_refused", "Commits refused because the queue was full")),
      failed(c.counter("hongyan_store_failed", "Batches that did not become durable")),
      reads(c.counter("hongyan_store_reads", "Reads")),
      reads_cached(c.counter("hongyan_store_reads_cached", "Reads answered from what was asked for lately")),
      reads_from_disk(c.counter("hongyan_store_reads_from_disk", "Reads that missed the cache")),
      reads_waited(c.counter("hongyan_store_reads_waited", "Reads that waited until a batch that was answered could be read")),
      bytes_written(c.counter("hongyan_store_bytes_written", "Bytes of keys and values written")),
      open_marks(c.counter("hongyan_store_open_marks", "Work marks that are set now", runtime::CounterKind::gauge)),
      batch_us(c.histogram("hongyan_store_batch", "microseconds", "From taking a batch to its sync")) {}

// A group of commits of one caller. Shared: the caller may give up while the committer works on it.
struct Shard::Pending {
  std::vector<Commit> commits;
  size_t bytes = 0;
  Order order = Order::any;
  std::string checkpoint_to;  // Instead of commits.
  std::vector<Result<CommitReply>> replies;
  Status checkpoint_status;
  bool taken = false;
  bool done = false;
  runtime::WaitList waiters;
};

namespace {

size_t bytes_of(const Commit& commit) {
  size_t bytes = commit.entity.id.size();
  for (const Mutation& mutation : commit.mutations) bytes += mutation.key.size() + mutation.value.size();
  return bytes;
}

}  // namespace

Shard::Shard(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend, uint64_t restore_salt)
    : env_(env),
      tables_(std::move(tables)),
      backend_(std::move(backend)),
      restore_salt_(restore_salt),
      counters_(env.counters()),
      read_cache_(restore_salt),
      commit_lane_(env.make_lane("commit", 1)),
      read_lane_(env.make_lane("store-read", k_read_threads)),
      nursery_(env.scheduler()) {}

Shard::~Shard() {
  CHECK(closed_ && nursery_.live() == 0);
  // An engine may need more stack than a coroutine has, also for closing.
  env_.scheduler().run_on_thread_stack([&] { backend_.reset(); });
}

Result<std::unique_ptr<Shard>> Shard::start(Env& env, std::vector<TableSpec> tables, std::unique_ptr<Backend> backend,
                                            uint64_t restore_salt) {
  std::unique_ptr<Shard> shard(new Shard(env, std::move(tables), std::move(backend), restore_salt));
  Status loaded;
  env.scheduler().run_on_thread_stack([&] { loaded = shard->load_marks(); });
  if (!loaded.ok()) {
    shard->closed_ = true;
    return loaded;
  }
  shard->nursery_.spawn("committer", [it = shard.get()] { it->run_committer(); });
  return shard;
}

Status Shard::load_marks() {
  const auto cursor = backend_->cursor(Space::work, "", "", Reach::disk);
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
  for (const Commit& commit : pending->commits) pending->bytes += bytes_of(commit);
  pending->order = order;
  Status status;
  if (count > k_many_max || (count > 1 && pending->bytes > k_many_bytes_max)) {
    status = Status(Code::too_large, "store: over 1000 commits or 8 MiB in one call");
  } else {
    status = enqueue(call, pending);
  }
  if (!status.ok()) return std::vector<Result<CommitReply>>(count, Result<CommitReply>(status));
  return std::move(pending->replies);
}

Status Shard::enqueue(Call& call, const std::shared_ptr<Pending>& pending) {
  if (closed_) return Status(Code::closed, "store: closing");
  if (refused_for_now()) return health_;
  if (env_.now() >= call.deadline) return Status(Code::deadline, "store: the deadline had passed before");
  if (queued_commits_ + pending->commits.size() > k_queued_commits_max ||
      queued_bytes_ + pending->bytes > k_queued_bytes_max) {
    counters_.refused.add(static_cast<int64_t>(pending->commits.size()));
    return Status(Code::overloaded, "store: too many commits wait");
  }
  queued_commits_ += pending->commits.size();
  queued_bytes_ += pending->bytes;
  queue_.push_back(pending);
  queue_news_.wake_one();
  return wait_for(call, *pending);
}

Status Shard::wait_for(Call& call, Pending& pending) {
  while (!pending.done) {
    const Status waited = pending.waiters.wait(call.deadline);
    if (waited.ok() || pending.done) continue;
    if (!pending.taken) {
      // Nobody waits for it any more, so it is dropped before any work is done.
      std::erase_if(queue_, [&](const auto& queued) { return queued.get() == &pending; });
      queued_commits_ -= pending.commits.size();
      queued_bytes_ -= pending.bytes;
    }
    return waited;
  }
  return {};
}

// A full disk is tried again now and then by a commit that comes along.
bool Shard::refused_for_now() const {
  if (health_.ok()) return false;
  return health_.code() != Code::no_space || env_.now() - retried_at_ < k_resume_interval;
}

// Of the loop and of the commit lane in turn; from answer() to settle() both, who then only read `written`.
struct Shard::Batch {
  std::vector<std::shared_ptr<Pending>> commits;
  Moment moment;
  bool resume = false;
  runtime::Time begun{};
  // The lane's, until it is done.
  Status status;
  std::vector<Write> written;
  bool durable = false;
  // The loop's.
  bool answered = false;
  bool settled = false;

  bool writes_of(std::string_view prefix) const {
    return std::any_of(written.begin(), written.end(), [&](const Write& write) {
      return write.space == Space::rows && std::string_view(write.key).starts_with(prefix);
    });
  }
};

void Shard::run_committer() {
  for (;;) {
    while (queue_.empty() && !closed_) queue_news_.wait_uncancellable();
    if (queue_.empty()) return;
    const auto batch = std::make_shared<Batch>();
    batch->commits = take();
    batch->moment = {.utc_ms = env_.utc_ms(), .entropy = env_.random_u64(), .restore_salt = restore_salt_};
    batch->resume = !health_.ok();
    batch->begun = env_.now();
    if (refused_for_now()) {
      batch->status = health_;  // What waited when the disk failed.
      for (const auto& pending : batch->commits) {
        pending->checkpoint_status = health_;
        pending->replies.assign(pending->commits.size(), Result<CommitReply>(health_));
      }
    } else {
      commit_lane_->run([&] { execute(batch); });
    }
    settle(batch);
  }
}

// The batch is durable.
void Shard::answer(const std::shared_ptr<Batch>& batch) {
  if (batch->answered) return;
  batch->answered = true;
  counters_.batch_us.record(std::chrono::duration_cast<std::chrono::microseconds>(env_.now() - batch->begun).count());
  if (!batch->written.empty()) counters_.batches.add(1);
  counters_.rows_written.add(static_cast<int64_t>(batch->written.size()));
  for (const Write& write : batch->written) {
    counters_.bytes_written.add(static_cast<int64_t>(write.key.size() + (write.value ? write.value->size() : 0)));
  }
  read_cache_.apply(batch->written);
  unseen_ = batch;
  apply_marks(batch->written);
  for (const auto& pending : batch->commits) {
    for (const Result<CommitReply>& reply : pending->replies) {
      if (reply.ok() && reply->committed) counters_.commits.add(1);
    }
    pending->done = true;
    pending->waiters.wake_all();
  }
}

// The lane is done with it.
void Shard::settle(const std::shared_ptr<Batch>& batch) {
  batch->settled = true;
  if (!batch->status.ok()) return fail(batch);
  health_ = {};
  answer(batch);
  unseen_.reset();
  seen_.wake_all();
  spent_ = std::move(batch->written);
}

void Shard::fail(const std::shared_ptr<Batch>& batch) {
  read_cache_.clear();
  counters_.failed.add(1);
  if (health_.ok()) env_.log().error("store: commits fail: {}", batch->status.detail());
  retried_at_ = env_.now();
  // One that was answered is in the log, and is read when the store is opened again: until then its entities are not.
  health_ = batch->status.code() == Code::no_space && !batch->answered
                ? batch->status
                : Status(Code::read_only, "store: stopped by an error of the disk: " + batch->status.detail());
  seen_.wake_all();
  if (batch->answered) return;
  for (const auto& pending : batch->commits) {
    pending->done = true;
    pending->waiters.wake_all();
  }
}

std::vector<std::shared_ptr<Shard::Pending>> Shard::take() {
  std::vector<std::shared_ptr<Pending>> batch;
  size_t commits = 0;
  size_t bytes = 0;
  while (!queue_.empty()) {
    Pending& next = *queue_.front();
    const bool full = commits + next.commits.size() > k_batch_commits_max || bytes + next.bytes > k_batch_bytes_max;
    if (!batch.empty() && full) break;
    commits += next.commits.size();
    bytes += next.bytes;
    next.taken = true;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  queued_commits_ -= commits;
  queued_bytes_ -= bytes;
  return batch;
}

void Shard::evaluate(Evaluation& evaluation, Pending& pending) {
  const bool together = pending.order == Order::together;
  if (together) evaluation.begin_group();
  bool stopped = false;
  pending.replies.reserve(pending.commits.size());
  for (const Commit& commit : pending.commits) {
    if (stopped) {
      pending.replies.emplace_back(Status(Code::cancelled, "store: a commit before it in the list did not pass"));
      continue;
    }
    pending.replies.push_back(evaluation.evaluate(commit));
    const Result<CommitReply>& reply = pending.replies.back();
    stopped = pending.order != Order::any && (!reply.ok() || !reply->committed);
    if (!stopped || !together) continue;
    evaluation.drop_group();
    for (size_t before = 0; before + 1 < pending.replies.size(); ++before) {
      pending.replies[before] = Status(Code::cancelled, "store: a commit behind it in the list did not pass");
    }
  }
  evaluation.end_group();
}

// On the commit lane's thread: touches nothing of the shard but the backend, the tables and what is the committer's own.
void Shard::execute(const std::shared_ptr<Batch>& batch) {
  spent_.clear();
  Evaluation evaluation(tables_, *backend_, committer_rows_, batch->moment);
  bool copies = false;
  for (const auto& pending : batch->commits) {
    evaluate(evaluation, *pending);
    copies = copies || !pending->checkpoint_to.empty();
  }
  batch->written = evaluation.take_writes();
  // Posted before the lane's end is, so it finds the shard waiting for that; where a lane runs on the loop, too late.
  const auto durable = [&] {
    batch->durable = true;
    env_.scheduler().post([this, batch] {
      if (!batch->settled) answer(batch);
    });
  };
  if (batch->resume) batch->status = backend_->resume();
  if (batch->status.ok() && !batch->written.empty()) {
    batch->status = backend_->write(batch->written, copies ? Backend::Durable() : Backend::Durable(durable));
  }
  if (batch->status.ok()) committer_rows_.apply(batch->written);
  else committer_rows_.clear();
  for (const auto& pending : batch->commits) {
    // Even one that was refused may have been so for what this batch did not keep.
    if (!batch->status.ok() && !batch->durable) {
      pending->replies.assign(pending->commits.size(), Result<CommitReply>(batch->status));
    }
    if (!pending->checkpoint_to.empty()) pending->checkpoint_status = backend_->checkpoint(pending->checkpoint_to);
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

// From memory at once, on the thread's own stack: RocksDB takes more than a coroutine has. False: it needs the disk or is
// long, and begins again in a lane.
template <typename Scan, typename Make>
bool Shard::scan_inline(const Make& make, std::unique_ptr<Scan>& scan, Status& status) {
  counters_.reads.add(1);
  if (!backend_->reads_beside_writes()) return false;
  env_.scheduler().run_on_thread_stack([&] {
    scan = make(Reach::memory);
    status = scan->step(k_inline_rows_max);
    if (!status.ok() || !scan->finished()) scan.reset();
  });
  if (scan != nullptr || (!status.ok() && status.code() != Code::busy)) return true;
  counters_.reads_from_disk.add(1);
  return false;
}

// Where reads can't run beside writes, between them, and not cut: the answer would not be of one moment.
template <typename Scan, typename Make>
Status Shard::scan_in_lane(Call& call, const Make& make, std::unique_ptr<Scan>& scan) {
  const bool beside = backend_->reads_beside_writes();
  Status status;
  do {
    if (env_.now() >= call.deadline) {
      env_.scheduler().run_on_thread_stack([&] { scan.reset(); });
      return Status(Code::deadline, "store: the read took too long");
    }
    (beside ? read_lane_ : commit_lane_)->run([&] {
      if (scan == nullptr) scan = make(Reach::disk);
      status = scan->step(beside ? k_lane_rows_max : SIZE_MAX);
      if (!status.ok()) scan.reset();
    });
  } while (status.ok() && !scan->finished());
  return status;
}

template <typename Scan, typename Make>
Status Shard::scan(Call& call, const Make& make, std::unique_ptr<Scan>& scan) {
  if (env_.now() >= call.deadline) return Status(Code::deadline, "store: the deadline had passed before");
  Status status;
  if (scan_inline(make, scan, status)) return status;
  return scan_in_lane(call, make, scan);
}

Result<ReadReply> Shard::read(Call& call, const Read& read) {
  TRY(check_read(tables_, read));
  if (env_.now() >= call.deadline) return Status(Code::deadline, "store: the deadline had passed before");
  if (auto cached = find_cached(read)) return *std::move(cached);
  TRY(wait_until_seen(call, read.entity));
  const uint64_t batches = read_cache_.batches();
  std::unique_ptr<ReadScan> reader;
  TRY(scan(call, [&](Reach reach) { return std::make_unique<ReadScan>(*backend_, read, reach, restore_salt_); }, reader));
  ReadReply reply = reader->take();
  read_cache_.keep(read, reply, batches);
  return reply;
}

Status Shard::wait_until_seen(Call& call, const EntityId& entity) {
  if (unseen_ == nullptr) return {};
  const std::string prefix = entity_prefix(entity);
  if (!unseen_->writes_of(prefix)) return {};
  counters_.reads_waited.add(1);
  while (unseen_ != nullptr && unseen_->writes_of(prefix)) {
    if (unseen_->settled) return health_;  // It failed after it was answered.
    TRY(seen_.wait(call.deadline));
  }
  return {};
}

std::optional<ReadReply> Shard::find_cached(const Read& read) {
  std::optional<ReadReply> cached = read_cache_.find(read);
  if (cached) {
    counters_.reads.add(1);
    counters_.reads_cached.add(1);
  }
  return cached;
}

std::vector<Result<ReadReply>> Shard::read_many(Call& call, std::span<const Read> reads) {
  const Status none = reads.size() > k_many_max ? Status(Code::too_large, "store: over 1000 reads in one call")
                                                : Status(Code::deadline, "store: the deadline had passed before");
  std::vector<Result<ReadReply>> replies(reads.size(), Result<ReadReply>(none));
  if (reads.size() > k_many_max || env_.now() >= call.deadline) return replies;
  const auto make = [&](size_t i) {
    return [&, i](Reach reach) { return std::make_unique<ReadScan>(*backend_, reads[i], reach, restore_salt_); };
  };
  const uint64_t batches = read_cache_.batches();
  const auto answer = [&](size_t i, const Status& status, const std::unique_ptr<ReadScan>& scan) {
    replies[i] = status.ok() ? Result<ReadReply>(scan->take()) : Result<ReadReply>(status);
    if (status.ok()) read_cache_.keep(reads[i], *replies[i], batches);
  };
  std::vector<size_t> missed;
  for (size_t i = 0; i < reads.size(); ++i) {
    std::unique_ptr<ReadScan> scan;
    Status status = check_read(tables_, reads[i]);
    if (status.ok()) {
      if (auto cached = find_cached(reads[i])) {
        replies[i] = *std::move(cached);
        continue;
      }
      status = wait_until_seen(call, reads[i].entity);
    }
    if (!status.ok() || scan_inline(make(i), scan, status)) answer(i, status, scan);
    else missed.push_back(i);
  }
  // The disk serves several at once.
  size_t next = 0;
  const auto read_missed = [&] {
    while (next < missed.size()) {
      const size_t i = missed[next++];
      std::unique_ptr<ReadScan> scan;
      const Status status = scan_in_lane(call, make(i), scan);
      answer(i, status, scan);
    }
  };
  if (missed.size() < 2 || !backend_->reads_beside_writes()) {
    read_missed();
    return replies;
  }
  runtime::Nursery nursery(env_.scheduler());
  for (size_t i = 0; i < std::min<size_t>(k_read_threads, missed.size()); ++i) nursery.spawn("store-read", read_missed);
  nursery.cancel_and_join();  // A lane's work can't be cancelled: they finish.
  return replies;
}

Result<ChangesReply> Shard::changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) {
  TRY(check_changes(tables_, entity));
  // Who has seen all is told so without a look at the disk.
  if (const auto header = read_cache_.header(entity); header && since != 0 && since == header->version) {
    counters_.reads.add(1);
    counters_.reads_cached.add(1);
    return ChangesReply{.header = *header, .changes = {}};
  }
  TRY(wait_until_seen(call, entity));
  const uint64_t batches = read_cache_.batches();
  std::unique_ptr<ChangesScan> reader;
  TRY(scan(call, [&](Reach reach) {
    return std::make_unique<ChangesScan>(*backend_, entity, since, rows_max, reach, restore_salt_);
  }, reader));
  ChangesReply reply = reader->take();
  read_cache_.note(entity, reply.header, batches);
  return reply;
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
    nursery_.cancel_and_join();  // The committer's waits can't be cancelled: it finishes.
  } else {
    while (nursery_.live() > 0) env_.scheduler().run_ready();
  }
}

}  // namespace hongyan::store
