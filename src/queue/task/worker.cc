#include "queue/task/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "runtime/log/log.h"

namespace hongyan::task {

using runtime::Time;

namespace {

constexpr size_t k_scan_rows = 256;
// Marks wake the worker; this is only how long one wait may last.
constexpr runtime::Duration k_wait_max = std::chrono::seconds(30);
// Retries that come due within this time share one scan, which costs as much as there are marks.
constexpr runtime::Duration k_scan_interval = std::chrono::milliseconds(50);

std::string counter_name(const char* what, store::WorkTag tag) { return fmt::format("hongyan_task_{}_{}", tag, what); }

}  // namespace

bool holds(const Share& share, const store::EntityId& entity) { return share.holds(stable_hash(entity.id, entity.table)); }

Worker::Worker(Env& env, store::Store& store, store::WorkTag tag, Handler handler, WorkerOptions options)
    : env_(env),
      store_(store),
      tag_(tag),
      handler_(std::move(handler)),
      options_(options),
      random_(env.random_u64()),
      nursery_(env.scheduler()),
      runs_(env.counters().counter(counter_name("runs", tag), "Calls of this work's handler")),
      failures_(env.counters().counter(counter_name("failures", tag), "Calls that failed and are repeated")),
      backlog_(env.counters().counter(counter_name("backlog", tag), "Entities marked for this work when last looked at",
                                      runtime::CounterKind::gauge)),
      oldest_ms_(env.counters().counter(counter_name("oldest_ms", tag), "How long the oldest of them has been waiting",
                                        runtime::CounterKind::gauge)) {
  CHECK(options.concurrency > 0 && options.retry_first > runtime::Duration(1) && options.retry_max >= options.retry_first);
}

Worker::~Worker() { CHECK(nursery_.live() == 0); }

void Worker::start() {
  CHECK(!started_);
  started_ = true;
  scan_now_ = true;
  nursery_.spawn("task", [this] { run(); });
  nursery_.spawn("task-marks", [this] { watch_marks(); });
}

Status Worker::stop(Call& call) {
  stopping_ = true;
  nursery_.cancel();
  return nursery_.join(call);
}

void Worker::nudge() {
  for (auto& [id, entity] : known_) {
    entity.due = env_.now();
    entity.marked_again = entity.marked_again || entity.running_for != 0;
  }
  scan_now_ = true;
  news_.wake_all();
}

void Worker::call_again_at(const store::EntityId& entity, Time when) {
  const auto found = known_.find(entity);
  if (found != known_.end()) found->second.again_at = when;
}

bool Worker::pause() {
  Call call;
  return runtime::sleep(call, options_.retry_first).ok();
}

// Marks that are set while the scan waits for room.
void Worker::watch_marks() {
  uint64_t seen = 0;
  while (!stopping_) {
    Call call = runtime::background_call(env_, k_wait_max);
    const Result<uint64_t> marks = store_.wait_work(call, tag_, seen);
    if (marks.ok()) {
      seen = *marks;
      scan_now_ = true;
      news_.wake_all();
    } else if (marks.code() == Code::cancelled || marks.code() == Code::closed) {
      return;
    } else if (marks.code() != Code::deadline && !pause()) {
      return;
    }
  }
}

void Worker::run() {
  while (!stopping_) {
    if (!scan_now_) {
      const Time due = next_due();
      const Status woken = news_.wait(due == runtime::k_never ? due : std::max(due, scanned_at_ + k_scan_interval));
      if (woken.code() == Code::deadline) scan_now_ = true;
      else if (!woken.ok()) return;
      continue;
    }
    scan_now_ = false;
    Call call = runtime::background_call(env_, k_wait_max);
    if (scan(call).ok()) continue;
    if (stopping_ || !pause()) return;
    scan_now_ = true;
  }
}

Time Worker::next_due() const {
  Time next = runtime::k_never;
  for (const auto& [id, entity] : known_) {
    if (entity.running_for == 0) next = std::min(next, entity.due);
  }
  return next;
}

// Begins what is marked and due, waiting for room where there is none.
Status Worker::scan(Call& call) {
  ++scans_;
  store::EntityId after;
  for (bool first = true;; first = false) {
    const std::vector<store::Work> page = TRY(store_.scan_work(call, tag_, first ? nullptr : &after, k_scan_rows));
    for (const store::Work& work : page) {
      while (!stopping_ && running_ >= options_.concurrency) TRY(news_.wait(runtime::k_never));
      if (stopping_) return {};
      look_at(work);
    }
    if (page.size() < k_scan_rows) break;
    after = page.back().entity;
  }
  forget_unmarked();
  scanned_at_ = env_.now();
  return {};
}

void Worker::look_at(const store::Work& work) {
  if (!holds(options_.share, work.entity)) return;
  const auto [found, fresh] =
      known_.try_emplace(work.entity, Entity{.first_seen = env_.now(), .due = runtime::after(env_.now(), options_.grace)});
  Entity& entity = found->second;
  entity.seen_in_scan = scans_;
  if (entity.running_for != 0) {
    // Versions start at 1 but for entities that only silent commits touched.
    entity.marked_again = entity.marked_again || work.marked_at > entity.running_for;
    return;
  }
  const bool again = entity.content_with != 0 && work.marked_at > entity.content_with;
  if (entity.due > env_.now() && !again) return;
  entity.running_for = std::max<uint64_t>(work.marked_at, 1);
  ++running_;
  nursery_.spawn("task-handler", [this, work] { handle(work); });
}

void Worker::handle(const store::Work& work) {
  Status status(Code::cancelled, "stopping");
  if (!stopping_) {
    Call call = runtime::background_call(env_, options_.handler_limit);
    runs_.add(1);
    status = handler_(call, work);
  }
  --running_;
  Entity& entity = known_.at(work.entity);
  entity.content_with = status.ok() ? entity.running_for : 0;
  entity.running_for = 0;
  if (status.ok() || entity.wait == runtime::Duration(0)) entity.wait = options_.retry_first;
  else entity.wait = std::min(entity.wait * 2, options_.retry_max);
  if (!status.ok() && !stopping_) {
    failures_.add(1);
    env_.log().debug("task: work {} failed: {}", tag_, status.detail());
  }
  const auto half = static_cast<uint64_t>(entity.wait.count() / 2);
  entity.due = env_.now() + runtime::Duration(static_cast<int64_t>(half + random_.below(half)));
  const Time again_at = std::exchange(entity.again_at, Time{});
  if (status.ok() && again_at > entity.due) entity.due = again_at;
  if (std::exchange(entity.marked_again, false)) scan_now_ = true;
  news_.wake_all();
}

void Worker::forget_unmarked() {
  Time oldest = env_.now();
  std::erase_if(known_, [&](const auto& known) {
    return known.second.running_for == 0 && known.second.seen_in_scan != scans_;
  });
  for (const auto& [id, entity] : known_) oldest = std::min(oldest, entity.first_seen);
  backlog_.set(static_cast<int64_t>(known_.size()));
  oldest_ms_.set(runtime::milliseconds(env_.now() - oldest));
}

}  // namespace hongyan::task
