// Does marked work: a transactional outbox without a queue of its own. A commit marks its entity; the worker calls the
// handler for each marked entity, one at a time per entity, until the handler's own commit has cleared the mark
// (Commit::work_done). Marks are durable, so work survives crashes; a handler may run again after it was done, and
// must be harmless then.
//
// A handler that fails is called again after a growing, jittered wait (100 ms .. 30 s), for ever. One that is content
// but leaves the mark is too; a mark that was set again meanwhile is due at once. Work is not ordered between entities.
// Owning thread only; stop() before destruction.
#pragma once

#include <functional>
#include <map>

#include "base/random.h"
#include "base/share.h"
#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "store/table/table.h"

namespace hongyan::task {

struct WorkerOptions {
  int concurrency = 16;                                          // Entities at a time.
  runtime::Duration handler_limit = std::chrono::seconds(10);    // The deadline of one call of the handler.
  runtime::Duration retry_first = std::chrono::milliseconds(100);
  runtime::Duration retry_max = std::chrono::seconds(30);
  // Entities of other shares are other workers' of the same tag, in other processes. Two that have one share both do
  // its work, which is harmless.
  Share share = {};
  // A mark that somebody else is likely to clear by himself, in another process, is left to him for so long.
  runtime::Duration grace{};
};

// Whether an entity is in that share.
bool holds(const Share& share, const store::EntityId& entity);

class Worker {
 public:
  // `call` is the worker's own. ok: done, or to be called again if the mark still stands.
  using Handler = std::function<Status(Call& call, const store::Work& work)>;

  // `store` outlives the worker.
  Worker(Env& env, store::Store& store, store::WorkTag tag, Handler handler, WorkerOptions options = {});
  ~Worker();
  void start();
  // No new work is begun; what runs is cancelled and waited for. Code::deadline: it still runs, call again.
  Status stop(Call& call);
  // For a handler that is content but wants to be called again later, at this time: not before, but for a mark that is
  // set meanwhile. Called while it runs.
  void call_again_at(const store::EntityId& entity, runtime::Time when);
  // Tries everything again now, whatever it is waiting for.
  void nudge();

 private:
  // An entity that was marked when last seen.
  struct Entity {
    runtime::Time first_seen;
    runtime::Time due{};           // Not before.
    runtime::Duration wait{};      // Of the last retry.
    runtime::Time again_at{};      // What the handler asked for.
    uint64_t content_with = 0;     // The mark the handler succeeded with; a later one does not wait.
    uint64_t running_for = 0;      // The mark it was called for; 0: it does not run.
    bool marked_again = false;     // While it ran.
    uint64_t seen_in_scan = 0;
  };

  void run();
  void watch_marks();
  Status scan(Call& call);
  void look_at(const store::Work& work);
  void handle(const store::Work& work);
  void forget_unmarked();
  runtime::Time next_due() const;
  bool pause();  // Before another try at a store that failed; false: cancelled.

  Env& env_;
  store::Store& store_;
  const store::WorkTag tag_;
  const Handler handler_;
  const WorkerOptions options_;
  Random random_;  // Jitter.
  std::map<store::EntityId, Entity> known_;
  int running_ = 0;
  uint64_t scans_ = 0;
  runtime::Time scanned_at_{};
  bool started_ = false;
  bool stopping_ = false;
  bool scan_now_ = false;
  runtime::WaitList news_;  // A mark, the end of a handler, a nudge.
  runtime::Nursery nursery_;
  runtime::Counter& runs_;
  runtime::Counter& failures_;
  runtime::Counter& backlog_;
  runtime::Counter& oldest_ms_;
};

}  // namespace hongyan::task
