#include "data/inbox/group_marker.h"

#include <algorithm>

#include "data/inbox/group_append.h"
#include "data/inbox/limits.h"
#include "model/limits.h"
#include "model/tables.h"

namespace hongyan::inbox {

namespace {

using internal::GroupMarker;

Status check_marker(const internal::AppendFromGroupRequest& request) {
  const GroupMarker& marker = request.marker();
  TRY(check_group_member(request.uin(), request.group()));
  if (request.entries_size() != 0) return Status(Code::invalid, "entries beside a marker");
  if (marker.up_to() == 0 || marker.up_to() > static_cast<uint64_t>(INT64_MAX)) return Status(Code::invalid, "no up_to");
  if (static_cast<size_t>(marker.counted_size()) > model::k_unread_shown_max ||
      static_cast<size_t>(marker.mentions_size()) > model::k_unread_shown_max) {
    return Status(Code::too_large, "more ranges than are ever shown");
  }
  uint64_t before = 0;
  for (const internal::SeqRange& range : marker.counted()) {
    if (range.first() <= before || range.last() < range.first() || range.last() > marker.up_to()) {
      return Status(Code::invalid, "counted ranges are not in order");
    }
    before = range.last();
  }
  before = 0;
  for (uint64_t seq : marker.mentions()) {
    if (seq <= before || seq > marker.up_to()) return Status(Code::invalid, "mentions are not in order");
    before = seq;
  }
  TRY(check_group_message(marker.last(), request.group()));
  if (marker.last().position() == 0 || marker.last().position() > marker.up_to()) return Status(Code::invalid, "last is not in the range");
  if (marker.has_event() && marker.event().group() != request.group()) return Status(Code::invalid, "an event of another group");
  if (marker.ByteSizeLong() > k_group_entry_bytes_max) return Status(Code::too_large, "a row above 160 KiB");
  return {};
}

void add_range(MarkedRow& marked, uint64_t first, uint64_t last) {
  if (first > last) return;
  const int size = marked.counted_size();
  if (size > 0 && marked.counted(size - 1).last() + 1 == first) {
    marked.mutable_counted(size - 1)->set_last(last);
    return;
  }
  SeqRange& range = *marked.add_counted();
  range.set_first(first);
  range.set_last(last);
}

// What is read is gone, and of very many only the newest stay: each counts at least one, and no more are shown.
template <typename Rows>
void keep_newest(Rows& rows) {
  const int over = rows.size() - static_cast<int>(model::k_unread_shown_max);
  if (over > 0) rows.erase(rows.begin(), rows.begin() + over);
}

MarkedRow merged(const View& view, const GroupMarker& marker) {
  MarkedRow marked;
  for (const SeqRange& range : view.marked.counted()) add_range(marked, std::max(range.first(), view.read + 1), range.last());
  for (const internal::SeqRange& range : marker.counted()) {
    add_range(marked, std::max(range.first(), view.group_seq + 1), range.last());
  }
  for (uint64_t seq : view.marked.mentions()) {
    if (seq > view.read) marked.add_mentions(seq);
  }
  for (uint64_t seq : marker.mentions()) {
    if (seq > view.group_seq) marked.add_mentions(seq);
  }
  keep_newest(*marked.mutable_counted());
  keep_newest(*marked.mutable_mentions());
  marked.set_up_to(marker.up_to());
  if (marker.has_event()) {
    *marked.mutable_event() = marker.event();
  } else if (view.marked.has_event()) {
    *marked.mutable_event() = view.marked.event();
  }
  return marked;
}

int64_t counted_above(const GroupMarker& marker, uint64_t position) {
  int64_t count = 0;
  for (const internal::SeqRange& range : marker.counted()) {
    if (range.last() > position) count += static_cast<int64_t>(range.last() - std::max(range.first(), position + 1) + 1);
  }
  return count;
}

// Decided from what is here: the marker before it goes, and only what is new counts as unread.
store::Commit commit_of(Core& core, uint64_t uin, const View& view, const GroupMarker& marker) {
  const ConversationId& id = view.id;
  store::Commit commit{.entity = entity_of(uin)};
  commit.preconditions = {unchanged(view_key(id, Field::group_seq), view.group_seq_row),
                          unchanged(view_key(id, Field::marker), view.marker_row),
                          unchanged(view_key(id, Field::unread), view.unread_row)};
  const int64_t unread = view.unread + counted_above(marker, view.group_seq);
  const int64_t mentions = std::count_if(marker.mentions().begin(), marker.mentions().end(),
                                         [&](uint64_t seq) { return seq > view.group_seq; });
  MarkedRow marked = merged(view, marker);
  auto& mutations = commit.mutations;
  const bool directly_behind = view.marker_version != 0 && view.marked.up_to() == view.group_seq;
  if (directly_behind) mutations.push_back(erase(log_key(view.marker_version)));
  const client::Message& last = marker.last();
  const bool new_last = last.position() > view.group_seq;
  if (new_last && is_listed(last)) {
    if (directly_behind && view.marked.last() != 0) mutations.push_back(erase(history_key(id, view.marked.last())));
    const uint32_t marks = group_marks(&last, uin) | k_mark_in_marker;
    mutations.push_back(put(history_key(id, last.position()), group_row_value(&last, nullptr, uin, marks)));
    mutations.push_back(put_last_of_group(id, last.position()));
    marked.set_last(last.position());
  } else if (directly_behind) {
    marked.set_last(view.marked.last());
  }
  LogRow row;
  client::Marker& shown = *row.mutable_marker();
  fill(id, *shown.mutable_conversation());
  shown.set_up_to(marker.up_to());
  shown.set_unread(static_cast<uint32_t>(std::clamp<int64_t>(unread, 0, model::k_unread_shown_max)));
  shown.set_unread_mentions(static_cast<uint32_t>(std::clamp<int64_t>(view.mentions + mentions, 0, model::k_unread_shown_max)));
  if (new_last) *shown.mutable_last() = last;
  if (marked.has_event()) *row.mutable_event() = marked.event();
  row.set_time_ms(core.env.utc_ms());
  mutations.push_back(put_at_version(log_prefix(), row.SerializeAsString()));
  mutations.push_back(put_with_version(view_key(id, Field::marker), marked.SerializeAsString()));
  mutations.push_back(raise(view_key(id, Field::group_seq), static_cast<int64_t>(marker.up_to())));
  mutations.push_back(put(view_key(id, Field::unread), number_value(unread)));
  if (mentions != 0) mutations.push_back(add(view_key(id, Field::mentions), mentions));
  if (core.config.retention != Retention::forever) commit.mark_work = model::k_work_retention;
  return commit;
}

}  // namespace

Result<internal::AppendFromGroupResponse> append_marker(Call& call, Core& core,
                                                        const internal::AppendFromGroupRequest& request) {
  TRY(check_marker(request));
  const GroupMarker& marker = request.marker();
  internal::AppendFromGroupResponse response;
  for (int attempt = 0; attempt < k_conflict_retries_max; ++attempt) {
    const LoadedView loaded = TRY(load_view(call, core, request.uin(), group(request.group())));
    if (loaded.view.group_seq >= marker.up_to()) {
      core.counters.group_behind.add(1);
      response.set_behind(true);
      response.set_last_seq(loaded.view.group_seq);
      response.set_version(loaded.header.version);
      return response;
    }
    const store::CommitReply reply = TRY(core.store.commit(call, commit_of(core, request.uin(), loaded.view, marker)));
    if (!reply.committed) {
      core.counters.conflicts.add(1);
      continue;
    }
    core.counters.group_markers.add(1);
    client::Conversation conversation;
    fill(loaded.view.id, conversation);
    core.rings.ring(request.uin(), reply.header.version, conversation, 0, {});
    response.set_version(reply.header.version);
    response.set_last_seq(marker.up_to());
    return response;
  }
  return Status(Code::conflict, "the conversation changes too fast");
}

Counted marked_behind(const MarkedRow& marked, uint64_t position) {
  Counted counted;
  for (const SeqRange& range : marked.counted()) {
    if (range.last() > position) counted.unread += static_cast<int64_t>(range.last() - std::max(range.first(), position + 1) + 1);
  }
  counted.mentions = std::count_if(marked.mentions().begin(), marked.mentions().end(), [&](uint64_t seq) { return seq > position; });
  return counted;
}

}  // namespace hongyan::inbox
