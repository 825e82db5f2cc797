#include "data/inbox/append.h"

#include "api/client/checks.h"
#include "data/inbox/deduplicated.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"

namespace hongyan::inbox {

namespace {

// Everything about a send that holds for all its messages.
Status check_request(const internal::AppendRequest& request) {
  if (request.messages_size() == 0) return Status(Code::invalid, "no message");
  if (static_cast<size_t>(request.messages_size()) > model::k_batch_messages_max) {
    return Status(Code::too_large, "more than 16 messages in one request");
  }
  const ConversationId first = conversation_id(request.messages(0).conversation());
  for (const client::Message& message : request.messages()) {
    const client::Conversation& c = message.conversation();
    if (c.type() != first.type || conversation_id(c) != first) {
      return Status(Code::invalid, "messages of several conversations in one request");
    }
    if (message.sender() != 0 && message.sender() != request.uin()) {
      return Status(Code::forbidden, "the sender is somebody else");
    }
  }
  if (first.type != model::k_conversation_direct || !model::is_user(first.id)) {
    return Status(Code::invalid, "no conversation with a person");
  }
  return {};
}

// What the server says about a message, and only what the client may say beside it.
client::Message stamped(const client::Message& given, uint64_t sender, int64_t now_ms) {
  client::Message message = given;
  message.DiscardUnknownFields();  // No limit stands for them.
  message.set_sender(sender);
  message.set_key(api::message_key(sender, message.client_msg_id()));
  message.set_server_time_ms(now_ms);
  message.clear_position();
  message.clear_version();
  message.clear_revision();
  message.clear_state();
  return message;
}

void put_code(internal::AppendResponse& response, const Status& status) {
  response.add_appended()->set_code(static_cast<uint32_t>(status.code()));
}

}  // namespace

std::string device_of(const Call& call) {
  const Result<rpc::Caller> caller = rpc::caller_of(call);
  return caller.ok() ? caller->identity.device : std::string();
}

// The guard has checked the grants that policies name; this holds where a policy does not ask for one.
Status Appender::check_write_grant(std::string_view encoded, uint64_t actor, uint64_t object) {
  const rpc::Grant grant = TRY(rpc::check_grant(core_.contact_ring, encoded, core_.env.utc_ms()));
  if (grant.issuer != "contact" || grant.right != "write" || grant.job || grant.actor != actor ||
      grant.object != object) {
    return Status(Code::forbidden, "the grant is for something else");
  }
  return {};
}

Result<internal::AppendResponse> Appender::append(Call& call, const internal::AppendRequest& request) {
  TRY(check_request(request));
  const uint64_t uin = request.uin();
  const uint64_t peer = request.messages(0).conversation().id();
  const bool to_self = peer == uin;
  if (!to_self) TRY(check_write_grant(request.grant(), uin, peer));

  const int64_t now_ms = core_.env.utc_ms();
  std::vector<client::Message> messages;
  Status refused;
  for (const client::Message& given : request.messages()) {
    refused = api::check_message(given);
    if (!refused.ok()) break;
    messages.push_back(stamped(given, uin, now_ms));
  }

  std::vector<Append> appends;
  for (const client::Message& message : messages) {
    appends.push_back(append_of(uin, message, api::payload_hash(message)));
    store::Commit& commit = appends.back().commit;
    if (!to_self) {
      OpenSendRow open;
      open.set_peer(peer);
      open.set_key(message.key());
      open.set_time_ms(now_ms);
      commit.mutations.push_back(put_at_version(open_prefix(), open.SerializeAsString()));
      commit.mark_work = model::k_work_open_send;
    } else if (core_.config.retention != Retention::forever) {
      commit.mark_work = model::k_work_retention;
    }
  }
  // Sends that have reached their peers are closed by the way.
  const std::vector<uint64_t> delivered = open_sends_.delivered(uin);
  if (!appends.empty()) {
    for (uint64_t version : delivered) appends[0].commit.mutations.push_back(erase(open_key(version)));
  }

  const InOrder done = commit_deduplicated(call, core_.store, appends, OnReused::stop);
  internal::AppendResponse response;
  uint64_t newest = 0;
  for (size_t i = 0; i < done.outcomes.size(); ++i) {
    const Outcome& outcome = done.outcomes[i];
    if (outcome.reused) {
      refused = model::error(model::ErrorCode::client_msg_id_reused);
      break;
    }
    internal::Appended& appended = *response.add_appended();
    appended.set_key(messages[i].key());
    appended.set_version(outcome.version);
    appended.set_duplicate(!outcome.committed);
    appended.set_server_time_ms(outcome.committed ? now_ms : outcome.present->server_time_ms);
    if (!outcome.committed) {
      core_.counters.duplicates.add(1);
      continue;
    }
    if (i == 0) open_sends_.forget(uin, delivered);
    newest = outcome.version;
    core_.counters.appends.add(1);
    core_.counters.bytes.add(static_cast<int64_t>(appends[i].bytes));
    if (!to_self) core_.counters.open_sends.add(1);
  }
  if (newest != 0) core_.rings.ring(uin, newest, request.messages(0).conversation(), uin, device_of(call));

  if (!done.failure.ok()) {
    if (response.appended_size() == 0) return done.failure;  // Nothing was done: the whole call failed.
    put_code(response, done.failure);
  } else if (!refused.ok()) {
    put_code(response, refused);
  }
  return response;
}

Result<internal::AppendToPeerResponse> Appender::append_to_peer(Call& call,
                                                                const internal::AppendToPeerRequest& request) {
  const uint64_t receiver = request.uin();
  const uint64_t sender = request.actor();
  if (!model::is_user(receiver) || !model::is_user(sender) || receiver == sender) {
    return Status(Code::invalid, "a message to a peer has two people");
  }
  TRY(check_write_grant(request.grant(), sender, receiver));
  if (request.messages_size() == 0) return Status(Code::invalid, "no message");
  if (static_cast<size_t>(request.messages_size()) > model::k_batch_messages_max) {
    return Status(Code::too_large, "more than 16 messages in one request");
  }
  std::vector<client::Message> messages;
  for (const client::Message& given : request.messages()) {
    if (given.sender() != sender) return Status(Code::forbidden, "the sender is not the actor");
    client::Message message = given;
    message.DiscardUnknownFields();
    fill(direct(receiver), *message.mutable_conversation());  // As the sender sees it.
    TRY(api::check_message(message));
    if (message.key() != api::message_key(sender, message.client_msg_id())) {
      return Status(Code::invalid, "the key is not of this message");
    }
    if (message.server_time_ms() <= 0) return Status(Code::invalid, "no server time");
    message.clear_revision();
    message.clear_state();
    messages.push_back(std::move(message));
  }
  internal::AppendToPeerResponse response;
  response.set_version(TRY(open_sends_.deliver(call, sender, receiver, messages)));
  return response;
}

}  // namespace hongyan::inbox
