#include "data/inbox/conversation.h"

#include <algorithm>

#include "api/client/checks.h"
#include "data/inbox/append.h"
#include "data/inbox/limits.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"

namespace hongyan::inbox {

namespace {

Result<ConversationId> checked(const client::Conversation& conversation) {
  TRY(api::check_conversation(conversation));
  return conversation_id(conversation);
}

// The highest position that exists: a mark beyond it would hide messages that are still to come.
uint64_t highest_position(const LoadedView& loaded) {
  if (loaded.view.id.type != model::k_conversation_group) return loaded.header.version;
  return std::max(loaded.view.group_seq, loaded.view.last_position);
}

// Which settings a request names.
struct Named {
  bool mute = false, pin = false, hidden = false, draft = false, cleared = false;
};
Result<Named> named_fields(const internal::InboxSetConversationRequest& request) {
  Named named;
  for (const std::string& field : request.fields()) {
    if (field == "mute_until_ms") named.mute = true;
    else if (field == "pin_rank") named.pin = true;
    else if (field == "hidden") named.hidden = true;
    else if (field == "draft") named.draft = true;
    else if (field == "cleared_position") named.cleared = true;
    else return Status(Code::invalid, "fields names something unknown");
  }
  if (request.fields_size() == 0) return Status(Code::invalid, "fields is empty");
  if (named.draft && request.draft().size() > k_draft_bytes_max) {
    return Status(Code::too_large, "draft has more than 4096 bytes");
  }
  return named;
}

}  // namespace

Result<internal::ConversationStateResponse> Conversations::answer(Call& call, uint64_t uin, const ConversationId& id) {
  const LoadedView loaded = TRY(load_view(call, core_, uin, id));
  auto states = TRY(states_of(call, core_, uin, {loaded.view}));
  internal::ConversationStateResponse response;
  *response.mutable_state() = std::move(states[0]);
  return response;
}

// False: somebody changed the view meanwhile. Appends change the unread row, every change of the view its state row.
Result<bool> Conversations::commit_view(Call& call, uint64_t uin, const View& view,
                                        std::vector<store::Mutation> mutations) {
  store::Commit commit{.entity = entity_of(uin)};
  commit.preconditions.push_back(unchanged(view_key(view.id, Field::unread), view.unread_row));
  commit.preconditions.push_back(unchanged(view_key(view.id, Field::state), view.state_row));
  commit.preconditions.push_back(unchanged(view_key(view.id, Field::marker), view.marker_row));
  LogRow row;
  row.mutable_state()->set_type(view.id.type);
  row.mutable_state()->set_id(view.id.id);
  row.mutable_state()->set_thread(view.id.thread);
  row.set_time_ms(core_.env.utc_ms());
  commit.mutations = std::move(mutations);
  if (view.state_version != 0) commit.mutations.push_back(erase(log_key(view.state_version)));
  commit.mutations.push_back(put_at_version(log_prefix(), row.SerializeAsString()));
  commit.mutations.push_back(put_with_version(view_key(view.id, Field::state)));
  if (core_.config.retention != Retention::forever) commit.mark_work = model::k_work_retention;
  const store::CommitReply reply = TRY(core_.store.commit(call, std::move(commit)));
  if (!reply.committed) {
    core_.counters.conflicts.add(1);
    return false;
  }
  client::Conversation conversation;
  fill(view.id, conversation);
  core_.rings.ring(uin, reply.header.version, conversation, uin, device_of(call));
  return true;
}

Status Conversations::add_read_mark(Call& call, uint64_t uin, const View& view, uint64_t position,
                                    std::vector<store::Mutation>& mutations) {
  const Counted counted = TRY(count_unread(call, core_, uin, view, position));
  mutations.push_back(raise(view_key(view.id, Field::read), position));
  mutations.push_back(put(view_key(view.id, Field::unread), number_value(counted.unread)));
  if (view.mentions != 0 || counted.mentions != 0) {
    mutations.push_back(put(view_key(view.id, Field::mentions), number_value(counted.mentions)));
  }
  return {};
}

Result<internal::ConversationStateResponse> Conversations::mark_read(Call& call,
                                                                     const internal::InboxMarkReadRequest& request) {
  const ConversationId id = TRY(checked(request.conversation()));
  for (int attempt = 0; attempt < k_conflict_retries_max; ++attempt) {
    const LoadedView loaded = TRY(load_view(call, core_, request.uin(), id));
    const uint64_t position = std::min(request.position(), highest_position(loaded));
    // Only forward: the mark is the furthest that any device has read.
    if (!loaded.view.exists || position <= loaded.view.read) return answer(call, request.uin(), id);
    std::vector<store::Mutation> mutations;
    TRY(add_read_mark(call, request.uin(), loaded.view, position, mutations));
    if (TRY(commit_view(call, request.uin(), loaded.view, std::move(mutations)))) {
      return answer(call, request.uin(), id);
    }
  }
  return Status(Code::conflict, "the conversation changes too fast");
}

Result<internal::ConversationStateResponse> Conversations::set(Call& call,
                                                               const internal::InboxSetConversationRequest& request) {
  const ConversationId id = TRY(checked(request.conversation()));
  const Named named = TRY(named_fields(request));
  for (int attempt = 0; attempt < k_conflict_retries_max; ++attempt) {
    const LoadedView loaded = TRY(load_view(call, core_, request.uin(), id));
    const View& view = loaded.view;
    SettingsRow settings = view.settings;
    std::vector<store::Mutation> mutations;
    if (named.mute) settings.set_mute_until_ms(request.mute_until_ms());
    if (named.pin) settings.set_pin_rank(request.pin_rank());
    if (named.draft) settings.set_draft(request.draft());
    // Until the next message: an append is blind, so it brings a conversation back by its position alone.
    if (named.hidden) settings.set_hidden_before(request.hidden() ? view.last_position + 1 : 0);
    if (named.cleared) {
      const uint64_t cleared = std::min(request.cleared_position(), highest_position(loaded));
      settings.set_cleared_position(std::max(cleared, settings.cleared_position()));
      if (settings.cleared_position() > view.read) {  // What is cleared needs no reading.
        TRY(add_read_mark(call, request.uin(), view, settings.cleared_position(), mutations));
      }
    }
    std::string value = settings.SerializeAsString();
    if (value == view.settings.SerializeAsString() && mutations.empty()) return answer(call, request.uin(), id);
    mutations.push_back(put(view_key(id, Field::settings), std::move(value)));
    if (named.mute) mutations.push_back(put(view_key(id, Field::muted_until), number_value(settings.mute_until_ms())));
    if (TRY(commit_view(call, request.uin(), view, std::move(mutations)))) return answer(call, request.uin(), id);
  }
  return Status(Code::conflict, "the conversation changes too fast");
}

Result<internal::ConversationStateResponse> Conversations::get(Call& call, const internal::InboxConversationRequest& request) {
  return answer(call, request.uin(), TRY(checked(request.conversation())));
}

Result<internal::InboxConversationsResponse> Conversations::list(Call& call,
                                                                 const internal::InboxConversationsRequest& request) {
  const size_t limit = request.limit() == 0
                           ? model::k_conversations_page_max
                           : std::min<size_t>(request.limit(), model::k_conversations_page_max);
  LoadedViews loaded = TRY(load_views(call, core_, request.uin()));
  if (request.before_version() != 0) {
    std::erase_if(loaded.views, [&](const View& view) { return view.changed_at() >= request.before_version(); });
  }
  internal::InboxConversationsResponse response;
  response.set_more(loaded.views.size() > limit);
  if (response.more()) loaded.views.resize(limit);
  for (client::ConversationState& state : TRY(states_of(call, core_, request.uin(), loaded.views))) {
    *response.add_conversations() = std::move(state);
  }
  return response;
}

Result<internal::InboxHistoryResponse> Conversations::history(Call& call,
                                                              const internal::InboxHistoryRequest& request) {
  const ConversationId id = TRY(checked(request.conversation()));
  const size_t limit = request.limit() == 0 ? model::k_history_rows_max
                                            : std::min<size_t>(request.limit(), model::k_history_rows_max);
  const LoadedView loaded = TRY(load_view(call, core_, request.uin(), id));
  Page page = TRY(load_page(call, core_, request.uin(), id, request.before_position(),
                            loaded.view.settings.cleared_position(), limit));
  internal::InboxHistoryResponse response;
  size_t bytes = 0;
  for (client::Message& message : page.messages) {
    bytes += message.ByteSizeLong();
    // 100 messages of 32 KiB are more than a link takes: fewer now, the rest with the next page.
    if (bytes > model::k_request_bytes_max / 2 && response.messages_size() > 0) {
      page.more = true;
      break;
    }
    *response.add_messages() = std::move(message);
  }
  response.set_more(page.more);
  return response;
}

}  // namespace hongyan::inbox
