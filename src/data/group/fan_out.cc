#include "data/group/fan_out.h"

#include "data/group/limits.h"
#include "model/kinds.h"
#include "model/tables.h"
#include "runtime/coro/sync.h"

namespace hongyan::group {

FanOutCounters::FanOutCounters(runtime::Counters& c)
    : rounds(c.counter("hongyan_group_fan_out_rounds", "Rounds of fan-out: one read of a group's log")),
      deliveries(c.counter("hongyan_group_deliveries", "Commits into members' inboxes")),
      failures(c.counter("hongyan_group_delivery_failures", "Commits into members' inboxes that failed and are repeated")) {}

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
  uint64_t done = 0;
  uint64_t head = 0;
  do {
    const Loaded loaded = TRY(load_group(call, store_, *group));
    head = loaded.header.version;
    done = std::max(done, loaded.cursor);
    if (done >= head) break;
    const std::vector<client::Entry> entries = TRY(read_log(call, *group, loaded, done));
    ENSURE(!entries.empty());
    counters_.rounds.add(1);
    TRY(serve_members(call, *group, loaded, entries));
    done = seq_of(entries.back());
  } while (done < head);
  store::Commit commit{.entity = work.entity, .visibility = store::Visibility::silent};
  commit.mutations.push_back(store::raise(cursor_key(), static_cast<int64_t>(done)));
  commit.work_done = store::WorkDone{.tag = model::k_work_fan_out, .done_up_to = done};
  TRY(store_.commit(call, std::move(commit)));
  return {};
}

// Rows after `after` as their members will see them: each message, and the group's state behind each event.
Result<std::vector<client::Entry>> FanOut::read_log(Call& call, uint64_t group, const Loaded& loaded, uint64_t after) {
  std::vector<client::Entry> entries;
  const store::ReadReply log = TRY(store_.read(call, {.entity = group_entity(group),
                                                      .from = log_key(after + 1),
                                                      .to = "M",
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

Status FanOut::serve_members(Call& call, uint64_t group, const Loaded& loaded, const std::vector<client::Entry>& entries) {
  Status first_failure;
  auto next = loaded.members.begin();
  runtime::Nursery nursery(env_.scheduler());
  // Each server takes the next member until there is none.
  const auto serve_some = [&] {
    while (next != loaded.members.end()) {
      const auto& [uin, member] = *next++;
      const Status served = serve(call, group, uin, member, entries);
      (served.ok() ? counters_.deliveries : counters_.failures).add(1);
      if (!served.ok() && first_failure.ok()) first_failure = served;
    }
  };
  for (int i = 0; i < k_fan_out_parallel && i < static_cast<int>(loaded.members.size()); ++i) {
    nursery.spawn("fan-out", serve_some);
  }
  if (Status joined = nursery.join(call); !joined.ok()) {
    nursery.cancel_and_join();
    return joined;
  }
  return first_failure;
}

Status FanOut::serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const std::vector<client::Entry>& entries) {
  internal::AppendFromGroupRequest request;
  request.set_uin(uin);
  request.set_group(group);
  for (const client::Entry& entry : entries) {
    if (member.sees(seq_of(entry))) *request.add_entries() = entry;
  }
  if (request.entries_size() == 0) return {};
  request.set_last_seq(seq_of(request.entries(request.entries_size() - 1)));
  request.set_grant(rpc::make_grant(grants_, {.issuer = "group", .object = uin, .right = "fan_out", .from_position = seq_of(request.entries(0)), .job = true}));
  Call own = self_.as_self(call);
  TRY(inbox_.append_from_group(own, request));
  return {};
}

}  // namespace hongyan::group
