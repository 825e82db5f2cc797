#include "logic/chat/chat_service.h"

#include "api/client/checks.h"
#include "api/internal/level_one.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/priority.h"
#include "rpc/ticket.h"

namespace hongyan::logic {

namespace {

using namespace client;

class ChatServiceImpl : public ChatService {
 public:
  explicit ChatServiceImpl(ChatDeps deps) : deps_(std::move(deps)) {}

  Result<SendResponse> send(Call& call, const SendRequest& request) override {
    const uint64_t me = TRY(rpc::caller_of(call)).identity.uin;
    TRY(api::check_batch(request.messages()));
    const uint64_t peer = request.messages(0).conversation().id();
    if (model::is_group(peer)) {
      Call own = call;
      own.priority.business = model::k_priority_group_send;
      return deps_.group_chat.send_to_group(own, request);
    }

    internal::AppendRequest append;
    append.set_uin(me);
    *append.mutable_messages() = request.messages();
    if (peer == me) return answer(request, TRY(deps_.inbox.append(call, append)));  // A note to oneself needs no right.
    append.set_peer(peer);
    append.set_grant(TRY(may_write(call, me, peer)));
    return answer(request, TRY(deps_.inbox.send(call, append)));
  }

  Result<MarkReadResponse> mark_read(Call& call, const MarkReadRequest& request) override {
    internal::InboxMarkReadRequest mark;
    mark.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    *mark.mutable_conversation() = api::meant(request.conversation());
    mark.set_position(request.position());
    MarkReadResponse response;
    *response.mutable_state() = TRY(deps_.inbox.mark_read(call, mark)).state();
    if (!api::knows_groups(request.base())) TRY(api::render_level_one(call, deps_.account, mark.uin(), *response.mutable_state()));
    return response;
  }

  Result<SetConversationResponse> set_conversation(Call& call, const SetConversationRequest& request) override {
    internal::InboxSetConversationRequest set;
    set.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    *set.mutable_conversation() = api::meant(request.conversation());
    set.set_mute_until_ms(request.mute_until_ms());
    set.set_pin_rank(request.pin_rank());
    set.set_hidden(request.hidden());
    set.set_draft(request.draft());
    set.set_cleared_position(request.cleared_position());
    *set.mutable_fields() = request.fields();
    SetConversationResponse response;
    *response.mutable_state() = TRY(deps_.inbox.set_conversation(call, set)).state();
    if (!api::knows_groups(request.base())) TRY(api::render_level_one(call, deps_.account, set.uin(), *response.mutable_state()));
    return response;
  }

  Result<HistoryResponse> history(Call& call, const HistoryRequest& request) override {
    const uint64_t me = TRY(rpc::caller_of(call)).identity.uin;
    if (model::is_group(request.conversation().id())) return group_history(call, me, request);
    internal::InboxHistoryRequest history;
    history.set_uin(me);
    *history.mutable_conversation() = request.conversation();
    history.set_before_position(request.before_position());
    history.set_limit(request.limit());
    internal::InboxHistoryResponse found = TRY(deps_.inbox.history(call, history));
    HistoryResponse response;
    *response.mutable_messages() = std::move(*found.mutable_messages());
    response.set_more(found.more());
    return response;
  }

  Result<ListConversationsResponse> list_conversations(Call& call, const ListConversationsRequest& request) override {
    internal::InboxConversationsRequest list;
    list.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    list.set_before_version(request.before_version());
    list.set_limit(request.limit());
    internal::InboxConversationsResponse found = TRY(deps_.inbox.conversations(call, list));
    ListConversationsResponse response;
    *response.mutable_conversations() = std::move(*found.mutable_conversations());
    if (!api::knows_groups(request.base())) TRY(api::render_level_one(call, deps_.account, list.uin(), *response.mutable_conversations()));
    response.set_more(found.more());
    return response;
  }

  Result<TypingResponse> typing(Call& call, const TypingRequest& request) override {
    const uint64_t me = TRY(rpc::caller_of(call)).identity.uin;
    TRY(api::check_conversation(request.conversation()));
    const uint64_t peer = request.conversation().id();
    if (request.conversation().type() != model::k_conversation_direct || !model::is_user(peer) || peer == me) {
      return Status(Code::invalid, "typing is shown to one other person only");
    }
    internal::SignalRequest signal;
    signal.set_uin(peer);
    signal.set_grant(TRY(may_write(call, me, peer)));
    signal.mutable_ring()->set_kind(model::k_ring_kind_typing);
    signal.mutable_ring()->set_actor(me);
    signal.mutable_ring()->mutable_conversation()->set_type(model::k_conversation_direct);
    signal.mutable_ring()->mutable_conversation()->set_id(me);
    TRY(deps_.presence.signal(call, signal));
    return TypingResponse();
  }

 private:
  Result<HistoryResponse> group_history(Call& call, uint64_t me, const HistoryRequest& request) {
    internal::InboxConversationRequest conversation;
    conversation.set_uin(me);
    *conversation.mutable_conversation() = api::meant(request.conversation());
    const uint64_t cleared = TRY(deps_.inbox.conversation(call, conversation)).state().cleared_position();
    internal::GroupHistoryRequest history;
    history.set_uin(me);
    history.set_group(request.conversation().id());
    history.set_before_seq(request.before_position());
    history.set_after_seq(cleared);
    history.set_limit(request.limit());
    internal::GroupHistoryResponse found = TRY(deps_.group.history(call, history));
    HistoryResponse response;
    *response.mutable_messages() = std::move(*found.mutable_messages());
    if (!api::knows_groups(request.base())) TRY(api::render_level_one(call, deps_.account, me, *response.mutable_messages()));
    response.set_more(found.more());
    return response;
  }

  Result<std::string> may_write(Call& call, uint64_t me, uint64_t peer) {
    internal::MayWriteRequest request;
    request.set_uin(me);
    request.set_peer(peer);
    return TRY(deps_.contact.may_write(call, request)).grant();
  }

  static SendResponse answer(const SendRequest& request, const internal::AppendResponse& appended) {
    SendResponse response;
    for (int i = 0; i < appended.appended_size(); ++i) {
      Sent& sent = *response.add_sent();
      sent.set_client_msg_id(request.messages(i).client_msg_id());
      sent.set_code(appended.appended(i).code());
      sent.set_key(appended.appended(i).key());
      sent.set_server_time_ms(appended.appended(i).server_time_ms());
      sent.set_position(appended.appended(i).version());
    }
    return response;
  }

  ChatDeps deps_;
};

}  // namespace

std::unique_ptr<client::ChatService> make_chat(Env&, ChatDeps deps) {
  return std::make_unique<ChatServiceImpl>(std::move(deps));
}

}  // namespace hongyan::logic
