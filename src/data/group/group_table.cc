#include "data/group/group_table.h"

#include <functional>
#include <utility>

#include "data/group/limits.h"
#include "model/kinds.h"
#include "model/tables.h"

namespace hongyan::group {

using store::KeyBuilder;

store::EntityId group_entity(uint64_t group) {
  return {.table = model::k_table_group, .id = KeyBuilder().u64(group).take()};
}

store::EntityId attempt_entity(uint64_t uin, const std::string& client_group_id) {
  return {.table = model::k_table_group_attempt, .id = KeyBuilder().u64(uin).fixed(client_group_id).take()};
}

std::optional<uint64_t> group_of(const store::EntityId& entity) { return Reader(entity.id).u64(); }

std::string info_key() { return "I"; }
std::string member_key(uint64_t uin) { return KeyBuilder().u8('M').u64(uin).take(); }
std::string log_prefix() { return "L"; }
std::string log_key(uint64_t seq) { return KeyBuilder().u8('L').u64(seq).take(); }
std::string dedup_key(const std::string& message_key) { return "D" + message_key; }
std::string cursor_key() { return "F"; }
std::string behind_key(uint64_t uin) { return KeyBuilder().u8('B').u64(uin).take(); }
std::string behind_writes_key() { return "G"; }
std::string marker_time_key() { return "H"; }
std::string waiting_key(uint64_t uin) { return KeyBuilder().u8('W').u64(uin).take(); }

bool Member::sees(uint64_t seq) const {
  for (const Span& span : row.spans()) {
    if (seq > span.from() && (span.to() == 0 || seq <= span.to())) return true;
  }
  return false;
}

const Member* Loaded::member(uint64_t uin) const {
  const auto found = members.find(uin);
  return found == members.end() || !found->second.in() ? nullptr : &found->second;
}

namespace {

// All rows from `from` to `to`, page by page.
Status each_row(Call& call, store::Store& store, const store::EntityId& entity, std::string from, const std::string& to,
                const std::function<Status(const store::Row&)>& take) {
  for (bool more = true; more;) {
    const store::ReadReply page = TRY(store.read(call, {.entity = entity, .from = from, .to = to}));
    for (const store::Row& row : page.rows) TRY(take(row));
    more = page.more;
    if (more) from = page.rows.back().key + '\0';
  }
  return {};
}

Result<uint64_t> uin_of(const store::Row& row) {
  const auto uin = Reader(std::string_view(row.key).substr(1)).u64();
  if (!uin) return Status(Code::corrupt, "a row key that names no member");
  return *uin;
}

Status load_head(Call& call, store::Store& store, const store::EntityId& entity, Loaded& out) {
  const store::ReadReply head = TRY(store.read(call, {.entity = entity, .from = cursor_key(), .to = "J"}));
  out.header = head.header;
  for (const store::Row& row : head.rows) {
    if (row.key == cursor_key()) out.cursor = static_cast<uint64_t>(TRY(store::number_of(row)));
    if (row.key == behind_writes_key()) out.behind_writes = TRY(store::number_of(row));
    if (row.key == marker_time_key()) out.marker_ms = TRY(store::number_of(row));
    if (row.key != info_key()) continue;
    out.info = TRY(store::parse_row_as<GroupRow>(row));
    out.info_version = row.version;
  }
  if (out.info_version == 0) return Status(Code::not_found, "no such group");
  return {};
}

}  // namespace

Result<Loaded> load_group(Call& call, store::Store& store, uint64_t group) {
  const store::EntityId entity = group_entity(group);
  for (int i = 0; i < k_tries_max; ++i) {
    Loaded out;
    TRY(load_head(call, store, entity, out));
    bool changed = false;  // Meanwhile: the members are of another version than the rest.
    TRY(each_row(call, store, entity, "B", "C", [&](const store::Row& row) -> Status {
      out.behind[TRY(uin_of(row))] = static_cast<uint64_t>(TRY(store::number_of(row)));
      return {};
    }));
    TRY(each_row(call, store, entity, "W", "X", [&](const store::Row& row) -> Status {
      out.waiting[TRY(uin_of(row))] = static_cast<uint64_t>(TRY(store::number_of(row)));
      return {};
    }));
    TRY(each_row(call, store, entity, "M", "N", [&](const store::Row& row) -> Status {
      changed = changed || row.version > out.header.version;
      out.members[TRY(uin_of(row))] = {.row = TRY(store::parse_row_as<MemberRow>(row)), .version = row.version};
      return {};
    }));
    if (!changed) return out;
  }
  return Status(Code::conflict, "the group changes too fast");
}

Result<client::Message> message_of(uint64_t group, const store::Row& row, bool* event) {
  const auto seq = Reader(std::string_view(row.key).substr(1)).u64();
  if (!seq) return Status(Code::corrupt, "a log row's key");
  LogRow stored = TRY(store::parse_row_as<LogRow>(row));
  client::Message message = std::move(*stored.mutable_message());
  message.mutable_conversation()->set_type(model::k_conversation_group);
  message.mutable_conversation()->set_id(group);
  message.set_position(*seq);
  if (event != nullptr) *event = stored.event();
  return message;
}

Result<std::optional<Member>> load_member(Call& call, store::Store& store, uint64_t group, uint64_t uin) {
  const std::optional<store::Row> row = TRY(store::get_row(call, store, group_entity(group), member_key(uin)));
  if (!row) return std::optional<Member>();
  return std::optional<Member>(Member{.row = TRY(store::parse_row_as<MemberRow>(*row)), .version = row->version});
}

}  // namespace hongyan::group
