#include "data/inbox/sync.h"

#include <algorithm>

#include "base/bytes.h"
#include "data/inbox/limits.h"
#include "data/inbox/view.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::inbox {

namespace {

constexpr size_t k_entry_overhead = 6;               // Tag and length of an entry in its answer.
constexpr size_t k_page_bytes_min = 64 * 1024;       // A row is larger in the log than nothing: read ahead a little.

size_t size_of(const std::vector<client::Entry>& entries) {
  size_t bytes = 0;
  for (const client::Entry& entry : entries) bytes += entry.ByteSizeLong() + k_entry_overhead;
  return bytes;
}

void move_into(std::vector<client::Entry>& entries, internal::InboxSyncResponse& response) {
  for (client::Entry& entry : entries) *response.add_entries() = std::move(entry);
}

Status add_state(Call& call, Core& core, uint64_t uin, const StateRef& ref, std::vector<client::Entry>& entries) {
  const ConversationId id{static_cast<uint8_t>(ref.type()), ref.id(), ref.thread()};
  const LoadedView loaded = TRY(load_view(call, core, uin, id));
  auto states = TRY(states_of(call, core, uin, {loaded.view}));
  *entries.emplace_back().mutable_state() = std::move(states[0]);
  return {};
}

Status add_group(Call& call, Core& core, uint64_t uin, const GroupRange& range, uint64_t version,
                 std::vector<client::Entry>& entries) {
  const ConversationId id = group(range.group());
  store::Read read{.entity = entity_of(uin),
                   .from = history_key(id, range.first()),
                   .to = history_key(id, range.last()) + '\0'};
  while (true) {
    const store::ReadReply reply = TRY(core.store.read(call, read));
    for (const store::Row& row : reply.rows) {
      GroupRow found = TRY(decode_group(row.value));
      if (found.has_message()) {
        client::Message& message = *entries.emplace_back().mutable_message();
        message = message_of(found.message(), uin, id);
        message.set_position(last_number(row.key));
        message.set_version(version);
      }
      if (found.has_event()) {
        client::GroupEvent& event = *entries.emplace_back().mutable_group();
        event = std::move(*found.mutable_event());
        event.set_seq(last_number(row.key));
        event.set_version(version);
      }
    }
    if (!reply.more || reply.rows.empty()) return {};
    read.from = reply.rows.back().key + '\0';
  }
}

// The entries of one log row: of one commit.
Result<std::vector<client::Entry>> entries_of(Call& call, Core& core, uint64_t uin, const store::Row& row) {
  std::vector<client::Entry> entries;
  const uint64_t version = last_number(row.key);
  LogRow log = TRY(decode_log(row.value));
  if (log.has_message()) {
    const bool unwanted = log.message().mine() && (log.message().flags() & model::k_flag_no_sender_sync) != 0;
    if (unwanted) return entries;
    client::Message& message = *entries.emplace_back().mutable_message();
    message = message_of(log.message(), uin, direct(log.message().peer()));
    message.set_position(version);
    message.set_version(version);
  } else if (log.has_state()) {
    TRY(add_state(call, core, uin, log.state(), entries));
  } else if (log.has_group()) {
    TRY(add_group(call, core, uin, log.group(), version, entries));
  } else if (log.has_update()) {
    *entries.emplace_back().mutable_update() = std::move(*log.mutable_update());
    entries.back().mutable_update()->set_version(version);
  } else if (log.has_marker()) {
    *entries.emplace_back().mutable_marker() = std::move(*log.mutable_marker());
    entries.back().mutable_marker()->set_version(version);
    if (log.has_event()) {
      *entries.emplace_back().mutable_group() = std::move(*log.mutable_event());
      entries.back().mutable_group()->set_version(version);
    }
  }
  return entries;
}

}  // namespace

Result<internal::HeadResponse> Syncer::head(Call& call, const internal::HeadRequest& request) {
  const store::ReadReply reply =
      TRY(core_.store.read(call, {.entity = entity_of(request.uin()), .rows_max = 0}));
  internal::HeadResponse response;
  response.set_incarnation(reply.header.incarnation);
  response.set_version(reply.header.version);
  response.set_floor(reply.header.floor);
  return response;
}

Result<internal::InboxSyncResponse> Syncer::sync(Call& call, const internal::InboxSyncRequest& request) {
  const runtime::Time start = core_.env.now();
  internal::HeadRequest asked;
  asked.set_uin(request.uin());
  const internal::HeadResponse head = TRY(this->head(call, asked));
  // Who saw the inbox before it existed has seen all of nothing.
  const bool from_nothing = request.incarnation() == 0 && request.since() == 0;
  const bool gap = (!from_nothing && request.incarnation() != head.incarnation()) ||
                   request.since() > head.version() || request.since() < head.floor();
  const size_t bytes_max =
      request.max_bytes() == 0 ? model::k_sync_bytes_max
                               : std::min<size_t>(request.max_bytes(), model::k_sync_bytes_max);
  internal::InboxSyncResponse response;
  response.set_incarnation(head.incarnation());
  if (request.first() || gap) {
    TRY(add_first(call, request.uin(), bytes_max, response));
    response.set_reset(!request.first());
  } else {
    TRY(add_log(call, request.uin(), request.since(), bytes_max, response));
  }
  core_.counters.syncs.add(1);
  if (response.reset()) core_.counters.resets.add(1);
  core_.counters.sync_us.record(runtime::milliseconds((core_.env.now() - start) * 1000));
  return response;
}

Status Syncer::add_log(Call& call, uint64_t uin, uint64_t since, size_t bytes_max,
                       internal::InboxSyncResponse& response) {
  size_t used = response.ByteSizeLong();
  bool any = response.entries_size() > 0;  // Progress: one commit at least in an answer that has nothing else.
  response.set_version(since);
  while (true) {
    const size_t room = bytes_max - std::min(bytes_max, used);
    const store::ReadReply reply = TRY(core_.store.read(
        call, {.entity = entity_of(uin), .from = log_key(response.version() + 1), .to = "M",
               .bytes_max = std::max(room, k_page_bytes_min)}));
    // Rows between two reads may have been purged, or the whole inbox restored: the next answer says so.
    if (reply.header.incarnation != response.incarnation() || reply.header.floor > response.version()) {
      response.set_more(true);
      return {};
    }
    for (const store::Row& row : reply.rows) {
      std::vector<client::Entry> entries = TRY(entries_of(call, core_, uin, row));
      const size_t size = size_of(entries);
      if (any && used + size > bytes_max) {
        response.set_more(true);
        return {};
      }
      used += size;
      any = true;
      move_into(entries, response);
      response.set_version(last_number(row.key));
    }
    if (!reply.more) {
      response.set_version(reply.header.version);  // The end of the log may be rows that later ones superseded.
      return {};
    }
  }
}

// Everything read after the list is at least as new as it, so the version of the list is a good cut: what came
// meanwhile comes again with the next answer, and nothing is skipped.
Status Syncer::add_first(Call& call, uint64_t uin, size_t bytes_max, internal::InboxSyncResponse& response) {
  LoadedViews loaded = TRY(load_views(call, core_, uin));
  const store::Header header = loaded.header;
  response.set_incarnation(header.incarnation);
  response.set_version(header.version);
  if (loaded.views.size() > k_first_conversations) loaded.views.resize(k_first_conversations);
  const auto states = TRY(states_of(call, core_, uin, loaded.views));
  size_t used = response.ByteSizeLong();
  for (const client::ConversationState& state : states) {
    client::Entry entry;
    *entry.mutable_state() = state;
    const size_t size = entry.ByteSizeLong() + k_entry_overhead;
    if (used + size > bytes_max && response.entries_size() > 0) break;  // Older ones are listed on demand.
    used += size;
    *response.add_entries() = std::move(entry);
  }
  if (header.floor == 0 && header.version <= k_first_whole_log_max) return add_log(call, uin, 0, bytes_max, response);

  for (size_t i = 0; i < loaded.views.size() && i < k_first_pages; ++i) {
    const View& view = loaded.views[i];
    // Below a marker there are gaps, which only history fills.
    const uint64_t above = std::max<uint64_t>(view.settings.cleared_position(), view.marked.up_to());
    Page page = TRY(load_page(call, core_, uin, view.id, 0, above, k_first_page_messages));
    std::reverse(page.messages.begin(), page.messages.end());
    std::vector<client::Entry> entries;
    for (client::Message& message : page.messages) {
      if ((message.flags() & model::k_flag_no_sender_sync) != 0 && message.sender() == uin) continue;
      *entries.emplace_back().mutable_message() = std::move(message);
    }
    // A page comes whole or not at all: half of one would look like a short conversation.
    const size_t size = size_of(entries);
    if (used + size > bytes_max) return {};
    used += size;
    move_into(entries, response);
  }
  return {};
}

}  // namespace hongyan::inbox
