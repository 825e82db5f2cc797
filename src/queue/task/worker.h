// Does marked work: a transactional outbox without a queue of its own. A commit marks its entity; the worker calls the
// handler for each marked entity, one at a time per entity, until the handler's own commit has cleared the mark
// (Commit::work_done). Marks are durable, so work survives crashes; a handler may run again after it was done, and
// must be harmless then.
//
// A handler that fails is called again after a growing, jittered wait (100 ms .. 30 s), for ever. Work is not ordered
// between entities. Owning thread only; stop() before destruction.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "base/random.h"
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
};

class Worker {
 public:
  // `call` is the worker's own. ok: done, or to be called again if the mark still stands.
  using Handler = std::function<Status(Call& call, const store::Work& work)>;

  // `store` outlives the worker.
  Worker(Env& env, store::Store& store, store::WorkTag tag, Handler handler, WorkerOptions options = {});
  ~Worker();
  void start();
  // No new work is begun; what runs is cancelled and waited for.
  Status stop(Call& call);
  // Tries everything again now, whatever it is waiting for.
  void nudge();

 private:
  struct Retry {
    runtime::Time at;
    runtime::Duration wait;
    uint64_t done_mark = 0;  // The handler was content with this mark, which stands yet; a newer one is due at once.
  };

  void run();
  Status scan(Call& call);
  bool due(const store::Work& work) const;
  void begin(const store::Work& work);
  void handle(const store::Work& work);
  runtime::Time next_retry() const;

  Env& env_;
  store::Store& store_;
  const store::WorkTag tag_;
  const Handler handler_;
  const WorkerOptions options_;
  Random random_;
  std::set<store::EntityId> running_;
  std::map<store::EntityId, Retry> retries_;
  bool started_ = false;
  bool stopping_ = false;
  bool again_ = false;
  uint64_t seen_ = 0;
  runtime::WaitList room_;       // Waits for a handler to end, a retry or a nudge.
  runtime::Nursery nursery_;
  runtime::Counter& runs_;
  runtime::Counter& failures_;
};

}  // namespace hongyan::task
