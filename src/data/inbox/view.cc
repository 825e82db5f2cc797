#include "data/inbox/view.h"

#include <algorithm>

#include "base/bytes.h"
#include "data/inbox/group_marker.h"
#include "data/inbox/limits.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::inbox {

namespace {

constexpr uint32_t k_group_marks_field = 3;  // GroupRow.marks

bool in_group(const ConversationId& id) { return id.type == model::k_conversation_group; }

void take(View& view, Field field, const store::Row& row) {
  view.exists = true;
  switch (field) {
    case Field::last:
      view.last_version = last_number(row.value);
      view.last_position = row.value.size() == 16 ? *Reader(row.value).u64() : view.last_version;
      return;
    case Field::unread:
      view.unread = number_of(row.value);
      view.unread_row = row.version;
      return;
    case Field::read: view.read = static_cast<uint64_t>(number_of(row.value)); return;
    case Field::settings:
      // A row that can't be read counts as no settings: the conversation itself must stay readable.
      if (!view.settings.ParseFromString(row.value)) view.settings.Clear();
      return;
    case Field::state:
      view.state_version = last_number(row.value);
      view.state_row = row.version;
      return;
    case Field::mentions: view.mentions = number_of(row.value); return;
    case Field::group_seq:
      view.group_seq = static_cast<uint64_t>(number_of(row.value));
      view.group_seq_row = row.version;
      return;
    case Field::marker: {
      view.marker_version = last_number(row.value);
      view.marker_row = row.version;
      const size_t bytes = row.value.size() - std::min<size_t>(row.value.size(), 8);
      if (!view.marked.ParseFromArray(row.value.data(), static_cast<int>(bytes))) view.marked.Clear();
      return;
    }
    case Field::peer_read: view.peer_read = static_cast<uint64_t>(number_of(row.value)); return;
    case Field::muted_until: return;
  }
}

client::ConversationState state_of(const View& view) {
  client::ConversationState state;
  fill(view.id, *state.mutable_conversation());
  state.set_last_position(view.last_position);
  state.set_read_position(view.read);
  const auto shown = [](int64_t n) {
    return static_cast<uint32_t>(std::clamp<int64_t>(n, 0, model::k_unread_shown_max));
  };
  state.set_unread(shown(view.unread));
  state.set_unread_mentions(shown(view.mentions));
  state.set_mute_until_ms(view.settings.mute_until_ms());
  state.set_pin_rank(view.settings.pin_rank());
  state.set_hidden(view.settings.hidden_before() > view.last_position);
  state.set_draft(view.settings.draft());
  state.set_peer_read_position(view.peer_read);
  state.set_cleared_position(view.settings.cleared_position());
  state.set_version(view.changed_at());
  return state;
}

store::Read one_row(uint64_t uin, const std::string& key) {
  return {.entity = entity_of(uin), .from = key, .to = key + '\0', .rows_max = 1};
}

// The message of a log row or of a group's history row; nothing when there is none (purged, an event).
Result<std::optional<client::Message>> message_in(const store::Row& row, uint64_t uin, const ConversationId& id,
                                                  uint64_t position) {
  std::optional<client::Message> message;
  if (in_group(id)) {
    const GroupRow found = TRY(decode_group(row.value));
    if (found.has_message()) message = message_of(found.message(), uin, id);
  } else {
    const LogRow found = TRY(decode_log(row.value));
    if (found.has_message()) message = message_of(found.message(), uin, id);
  }
  if (message) {
    message->set_position(position);
    message->set_version(row.version);
  }
  return message;
}

}  // namespace

uint64_t View::changed_at() const { return std::max({last_version, state_version, marker_version}); }

Result<LoadedView> load_view(Call& call, Core& core, uint64_t uin, const ConversationId& conversation) {
  const std::string prefix = view_prefix(conversation);
  const store::ReadReply reply =
      TRY(core.store.read(call, {.entity = entity_of(uin), .from = prefix, .to = after_prefix(prefix)}));
  LoadedView loaded{reply.header, {}};
  loaded.view.id = conversation;
  for (const store::Row& row : reply.rows) {
    if (const auto key = parse_view_key(row.key)) take(loaded.view, key->field, row);
  }
  return loaded;
}

Result<LoadedViews> load_views(Call& call, Core& core, uint64_t uin) {
  LoadedViews loaded;
  store::Read read{.entity = entity_of(uin), .from = "C", .to = "D"};
  for (bool first = true;; first = false) {
    const store::ReadReply reply = TRY(core.store.read(call, read));
    if (first) loaded.header = reply.header;
    for (const store::Row& row : reply.rows) {
      const auto key = parse_view_key(row.key);
      if (!key) continue;
      if (loaded.views.empty() || loaded.views.back().id != key->conversation) {
        if (loaded.views.size() == k_conversations_scanned_max) {
          loaded.all = false;
          break;
        }
        loaded.views.emplace_back().id = key->conversation;
      }
      take(loaded.views.back(), key->field, row);
    }
    if (!reply.more || !loaded.all || reply.rows.empty()) break;
    read.from = reply.rows.back().key + '\0';
  }
  // A conversation that only the fan-out or an unlisted message has touched is not in the list.
  std::erase_if(loaded.views, [](const View& view) { return view.changed_at() == 0; });
  std::sort(loaded.views.begin(), loaded.views.end(),
            [](const View& a, const View& b) { return a.changed_at() > b.changed_at(); });
  return loaded;
}

Result<std::vector<client::ConversationState>> states_of(Call& call, Core& core, uint64_t uin,
                                                         const std::vector<View>& views) {
  std::vector<client::ConversationState> states;
  std::vector<store::Read> reads;
  std::vector<size_t> of;  // Which view a read is for.
  for (const View& view : views) {
    states.push_back(state_of(view));
    if (view.last_version == 0 || view.last_position <= view.settings.cleared_position()) continue;
    of.push_back(states.size() - 1);
    reads.push_back(one_row(uin, in_group(view.id) ? history_key(view.id, view.last_position)
                                                   : log_key(view.last_version)));
  }
  if (reads.empty()) return states;
  const std::vector<Result<store::ReadReply>> replies = core.store.read_many(call, reads);
  ENSURE(replies.size() == reads.size());
  for (size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].ok()) return replies[i].status();
    if (replies[i]->rows.empty()) continue;
    const View& view = views[of[i]];
    auto last = TRY(message_in(replies[i]->rows[0], uin, view.id, view.last_position));
    if (last) *states[of[i]].mutable_last() = *std::move(last);
  }
  return states;
}

Result<Page> load_page(Call& call, Core& core, uint64_t uin, const ConversationId& conversation,
                       uint64_t before, uint64_t cleared, size_t limit) {
  Page page;
  const std::string prefix = history_prefix(conversation);
  store::Read read{.entity = entity_of(uin),
                   .from = history_key(conversation, cleared + 1),
                   .to = before == 0 ? after_prefix(prefix) : history_key(conversation, before),
                   .direction = store::Direction::backward,
                   .rows_max = limit + 1};
  if (read.from >= read.to) return page;
  while (true) {
    const store::ReadReply reply = TRY(core.store.read(call, read));
    if (reply.rows.empty()) return page;
    // Direct messages have their bodies in the log, groups in the history row itself.
    std::vector<store::Read> reads;
    if (!in_group(conversation)) {
      for (const store::Row& row : reply.rows) reads.push_back(one_row(uin, log_key(last_number(row.key))));
    }
    const auto bodies = reads.empty() ? std::vector<Result<store::ReadReply>>() : core.store.read_many(call, reads);
    ENSURE(bodies.size() == reads.size());
    for (size_t i = 0; i < reply.rows.size(); ++i) {
      const store::Row* row = &reply.rows[i];
      const uint64_t position = last_number(row->key);
      if (!bodies.empty()) {
        if (!bodies[i].ok()) return bodies[i].status();
        if (bodies[i]->rows.empty()) continue;
        row = &bodies[i]->rows[0];
      }
      auto message = TRY(message_in(*row, uin, conversation, position));
      if (!message) continue;
      if (page.messages.size() == limit) {
        page.more = true;
        return page;
      }
      page.messages.push_back(*std::move(message));
    }
    if (!reply.more) return page;
    read.to = reply.rows.back().key;
  }
}

Result<Counted> count_unread(Call& call, Core& core, uint64_t uin, const View& view, uint64_t position) {
  core.counters.recounts.add(1);
  Counted counted = marked_behind(view.marked, position);
  store::Read read{.entity = entity_of(uin),
                   .from = history_key(view.id, position + 1),
                   .to = after_prefix(history_prefix(view.id))};
  if (in_group(view.id)) read.projection = {k_group_marks_field};
  for (size_t looked_at = 0; looked_at < k_unread_rows_max && counted.unread < model::k_unread_shown_max;) {
    const store::ReadReply reply = TRY(core.store.read(call, read));
    for (const store::Row& row : reply.rows) {
      uint32_t marks = marks_of(row.value);
      if (in_group(view.id)) marks = TRY(decode_group(row.value)).marks();
      if (!counts_as_unread(marks)) continue;
      ++counted.unread;
      if ((marks & k_mark_mentions_me) != 0) ++counted.mentions;
    }
    looked_at += reply.rows.size();
    if (!reply.more || reply.rows.empty()) break;
    read.from = reply.rows.back().key + '\0';
  }
  counted.unread = std::min<int64_t>(counted.unread, model::k_unread_shown_max);
  return counted;
}

}  // namespace hongyan::inbox
