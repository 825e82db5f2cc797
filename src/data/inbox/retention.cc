#include "data/inbox/retention.h"

#include <algorithm>
#include <cstdint>

#include "data/inbox/inbox_table.h"
#include "data/inbox/limits.h"
#include "model/limits.h"
#include "model/tables.h"
#include "queue/task/worker.h"
#include "runtime/log/log.h"

namespace hongyan::inbox {

namespace {
using namespace std::chrono_literals;
constexpr runtime::Duration k_inbox_limit = 60s;
constexpr int64_t k_day_ms = 24LL * 3600 * 1000;
}  // namespace

// The lowest version that any device still in use has confirmed.
Result<uint64_t> Purge::delivered_up_to(Call& call, uint64_t uin, const store::Header& header) {
  Call own = call;
  own.ticket = core_.rings.as_self(call).ticket;
  internal::CursorsRequest request;
  request.set_uin(uin);
  const internal::CursorsResponse response = TRY(device_.cursors(own, request));
  const int64_t now_ms = core_.env.utc_ms();
  uint64_t lowest = UINT64_MAX;
  for (const internal::DeviceCursor& device : response.cursors()) {
    if (now_ms - device.seen_ms() > k_device_forgotten_ms) continue;
    const bool same = device.cursor().messages_incarnation() == header.incarnation;
    lowest = std::min(lowest, same ? device.cursor().messages_version() : 0);
  }
  return lowest == UINT64_MAX ? 0 : lowest;  // Without devices nothing is delivered.
}

Result<Purge::Bound> Purge::bound_of(Call& call, uint64_t uin, const store::Header& header) {
  Bound bound{header.version, INT64_MAX};
  switch (core_.config.retention) {
    case Retention::forever: return Bound{};
    case Retention::days:
      bound.time_ms = core_.env.utc_ms() - static_cast<int64_t>(core_.config.retention_days) * k_day_ms;
      break;
    case Retention::delivered: bound.version = TRY(delivered_up_to(call, uin, header)); break;
  }
  const store::ReadReply open = TRY(core_.store.read(
      call, {.entity = entity_of(uin), .from = open_prefix(), .to = after_prefix(open_prefix()), .rows_max = 1}));
  if (!open.rows.empty()) bound.version = std::min(bound.version, last_number(open.rows[0].key) - 1);
  return bound;
}

// Adds what goes with one log row. False: this row, and so all behind it, must stay, or has no room here.
Result<bool> Purge::take_row(Call& call, uint64_t uin, const store::Row& row, int64_t before_ms,
                             store::Commit& commit) {
  const LogRow log = TRY(decode_log(row.value));
  const int64_t time_ms = log.has_message() ? log.message().server_time_ms() : log.time_ms();
  if (time_ms >= before_ms) return false;
  std::vector<store::Mutation> gone = {erase(row.key)};
  if (log.has_message()) {
    gone.push_back(erase(history_key(direct(log.message().peer()), last_number(row.key))));
  } else if (log.has_group()) {
    const ConversationId id = group(log.group().group());
    const store::ReadReply rows = TRY(core_.store.read(
        call, {.entity = entity_of(uin), .from = history_key(id, log.group().first()),
               .to = history_key(id, log.group().last()) + '\0', .projection = {3}}));
    for (const store::Row& body : rows.rows) gone.push_back(erase(body.key));
  } else if (log.has_marker() && log.marker().has_last()) {
    gone.push_back(erase(history_key(conversation_id(log.marker().conversation()), log.marker().last().position())));
  }
  if (commit.mutations.size() + gone.size() > k_purge_mutations_max) return false;
  std::move(gone.begin(), gone.end(), std::back_inserter(commit.mutations));
  return true;
}

Result<bool> Purge::purge_step(Call& call, uint64_t uin) {
  if (core_.config.retention == Retention::forever) return false;
  const store::ReadReply reply = TRY(core_.store.read(
      call, {.entity = entity_of(uin), .from = log_key(0), .to = "M", .rows_max = k_purge_rows_max}));
  const Bound bound = TRY(bound_of(call, uin, reply.header));
  store::Commit commit{.entity = entity_of(uin), .visibility = store::Visibility::silent};
  uint64_t floor = 0;
  size_t taken = 0;
  for (const store::Row& row : reply.rows) {
    if (last_number(row.key) > bound.version) break;
    if (!TRY(take_row(call, uin, row, bound.time_ms, commit))) break;
    floor = last_number(row.key);
    ++taken;
  }
  if (taken == 0) return false;
  commit.raise_floor = floor;
  core_.counters.purged_rows.add(static_cast<int64_t>(commit.mutations.size()));
  TRY(core_.store.commit(call, std::move(commit)));
  return taken < reply.rows.size() || reply.more;
}

Result<bool> Purge::trim_dedup_step(Call& call, uint64_t uin, std::string& from) {
  if (from.empty()) from.assign(1, 'D');
  const store::ReadReply reply = TRY(core_.store.read(
      call, {.entity = entity_of(uin), .from = from, .to = "E", .rows_max = k_purge_mutations_max}));
  const int64_t days = std::max<int64_t>(model::k_dedup_days, core_.config.retention_days);
  const int64_t before_ms = core_.env.utc_ms() - days * k_day_ms;
  store::Commit commit{.entity = entity_of(uin), .visibility = store::Visibility::silent};
  for (const store::Row& row : reply.rows) {
    const auto dedup = decode_dedup(row.value);
    // With its log row gone too: as long as the message is here it must not be doubled.
    if (dedup && dedup->server_time_ms < before_ms && row.version <= reply.header.floor) {
      commit.mutations.push_back(erase(row.key));
    }
  }
  if (!reply.rows.empty()) from = reply.rows.back().key + '\0';
  if (!commit.mutations.empty()) {
    core_.counters.purged_rows.add(static_cast<int64_t>(commit.mutations.size()));
    TRY(core_.store.commit(call, std::move(commit)));
  }
  return reply.more;
}

// The marks stay: an inbox that had something to keep has something to remove later.
Status Purge::purge_all(Call& call) {
  std::optional<store::EntityId> after;
  Status failure;
  while (true) {
    const auto marked = TRY(core_.store.scan_work(call, model::k_work_retention, after ? &*after : nullptr,
                                                  k_scan_entities_max));
    for (const store::Work& work : marked) {
      const auto uin = uin_of(work.entity);
      if (!uin || !task::holds(core_.config.share, work.entity)) continue;
      Call each = call;
      each.deadline = std::min(call.deadline, runtime::after(core_.env.now(), k_inbox_limit));
      Result<bool> more = true;
      for (size_t step = 0; more.ok() && *more && step < k_purge_steps_max; ++step) more = purge_step(each, *uin);
      std::string from;
      if (more.ok()) more = true;
      while (more.ok() && *more) more = trim_dedup_step(each, *uin, from);
      if (!more.ok()) failure = more.status();
    }
    if (marked.size() < k_scan_entities_max) return failure;
    after = marked.back().entity;
  }
}

void Purge::run() {
  if (core_.config.retention == Retention::forever) return;
  while (true) {
    Call call;
    if (!runtime::sleep(call, core_.config.purge_interval).ok()) return;
    const Status done = purge_all(call);
    if (done.ok()) continue;
    core_.counters.worker_failures.add(1);
    core_.env.log().warning("inbox: a round of retention failed", {{"code", static_cast<uint32_t>(done.code())}});
  }
}

}  // namespace hongyan::inbox
