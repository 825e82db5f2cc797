#include "data/inbox/group_append.h"

#include <algorithm>

#include "base/bytes.h"
#include "data/inbox/limits.h"
#include "data/inbox/view.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"

namespace hongyan::inbox {

namespace {

uint64_t seq_of(const client::Entry& entry) {
  switch (entry.what_case()) {
    case client::Entry::kMessage: return entry.message().position();
    case client::Entry::kGroup: return entry.group().seq();
    case client::Entry::kMarker: return entry.marker().up_to();
    default: return 0;
  }
}

bool of_group(const client::Conversation& conversation, uint64_t group_id) {
  return conversation.type() == model::k_conversation_group && conversation.id() == group_id &&
         conversation.thread() == 0;
}

// The group's service has checked what people wrote; here only what storing rests on.
Status check_entry(const client::Entry& entry, uint64_t group_id) {
  const bool mine = entry.has_message()  ? of_group(entry.message().conversation(), group_id)
                    : entry.has_marker() ? of_group(entry.marker().conversation(), group_id)
                                         : entry.has_group() && entry.group().group() == group_id;
  if (!mine) return Status(Code::invalid, "an entry that is not of this group");
  if (entry.has_message()) {
    const client::Message& message = entry.message();
    if (message.key().size() != 16) return Status(Code::invalid, "a message without key");
    if (message.kind() == 0 || message.kind() > model::k_kind_max) return Status(Code::invalid, "kind is not 1..65535");
  }
  return {};
}

uint32_t marks_for(const client::Message* message, uint64_t uin) {
  if (message == nullptr) return k_mark_event;
  if (message->sender() == uin) return k_mark_mine;
  const auto& named = message->mentions();
  const bool mentioned = message->mention_scope() == 1 || std::find(named.begin(), named.end(), uin) != named.end();
  const bool no_unread = (message->flags() & model::k_flag_no_unread) != 0;
  return (no_unread ? k_mark_no_unread : 0) | (mentioned ? k_mark_mentions_me : 0);
}

// The last message of a group's list line: its seq, then the version.
store::Mutation put_last(const ConversationId& id, uint64_t seq) {
  return put_with_version(view_key(id, Field::last), number_value(static_cast<int64_t>(seq)));
}

bool listed(const client::Message& message) { return (message.flags() & model::k_flag_no_list) == 0; }

}  // namespace

Result<std::vector<GroupAppender::Item>> GroupAppender::checked(const internal::AppendFromGroupRequest& request) {
  if (!model::is_user(request.uin()) || !model::is_group(request.group()) || request.group() >= model::k_id_end) {
    return Status(Code::invalid, "no member or no group");
  }
  if (static_cast<size_t>(request.entries_size()) > k_group_entries_max) {
    return Status(Code::too_large, "more than 1000 entries in one request");
  }
  std::vector<Item> items;
  for (const client::Entry& entry : request.entries()) {
    TRY(check_entry(entry, request.group()));
    TRY(add_entry(entry, items));
  }
  return items;
}

Status GroupAppender::add_entry(const client::Entry& entry, std::vector<Item>& items) {
  const uint64_t seq = seq_of(entry);
  const uint64_t before = items.empty() ? 0 : items.back().seq;
  if (seq == 0 || seq < before || seq > static_cast<uint64_t>(INT64_MAX)) {
    return Status(Code::invalid, "entries are not in seq order");
  }
  if (seq > before) items.push_back({.seq = seq});
  Item& item = items.back();
  item.bytes += entry.ByteSizeLong();
  if (entry.has_message() && item.message == nullptr && item.marker == nullptr) {
    item.message = &entry.message();
  } else if (entry.has_group() && item.event == nullptr && item.marker == nullptr) {
    item.event = &entry.group();
  } else if (entry.has_marker() && seq > before) {
    item.marker = &entry.marker();
  } else {
    return Status(Code::invalid, "two entries of one seq");
  }
  if (item.bytes > k_group_entry_bytes_max) return Status(Code::too_large, "a row above 160 KiB");
  return {};
}

std::string GroupAppender::row_value(const Item& item, uint64_t uin, uint32_t marks) {
  GroupRow row;
  if (item.message != nullptr) *row.mutable_message() = row_of(*item.message, uin);
  if (item.event != nullptr) *row.mutable_event() = *item.event;
  row.set_marks(marks);
  return row.SerializeAsString();
}

Result<internal::AppendFromGroupResponse> GroupAppender::append(Call& call,
                                                                const internal::AppendFromGroupRequest& request) {
  std::vector<Item> items = TRY(checked(request));
  const uint64_t last = items.empty() ? 0 : items.back().seq;
  const uint64_t up_to = std::max(request.last_seq(), last);
  internal::AppendFromGroupResponse response;
  bool behind = !items.empty();
  std::span<const Item> rest = items;
  int conflicts = 0;
  while (!rest.empty()) {
    const client::Marker* marker = rest.front().marker;
    size_t count = 1;
    for (size_t bytes = rest.front().bytes; marker == nullptr && count < rest.size(); ++count) {
      bytes += rest[count].bytes;
      const bool full = bytes > k_group_commit_bytes_max || count == k_group_commit_rows_max;
      if (full || rest[count].marker != nullptr) break;
    }
    const std::span<const Item> now = rest.first(count);
    const uint64_t reached = count == rest.size() ? up_to : now.back().seq;
    const Done done = marker != nullptr ? TRY(put_marker(call, request.uin(), request.group(), *marker))
                                        : TRY(put_rows(call, request.uin(), request.group(), now, reached));
    if (done.committed) {
      behind = false;
      response.set_version(done.version);
      rest = rest.subspan(count);
      continue;
    }
    if (++conflicts > k_conflict_retries_max) return Status(Code::conflict, "another fan-out runs");
    const LoadedView loaded = TRY(load_view(call, core_, request.uin(), group(request.group())));
    while (!rest.empty() && rest.front().seq <= loaded.view.group_seq) rest = rest.subspan(1);
    response.set_version(loaded.header.version);
  }
  if (behind) core_.counters.group_behind.add(1);
  response.set_behind(behind);
  response.set_last_seq(up_to);
  if (behind || items.empty()) {
    response.set_last_seq(TRY(advance(call, request.uin(), request.group(), items.empty() ? up_to : 0)));
  }
  return response;
}

// What the inbox has; first raised to `up_to` where a request had no row for this member.
Result<uint64_t> GroupAppender::advance(Call& call, uint64_t uin, uint64_t group_id, uint64_t up_to) {
  const LoadedView loaded = TRY(load_view(call, core_, uin, group(group_id)));
  if (up_to <= loaded.view.group_seq || up_to > static_cast<uint64_t>(INT64_MAX)) return loaded.view.group_seq;
  store::Commit commit{.entity = entity_of(uin)};
  commit.mutations = {raise(view_key(group(group_id), Field::group_seq), up_to)};
  TRY(core_.store.commit(call, std::move(commit)));
  return up_to;
}

Result<GroupAppender::Done> GroupAppender::put_rows(Call& call, uint64_t uin, uint64_t group_id,
                                                    std::span<const Item> items, uint64_t up_to) {
  const ConversationId id = group(group_id);
  store::Commit commit{.entity = entity_of(uin)};
  commit.preconditions.push_back(below(view_key(id, Field::group_seq), items.front().seq));
  int64_t unread = 0;
  int64_t mentions = 0;
  uint64_t last_listed = 0;
  size_t bytes = 0;
  for (const Item& item : items) {
    const uint32_t marks = marks_for(item.message, uin);
    std::string value = row_value(item, uin, marks);
    bytes += value.size();
    commit.mutations.push_back(put(history_key(id, item.seq), std::move(value)));
    if (counts_as_unread(marks)) {
      ++unread;
      if ((marks & k_mark_mentions_me) != 0) ++mentions;
    }
    if (item.message != nullptr && listed(*item.message)) last_listed = item.seq;
  }
  LogRow row;
  row.mutable_group()->set_group(group_id);
  row.mutable_group()->set_first(items.front().seq);
  row.mutable_group()->set_last(items.back().seq);
  row.set_time_ms(core_.env.utc_ms());
  commit.mutations.push_back(put_at_version(log_prefix(), row.SerializeAsString()));
  commit.mutations.push_back(raise(view_key(id, Field::group_seq), std::max(up_to, items.back().seq)));
  if (last_listed != 0) commit.mutations.push_back(put_last(id, last_listed));
  if (unread != 0) commit.mutations.push_back(add(view_key(id, Field::unread), unread));
  if (mentions != 0) commit.mutations.push_back(add(view_key(id, Field::mentions), mentions));
  if (core_.config.retention != Retention::forever) commit.mark_work = model::k_work_retention;
  const store::CommitReply reply = TRY(core_.store.commit(call, std::move(commit)));
  if (!reply.committed) return Done{};
  core_.counters.group_rows.add(static_cast<int64_t>(items.size()));
  core_.counters.bytes.add(static_cast<int64_t>(bytes));
  client::Conversation conversation;
  fill(id, conversation);
  core_.rings.ring(uin, reply.header.version, conversation, 0, {});
  return Done{true, reply.header.version};
}

// Unlike rows, a marker is decided from what is here: the one before it goes, and only what is new counts as unread.
Result<GroupAppender::Done> GroupAppender::put_marker(Call& call, uint64_t uin, uint64_t group_id,
                                                      const client::Marker& marker) {
  const ConversationId id = group(group_id);
  const View view = TRY(load_view(call, core_, uin, id)).view;
  if (view.group_seq >= marker.up_to()) return Done{};
  const uint64_t from = view.marker_version == 0 ? view.group_seq : view.marker_from;
  store::Commit commit{.entity = entity_of(uin)};
  commit.preconditions.push_back(unchanged(view_key(id, Field::group_seq), view.group_seq_row));
  commit.preconditions.push_back(unchanged(view_key(id, Field::marker), view.marker_row));
  LogRow row;
  *row.mutable_marker() = marker;
  row.set_time_ms(core_.env.utc_ms());
  if (view.marker_version != 0) commit.mutations.push_back(erase(log_key(view.marker_version)));
  commit.mutations.push_back(put_at_version(log_prefix(), row.SerializeAsString()));
  std::string range;
  put_u64(range, from);
  put_u64(range, marker.up_to());
  commit.mutations.push_back(put_with_version(view_key(id, Field::marker), std::move(range)));
  commit.mutations.push_back(raise(view_key(id, Field::group_seq), marker.up_to()));
  commit.mutations.push_back(
      add(view_key(id, Field::unread), static_cast<int64_t>(marker.up_to() - view.group_seq)));
  const client::Message& last = marker.last();
  if (last.key().size() == 16 && last.position() > view.group_seq && last.position() <= marker.up_to()) {
    commit.mutations.push_back(
        put(history_key(id, last.position()), row_value({.message = &last}, uin, marks_for(&last, uin))));
    if (listed(last)) commit.mutations.push_back(put_last(id, last.position()));
  }
  if (core_.config.retention != Retention::forever) commit.mark_work = model::k_work_retention;
  const store::CommitReply reply = TRY(core_.store.commit(call, std::move(commit)));
  if (!reply.committed) return Done{};
  core_.counters.group_rows.add(1);
  client::Conversation conversation;
  fill(id, conversation);
  core_.rings.ring(uin, reply.header.version, conversation, 0, {});
  return Done{true, reply.header.version};
}

}  // namespace hongyan::inbox
