#include "data/group/fan_out.h"

#include <algorithm>

#include "base/bytes.h"
#include "data/group/limits.h"
#include "model/kinds.h"
#include "model/priority.h"
#include "model/tables.h"
#include "runtime/coro/sync.h"

namespace hongyan::group {

FanOutCounters::FanOutCounters(runtime::Counters& c)
    : rounds(c.counter("hongyan_group_fan_out_rounds", "Rounds of fan-out: one read of a group's log")),
      deliveries(c.counter("hongyan_group_deliveries", "Rows of groups brought into members' inboxes, one call each")),
      markers(c.counter("hongyan_group_markers", "Markers brought into members' inboxes instead of rows")),
      put_off(c.counter("hongyan_group_markers_put_off", "Rounds of markers that waited for their time")),
      raised(c.counter("hongyan_group_fan_out_raised", "Rounds whose oldest row was so old that their priority rose")),
      failures(c.counter("hongyan_group_delivery_failures", "Members' inboxes that failed and are tried again")),
      fell_behind(c.counter("hongyan_group_fell_behind", "Members written down as behind because their inbox failed")),
      caught_up(c.counter("hongyan_group_caught_up", "Members that were behind and have everything")),
      backlog_ms(c.histogram("hongyan_group_backlog_ms", "milliseconds", "Age of the oldest row when a round of fan-out begins")) {}

FanOut::FanOut(Env& env, store::Store& store, internal::InboxClient inbox, rpc::KeyRing grants, rpc::ServiceIdentity self,
               size_t row_members_max)
    : env_(env), store_(store), inbox_(std::move(inbox)), grants_(std::move(grants)), self_(std::move(self)),
      row_members_max_(row_members_max), counters_(env.counters()) {}

uint64_t seq_of(const client::Entry& entry) {
  return entry.has_message() ? entry.message().position() : entry.group().seq();
}

namespace {

store::Mutation put_seq(std::string key, uint64_t seq) {
  std::string number;  // Also 0, which raise() would leave unwritten.
  put_u64(number, seq);
  return store::put_bytes(std::move(key), std::move(number));
}

}  // namespace

void fill_group(uint64_t id, const Loaded& loaded, client::Group& group) {
  group.set_id(id);
  group.set_name(loaded.info.name());
  group.set_owner(loaded.info.owner());
  group.set_member_count(loaded.info.member_count());
  group.set_avatar_color(loaded.info.avatar_color());
  group.set_dissolved(loaded.info.dissolved());
  group.set_version(loaded.header.version);
}

bool FanOut::Served::hopeless() const {
  return (tried > 0 && failed.size() == tried) || failed.size() > k_behind_max;
}

Status FanOut::run(Call& call, const store::Work& work, runtime::Time& again_at) {
  const auto group = group_of(work.entity);
  if (!group) return Status(Code::corrupt, "a work mark that names no group");
  call.priority = {.business = model::k_priority_group_send, .user = 0};
  // News of a large group that must wait cost no reading of its members.
  if (const auto later = put_off_.find(*group); later != put_off_.end()) {
    if (later->second > env_.now()) {
      again_at = later->second;
      return {};
    }
    put_off_.erase(later);
  }
  for (;;) {
    const Loaded loaded = TRY(load_group(call, store_, *group));
    const uint64_t head = loaded.header.version;
    const runtime::Time due = markers_due(loaded);
    bool by_marker = false;
    for (const auto& [uin, served_up_to] : served_by_markers(loaded)) by_marker = by_marker || served_up_to < head;
    if (by_marker && due <= env_.now()) {
      TRY(marker_round(call, work, *group, loaded));
    } else if (!large(loaded) && loaded.cursor < head) {
      TRY(row_round(call, work, *group, loaded));
    } else if (by_marker) {
      counters_.put_off.add(1);
      if (large(loaded)) put_off_[*group] = due;
      again_at = due;
      return {};
    } else if (loaded.cursor < head || !loaded.waiting.empty()) {
      TRY(marker_round(call, work, *group, loaded));  // Only to write down that nobody waits.
    } else {
      return {};  // The commit that moved the cursor to the head has cleared the mark.
    }
  }
}

std::map<uint64_t, uint64_t> FanOut::served_by_markers(const Loaded& loaded) const {
  std::map<uint64_t, uint64_t> from = loaded.waiting;
  if (!large(loaded)) return from;
  for (const auto& [uin, member] : loaded.members) {
    const bool may_see_news = member.in() || member.row.spans(member.row.spans_size() - 1).to() > loaded.cursor;
    if (may_see_news && !loaded.behind.contains(uin)) from.try_emplace(uin, loaded.cursor);
  }
  return from;
}

runtime::Time FanOut::markers_due(const Loaded& loaded) const {
  const int64_t since_ms = env_.utc_ms() - loaded.marker_ms;
  if (since_ms < 0 || since_ms >= k_marker_interval_ms) return env_.now();  // Below 0: the clock went back.
  return runtime::after(env_.now(), std::chrono::milliseconds(k_marker_interval_ms - since_ms));
}

void FanOut::note_backlog(Call& call, int64_t oldest_ms) {
  const int64_t age_ms = std::max<int64_t>(env_.utc_ms() - oldest_ms, 0);
  counters_.backlog_ms.record(age_ms);
  const bool old = age_ms > k_backlog_rises_ms;
  if (old) counters_.raised.add(1);
  call.priority.business = old ? model::k_priority_login : model::k_priority_group_send;
}

Status FanOut::row_round(Call& call, const store::Work& work, uint64_t group, const Loaded& loaded) {
  const Entries entries = TRY(read_log(call, group, loaded, loaded.cursor));
  ENSURE(!entries.empty());
  counters_.rounds.add(1);
  note_backlog(call, entries.front().message().server_time_ms());
  std::vector<uint64_t> uins;
  std::map<uint64_t, uint64_t> from;
  for (const auto& [uin, member] : loaded.members) {
    if (loaded.behind.contains(uin) || loaded.waiting.contains(uin)) continue;
    uins.push_back(uin);
    from[uin] = loaded.cursor;
  }
  const Served served = TRY(serve_all(call, uins, [&](Call& own, uint64_t uin) {
    return serve(own, group, uin, loaded.members.at(uin), entries);
  }));
  if (served.hopeless()) return served.first_failure;
  const uint64_t to = seq_of(entries.back());
  store::Commit commit{.entity = work.entity, .visibility = store::Visibility::silent};
  commit.mutations.push_back(store::raise(cursor_key(), static_cast<int64_t>(to)));
  for (uint64_t uin : served.muted) commit.mutations.push_back(put_seq(waiting_key(uin), loaded.cursor));
  // Somebody who waits keeps the group marked.
  if (loaded.waiting.empty() && served.muted.empty()) {
    commit.work_done = store::WorkDone{.tag = model::k_work_fan_out, .done_up_to = to};
  }
  write_behind(commit, served, from);
  TRY(store_.commit(call, std::move(commit)));
  return {};
}

// Who waits no more is served by rows again, from the cursor on: so a row 'W' goes only where it has reached the cursor,
// and only if that stands still.
Status FanOut::marker_round(Call& call, const store::Work& work, uint64_t group, const Loaded& loaded) {
  const std::map<uint64_t, uint64_t> from = served_by_markers(loaded);
  uint64_t lowest = loaded.header.version;
  for (const auto& [uin, served_up_to] : from) lowest = std::min(lowest, served_up_to);
  const Stretch stretch = TRY(read_stretch(call, group, loaded, lowest));
  const uint64_t to = std::max(lowest, stretch.up_to());
  std::vector<uint64_t> uins;
  for (const auto& [uin, served_up_to] : from) {
    ENSURE(loaded.members.contains(uin));
    if (served_up_to < to) uins.push_back(uin);
  }
  if (!uins.empty()) {
    counters_.rounds.add(1);
    note_backlog(call, stretch.oldest_ms());
  }
  const Served served = TRY(serve_all(call, uins, [&](Call& own, uint64_t uin) {
    return serve_marker(own, group, uin, loaded.members.at(uin), from.at(uin), stretch);
  }));
  if (served.hopeless()) return served.first_failure;

  const uint64_t cursor = large(loaded) ? std::max(loaded.cursor, to) : loaded.cursor;
  store::Commit commit{.entity = work.entity, .visibility = store::Visibility::silent};
  commit.preconditions = {store::below(cursor_key(), static_cast<int64_t>(cursor) + 1)};
  commit.mutations.push_back(store::raise(cursor_key(), static_cast<int64_t>(cursor)));
  bool waiting = false;
  for (const auto& [uin, before] : loaded.waiting) {
    const uint64_t reached = std::max(before, to);
    const bool failed = std::ranges::find(served.failed, uin) != served.failed.end();
    const bool waits = !failed && reached != cursor;
    waiting = waiting || waits;
    commit.mutations.push_back(waits ? put_seq(waiting_key(uin), reached) : store::erase(waiting_key(uin)));
  }
  if (served.tried > 0) commit.mutations.push_back(put_seq(marker_time_key(), static_cast<uint64_t>(env_.utc_ms())));
  if (!waiting) commit.work_done = store::WorkDone{.tag = model::k_work_fan_out, .done_up_to = cursor};
  write_behind(commit, served, from);
  TRY(store_.commit(call, std::move(commit)));
  return {};
}

void FanOut::write_behind(store::Commit& commit, const Served& served, const std::map<uint64_t, uint64_t>& from) {
  if (served.failed.empty()) return;
  commit.mark_work = model::k_work_fan_out_behind;
  commit.mutations.push_back(store::add(behind_writes_key(), 1));
  for (uint64_t uin : served.failed) commit.mutations.push_back(put_seq(behind_key(uin), from.at(uin)));
  counters_.fell_behind.add(static_cast<int64_t>(served.failed.size()));
}

// Serves up to the head as it is loaded; the rows 'B' go only if the head is still the same then, for run() has skipped
// these members meanwhile, and only if nobody else has fallen behind, whose mark this commit would clear.
Status FanOut::catch_up(Call& call, const store::Work& work) {
  const auto group = group_of(work.entity);
  if (!group) return Status(Code::corrupt, "a work mark that names no group");
  call.priority = {.business = model::k_priority_group_send, .user = 0};
  for (;;) {
    const Loaded loaded = TRY(load_group(call, store_, *group));
    std::vector<uint64_t> uins;
    for (const auto& [uin, served_up_to] : loaded.behind) uins.push_back(uin);
    bool marked = false;
    const Served served = TRY(serve_all(call, uins, [&](Call& own, uint64_t uin) {
      return catch_up_one(own, *group, uin, loaded, marked);
    }));
    store::Commit commit{.entity = work.entity, .visibility = store::Visibility::silent};
    commit.preconditions = {store::entity_at(loaded.header.version),
                            store::below(behind_writes_key(), loaded.behind_writes + 1)};
    for (uint64_t uin : uins) {
      if (std::ranges::find(served.failed, uin) == served.failed.end()) commit.mutations.push_back(store::erase(behind_key(uin)));
    }
    if (served.failed.empty()) {
      commit.work_done = store::WorkDone{.tag = model::k_work_fan_out_behind, .done_up_to = loaded.header.version};
    } else if (commit.mutations.empty()) {
      return served.first_failure;
    }
    if (marked) commit.mutations.push_back(put_seq(marker_time_key(), static_cast<uint64_t>(env_.utc_ms())));
    const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
    if (reply.committed) counters_.caught_up.add(static_cast<int64_t>(uins.size() - served.failed.size()));
    if (!served.failed.empty()) return served.first_failure;
    if (reply.committed) return {};
  }
}

Result<FanOut::Outcome> FanOut::catch_up_one(Call& call, uint64_t group, uint64_t uin, const Loaded& loaded, bool& marked) {
  const auto member = loaded.members.find(uin);
  ENSURE(member != loaded.members.end());
  // What an earlier try brought is not read again.
  uint64_t done = std::max(loaded.behind.at(uin), TRY(last_seq_of(call, group, uin)));
  while (done < loaded.header.version) {
    if (!large(loaded)) {
      const Entries entries = TRY(read_log(call, group, loaded, done));
      ENSURE(!entries.empty());
      if (TRY(serve(call, group, uin, member->second, entries)) != Outcome::muted) {
        done = seq_of(entries.back());
        continue;
      }
    }
    const Stretch stretch = TRY(read_stretch(call, group, loaded, done));
    ENSURE(stretch.rows() > 0);
    TRY(serve_marker(call, group, uin, member->second, done, stretch));
    marked = true;
    done = stretch.up_to();
  }
  return Outcome::brought;
}

// Rows after `after` as their members will see them: each message, and the group's state behind each event. None above
// the loaded head: members may have come and gone since.
Result<FanOut::Entries> FanOut::read_log(Call& call, uint64_t group, const Loaded& loaded, uint64_t after) {
  Entries entries;
  const store::ReadReply log = TRY(store_.read(call, {.entity = group_entity(group),
                                                      .from = log_key(after + 1),
                                                      .to = log_key(loaded.header.version + 1),
                                                      .rows_max = k_fan_out_rows_max,
                                                      .bytes_max = k_fan_out_bytes_max}));
  for (const store::Row& row : log.rows) {
    bool announces = false;
    const client::Message& message = *entries.emplace_back().mutable_message() = TRY(message_of(group, row, &announces));
    const uint64_t seq = message.position();
    if (!announces) continue;
    client::GroupEvent& event = *entries.emplace_back().mutable_group();
    event.set_group(group);
    event.set_seq(seq);
    fill_group(group, loaded, *event.mutable_state());
  }
  return entries;
}

Result<Stretch> FanOut::read_stretch(Call& call, uint64_t group, const Loaded& loaded, uint64_t after) {
  Stretch stretch;
  while (after < loaded.header.version && stretch.rows() < k_marker_rows_max) {
    const Entries entries = TRY(read_log(call, group, loaded, after));
    ENSURE(!entries.empty());
    for (const client::Entry& entry : entries) stretch.add(entry);
    after = stretch.up_to();
  }
  return stretch;
}

Result<FanOut::Served> FanOut::serve_all(Call& call, const std::vector<uint64_t>& uins, const ServeOne& serve_one) {
  Served served;
  auto next = uins.begin();
  runtime::Nursery nursery(env_.scheduler());
  // Each server takes the next member until there is none.
  const auto serve_some = [&] {
    while (next != uins.end()) {
      const uint64_t uin = *next++;
      Call own = call.until(runtime::after(env_.now(), k_member_limit));
      const Result<Outcome> done = serve_one(own, uin);
      if (done.ok() && *done == Outcome::nothing) continue;
      ++served.tried;
      if (done.ok() && *done == Outcome::muted) {
        served.muted.push_back(uin);
        continue;
      }
      (done.ok() ? counters_.deliveries : counters_.failures).add(1);
      if (done.ok()) continue;
      if (served.failed.empty()) served.first_failure = done.status();
      served.failed.push_back(uin);
    }
  };
  for (size_t i = 0; i < std::min<size_t>(k_fan_out_parallel, uins.size()); ++i) nursery.spawn("fan-out", serve_some);
  if (Status joined = nursery.join(call); !joined.ok()) {
    nursery.cancel_and_join();
    return joined;
  }
  return served;
}

internal::AppendFromGroupRequest FanOut::request_for(uint64_t group, uint64_t uin, uint64_t from) {
  internal::AppendFromGroupRequest request;
  request.set_uin(uin);
  request.set_group(group);
  request.set_grant(rpc::make_grant(grants_, {.issuer = "group", .object = uin, .right = "fan_out", .from_position = from, .job = true}));
  return request;
}

Result<FanOut::Outcome> FanOut::serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const Entries& entries) {
  internal::AppendFromGroupRequest request = request_for(group, uin, seq_of(entries.front()));
  for (const client::Entry& entry : entries) {
    if (member.sees(seq_of(entry))) *request.add_entries() = entry;
  }
  if (request.entries_size() == 0) return Outcome::nothing;
  request.set_last_seq(seq_of(request.entries(request.entries_size() - 1)));
  Call own = self_.as_self(call);
  return TRY(inbox_.append_from_group(own, request)).muted() ? Outcome::muted : Outcome::brought;
}

Result<FanOut::Outcome> FanOut::serve_marker(Call& call, uint64_t group, uint64_t uin, const Member& member, uint64_t after,
                                             const Stretch& stretch) {
  std::optional<internal::GroupMarker> marker = stretch.marker_for(uin, member, after);
  if (!marker) return Outcome::nothing;
  if (!marker->has_last()) {  // Who left before the newest row, or rows that no list shows.
    const auto row = TRY(store::get_row(call, store_, group_entity(group), log_key(marker->up_to())));
    if (!row) return Status(Code::corrupt, "a row of the log is missing");
    *marker->mutable_last() = TRY(message_of(group, *row));
  }
  internal::AppendFromGroupRequest request = request_for(group, uin, after);
  request.set_last_seq(marker->up_to());
  *request.mutable_marker() = *std::move(marker);
  Call own = self_.as_self(call);
  TRY(inbox_.append_from_group(own, request));
  counters_.markers.add(1);
  return Outcome::brought;
}

// What the member's inbox has of the group.
Result<uint64_t> FanOut::last_seq_of(Call& call, uint64_t group, uint64_t uin) {
  Call own = self_.as_self(call);
  return TRY(inbox_.append_from_group(own, request_for(group, uin, 0))).last_seq();
}

}  // namespace hongyan::group
