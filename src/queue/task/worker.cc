#include "queue/task/worker.h"

#include <algorithm>
#include <vector>

namespace hongyan::task {

using runtime::Time;

namespace {
constexpr size_t k_scan_rows = 256;
// Marks wake the worker; this is only how long one wait may last.
constexpr runtime::Duration k_wait_max = std::chrono::seconds(30);
}  // namespace

Worker::Worker(Env& env, store::Store& store, store::WorkTag tag, Handler handler, WorkerOptions options)
    : env_(env),
      store_(store),
      tag_(tag),
      handler_(std::move(handler)),
      options_(options),
      random_(env.random_u64()),
      nursery_(env.scheduler()),
      runs_(env.counters().counter("hongyan_task_runs", "Calls of work handlers")),
      failures_(env.counters().counter("hongyan_task_failures", "Calls of work handlers that failed and are repeated")) {}

Worker::~Worker() { CHECK(nursery_.live() == 0); }

void Worker::start() {
  CHECK(!started_);
  started_ = true;
  nursery_.spawn("task", [this] { run(); });
  // Marks that are set while the first coroutine is busy.
  nursery_.spawn("task-marks", [this] {
    while (!stopping_) {
      Call call = runtime::background_call(env_, k_wait_max);
      const Result<uint64_t> marks = store_.wait_work(call, tag_, seen_);
      if (marks.ok()) {
        seen_ = *marks;
        again_ = true;
        room_.wake_all();
      } else if (marks.code() != Code::deadline) {
        if (stopping_ || marks.code() == Code::cancelled || marks.code() == Code::closed) return;
        Call pause = runtime::background_call(env_, runtime::Duration::max());
        if (!runtime::sleep(pause, options_.retry_first).ok()) return;
      }
    }
  });
}

Status Worker::stop(Call& call) {
  stopping_ = true;
  nursery_.cancel();
  return nursery_.join(call);
}

void Worker::nudge() {
  for (auto& [entity, retry] : retries_) retry.at = env_.now();
  again_ = true;
  room_.wake_all();
}

void Worker::run() {
  again_ = true;
  while (!stopping_) {
    if (again_) {
      again_ = false;
      Call call = runtime::background_call(env_, k_wait_max);
      if (!scan(call).ok() && !stopping_) {
        Call pause = runtime::background_call(env_, runtime::Duration::max());
        if (!runtime::sleep(pause, options_.retry_first).ok()) return;
        again_ = true;
        continue;
      }
    }
    if (again_) continue;
    const Status woken = room_.wait(next_retry());
    if (woken.code() == Code::deadline) again_ = true;
    else if (!woken.ok()) return;
  }
}

Time Worker::next_retry() const {
  Time next = runtime::k_never;
  for (const auto& [entity, retry] : retries_) {
    if (!running_.contains(entity)) next = std::min(next, retry.at);
  }
  return next;
}

// Everything that is marked and due, as far as there is room.
Status Worker::scan(Call& call) {
  store::EntityId after;
  bool first = true;
  std::set<store::EntityId> marked;
  for (;;) {
    const std::vector<store::Work> page = TRY(store_.scan_work(call, tag_, first ? nullptr : &after, k_scan_rows));
    for (const store::Work& work : page) {
      while (!stopping_ && static_cast<int>(running_.size()) >= options_.concurrency) TRY(room_.wait(call.deadline));
      if (stopping_) return {};
      marked.insert(work.entity);
      if (due(work)) begin(work);
    }
    if (page.size() < k_scan_rows) break;
    after = page.back().entity;
    first = false;
  }
  std::erase_if(retries_, [&](const auto& retry) { return !marked.contains(retry.first); });
  return {};
}

bool Worker::due(const store::Work& work) const {
  if (running_.contains(work.entity)) return false;
  const auto retry = retries_.find(work.entity);
  if (retry == retries_.end() || retry->second.at <= env_.now()) return true;
  return retry->second.done_mark != 0 && work.marked_at > retry->second.done_mark;
}

void Worker::begin(const store::Work& work) {
  running_.insert(work.entity);
  nursery_.spawn("task-handler", [this, work] { handle(work); });
}

void Worker::handle(const store::Work& work) {
  Call call = runtime::background_call(env_, options_.handler_limit);
  runs_.add(1);
  const Status status = handler_(call, work);
  running_.erase(work.entity);
  if (!stopping_) {
    // A handler that is content may leave its mark; it is called again after a wait like one that failed.
    Retry& retry = retries_.try_emplace(work.entity, Retry{.at = {}, .wait = options_.retry_first}).first->second;
    if (status.ok()) retry.wait = options_.retry_first;
    else failures_.add(1);
    retry.done_mark = status.ok() ? work.marked_at : 0;
    const auto jitter = runtime::Duration(static_cast<int64_t>(random_.below(static_cast<uint64_t>(retry.wait.count()))));
    retry.at = env_.now() + retry.wait / 2 + jitter;
    retry.wait = std::min(retry.wait * 2, options_.retry_max);
    again_ = true;
  }
  room_.wake_all();
}

}  // namespace hongyan::task
