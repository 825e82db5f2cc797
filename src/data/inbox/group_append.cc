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
    default: return 0;
  }
}

Status check_entry(const client::Entry& entry, uint64_t group_id) {
  if (entry.has_message()) return check_group_message(entry.message(), group_id);
  if (!entry.has_group() || entry.group().group() != group_id) return Status(Code::invalid, "an entry that is not of this group");
  return {};
}

}  // namespace

Status check_group_member(uint64_t uin, uint64_t group_id) {
  if (!model::is_user(uin) || !model::is_group(group_id) || group_id >= model::k_id_end) {
    return Status(Code::invalid, "no member or no group");
  }
  return {};
}

// The group's service has checked what people wrote; here only what storing rests on.
Status check_group_message(const client::Message& message, uint64_t group_id) {
  if (conversation_id(message.conversation()) != group(group_id)) {
    return Status(Code::invalid, "an entry that is not of this group");
  }
  if (message.key().size() != 16) return Status(Code::invalid, "a message without key");
  if (message.kind() == 0 || message.kind() > model::k_kind_max) return Status(Code::invalid, "kind is not 1..65535");
  return {};
}

uint32_t group_marks(const client::Message* message, uint64_t uin) {
  if (message == nullptr) return k_mark_event;
  if (message->sender() == uin) return k_mark_mine;
  const auto& named = message->mentions();
  const bool mentioned = message->mention_scope() == 1 || std::find(named.begin(), named.end(), uin) != named.end();
  const bool no_unread = (message->flags() & model::k_flag_no_unread) != 0;
  return (no_unread ? k_mark_no_unread : 0) | (mentioned ? k_mark_mentions_me : 0);
}

std::string group_row_value(const client::Message* message, const client::GroupEvent* event, uint64_t uin, uint32_t marks) {
  GroupRow row;
  if (message != nullptr) *row.mutable_message() = row_of(*message, uin);
  if (event != nullptr) *row.mutable_event() = *event;
  row.set_marks(marks);
  return row.SerializeAsString();
}

bool is_listed(const client::Message& message) { return (message.flags() & model::k_flag_no_list) == 0; }

store::Mutation put_last_of_group(const ConversationId& id, uint64_t seq) {
  return put_with_version(view_key(id, Field::last), number_value(static_cast<int64_t>(seq)));
}

Result<std::vector<GroupAppender::Item>> GroupAppender::checked(const internal::AppendFromGroupRequest& request) {
  TRY(check_group_member(request.uin(), request.group()));
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
  if (entry.has_message() && item.message == nullptr) {
    item.message = &entry.message();
  } else if (entry.has_group() && item.event == nullptr) {
    item.event = &entry.group();
  } else {
    return Status(Code::invalid, "two entries of one seq");
  }
  if (item.bytes > k_group_entry_bytes_max) return Status(Code::too_large, "a row above 160 KiB");
  return {};
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
    size_t count = 1;
    for (size_t bytes = rest.front().bytes; count < rest.size(); ++count) {
      bytes += rest[count].bytes;
      if (bytes > k_group_commit_bytes_max || count == k_group_commit_rows_max) break;
    }
    const std::span<const Item> now = rest.first(count);
    const uint64_t reached = count == rest.size() ? up_to : now.back().seq;
    const Done done = TRY(put_rows(call, request.uin(), request.group(), now, reached));
    if (done.muted) {
      response.set_muted(true);
      break;
    }
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
  if (response.muted()) behind = false;
  if (behind) core_.counters.group_behind.add(1);
  response.set_behind(behind);
  response.set_last_seq(up_to);
  if (behind || response.muted() || items.empty()) {
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
  // Decided where the commit is, so that a member's own setting counts from the moment it was answered.
  commit.preconditions.push_back(below(view_key(id, Field::muted_until), static_cast<uint64_t>(core_.env.utc_ms())));
  int64_t unread = 0;
  int64_t mentions = 0;
  uint64_t last_listed = 0;
  size_t bytes = 0;
  for (const Item& item : items) {
    const uint32_t marks = group_marks(item.message, uin);
    std::string value = group_row_value(item.message, item.event, uin, marks);
    bytes += value.size();
    commit.mutations.push_back(put(history_key(id, item.seq), std::move(value)));
    if (counts_as_unread(marks)) {
      ++unread;
      if ((marks & k_mark_mentions_me) != 0) ++mentions;
    }
    if (item.message != nullptr && is_listed(*item.message)) last_listed = item.seq;
  }
  LogRow row;
  row.mutable_group()->set_group(group_id);
  row.mutable_group()->set_first(items.front().seq);
  row.mutable_group()->set_last(items.back().seq);
  row.set_time_ms(core_.env.utc_ms());
  commit.mutations.push_back(put_at_version(log_prefix(), row.SerializeAsString()));
  commit.mutations.push_back(raise(view_key(id, Field::group_seq), std::max(up_to, items.back().seq)));
  if (last_listed != 0) commit.mutations.push_back(put_last_of_group(id, last_listed));
  if (unread != 0) commit.mutations.push_back(add(view_key(id, Field::unread), unread));
  if (mentions != 0) commit.mutations.push_back(add(view_key(id, Field::mentions), mentions));
  if (core_.config.retention != Retention::forever) commit.mark_work = model::k_work_retention;
  const store::CommitReply reply = TRY(core_.store.commit(call, std::move(commit)));
  if (!reply.committed) return Done{.muted = reply.failed_precondition == 1};
  core_.counters.group_rows.add(static_cast<int64_t>(items.size()));
  core_.counters.bytes.add(static_cast<int64_t>(bytes));
  client::Conversation conversation;
  fill(id, conversation);
  core_.rings.ring(uin, reply.header.version, conversation, 0, {});
  return Done{.committed = true, .version = reply.header.version};
}

}  // namespace hongyan::inbox
