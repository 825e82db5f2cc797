#include "data/group/fan_out.h"

#include <algorithm>

#include "base/bytes.h"
#include "data/group/limits.h"
#include "model/kinds.h"
#include "model/tables.h"
#include "runtime/coro/sync.h"

namespace hongyan::group {

FanOutCounters::FanOutCounters(runtime::Counters& c)
    : rounds(c.counter("hongyan_group_fan_out_rounds", "Rounds of fan-out: one read of a group's log")),
      deliveries(c.counter("hongyan_group_deliveries", "Rows of groups brought into members' inboxes, one call each")),
      failures(c.counter("hongyan_group_delivery_failures", "Members' inboxes that failed and are tried again")),
      fell_behind(c.counter("hongyan_group_fell_behind", "Members written down as behind because their inbox failed")),
      caught_up(c.counter("hongyan_group_caught_up", "Members that were behind and have everything")) {}

FanOut::FanOut(Env& env, store::Store& store, internal::InboxClient inbox, rpc::KeyRing grants, rpc::ServiceIdentity self)
    : env_(env), store_(store), inbox_(std::move(inbox)), grants_(std::move(grants)), self_(std::move(self)), counters_(env.counters()) {}

uint64_t seq_of(const client::Entry& entry) {
  return entry.has_message() ? entry.message().position() : entry.group().seq();
}

void fill_group(uint64_t id, const Loaded& loaded, client::Group& group) {
  group.set_id(id);
  group.set_name(loaded.info.name());
  group.set_owner(loaded.info.owner());
  group.set_member_count(loaded.info.member_count());
  group.set_avatar_color(loaded.info.avatar_color());
  group.set_dissolved(loaded.info.dissolved());
  group.set_version(loaded.header.version);
}

Status FanOut::run(Call& call, const store::Work& work) {
  const auto group = group_of(work.entity);
  if (!group) return Status(Code::corrupt, "a work mark that names no group");
  for (;;) {
    const Loaded loaded = TRY(load_group(call, store_, *group));
    // The commit that moved the cursor to the head has cleared the mark.
    if (loaded.cursor >= loaded.header.version) return {};
    const Entries entries = TRY(read_log(call, *group, loaded, loaded.cursor));
    ENSURE(!entries.empty());
    counters_.rounds.add(1);
    std::vector<uint64_t> uins;
    for (const auto& [uin, member] : loaded.members) {
      if (!loaded.behind.contains(uin)) uins.push_back(uin);
    }
    const Served served = TRY(serve_all(call, uins, [&](Call& own, uint64_t uin) {
      return serve(own, *group, uin, loaded.members.at(uin), entries);
    }));
    const bool all_failed = served.tried > 0 && served.failed.size() == served.tried;
    if (all_failed || served.failed.size() > k_behind_max) return served.first_failure;
    TRY(move_cursor(call, work.entity, loaded.cursor, seq_of(entries.back()), served));
  }
}

Status FanOut::move_cursor(Call& call, const store::EntityId& entity, uint64_t from, uint64_t to, const Served& served) {
  store::Commit commit{.entity = entity, .visibility = store::Visibility::silent};
  commit.mutations.push_back(store::raise(cursor_key(), static_cast<int64_t>(to)));
  commit.work_done = store::WorkDone{.tag = model::k_work_fan_out, .done_up_to = to};
  if (!served.failed.empty()) {
    commit.mark_work = model::k_work_fan_out_behind;
    commit.mutations.push_back(store::add(behind_writes_key(), 1));
    for (uint64_t uin : served.failed) {
      std::string number;  // Also 0, which raise() would leave unwritten.
      put_u64(number, from);
      commit.mutations.push_back(store::put_bytes(behind_key(uin), std::move(number)));
    }
    counters_.fell_behind.add(static_cast<int64_t>(served.failed.size()));
  }
  TRY(store_.commit(call, std::move(commit)));
  return {};
}

// Serves up to the head as it is loaded; the rows 'B' go only if the head is still the same then, for run() has skipped
// these members meanwhile, and only if nobody else has fallen behind, whose mark this commit would clear.
Status FanOut::catch_up(Call& call, const store::Work& work) {
  const auto group = group_of(work.entity);
  if (!group) return Status(Code::corrupt, "a work mark that names no group");
  for (;;) {
    const Loaded loaded = TRY(load_group(call, store_, *group));
    std::vector<uint64_t> uins;
    for (const auto& [uin, served_up_to] : loaded.behind) uins.push_back(uin);
    const Served served = TRY(serve_all(call, uins, [&](Call& own, uint64_t uin) -> Result<bool> {
      const auto member = loaded.members.find(uin);
      ENSURE(member != loaded.members.end());
      // What an earlier try brought is not read again.
      uint64_t done = std::max(loaded.behind.at(uin), TRY(last_seq_of(own, *group, uin)));
      while (done < loaded.header.version) {
        const Entries entries = TRY(read_log(own, *group, loaded, done));
        ENSURE(!entries.empty());
        TRY(serve(own, *group, uin, member->second, entries));
        done = seq_of(entries.back());
      }
      return true;
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
    const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
    if (reply.committed) counters_.caught_up.add(static_cast<int64_t>(uins.size() - served.failed.size()));
    if (!served.failed.empty()) return served.first_failure;
    if (reply.committed) return {};
  }
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
    LogRow stored = TRY(store::parse_row_as<LogRow>(row));
    const auto seq = Reader(std::string_view(row.key).substr(1)).u64();
    if (!seq) return Status(Code::corrupt, "a log row's key");
    client::Message& message = *entries.emplace_back().mutable_message();
    message = std::move(*stored.mutable_message());
    message.mutable_conversation()->set_type(model::k_conversation_group);
    message.mutable_conversation()->set_id(group);
    message.set_position(*seq);
    if (!stored.event()) continue;
    client::GroupEvent& event = *entries.emplace_back().mutable_group();
    event.set_group(group);
    event.set_seq(*seq);
    fill_group(group, loaded, *event.mutable_state());
  }
  return entries;
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
      const Result<bool> done = serve_one(own, uin);
      if (done.ok() && !*done) continue;
      ++served.tried;
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

Result<bool> FanOut::serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const Entries& entries) {
  internal::AppendFromGroupRequest request = request_for(group, uin, seq_of(entries.front()));
  for (const client::Entry& entry : entries) {
    if (member.sees(seq_of(entry))) *request.add_entries() = entry;
  }
  if (request.entries_size() == 0) return false;
  request.set_last_seq(seq_of(request.entries(request.entries_size() - 1)));
  Call own = self_.as_self(call);
  TRY(inbox_.append_from_group(own, request));
  return true;
}

// What the member's inbox has of the group.
Result<uint64_t> FanOut::last_seq_of(Call& call, uint64_t group, uint64_t uin) {
  Call own = self_.as_self(call);
  return TRY(inbox_.append_from_group(own, request_for(group, uin, 0))).last_seq();
}

}  // namespace hongyan::group
