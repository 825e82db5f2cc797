#include "data/inbox/append.h"

#include <google/protobuf/unknown_field_set.h>

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

// DiscardUnknownFields() walks over all fields, which takes as long as the rest of a short message.
bool has_unknown_fields(const client::Message& message) {
  const auto in = [](const google::protobuf::Message& part) { return !part.GetReflection()->GetUnknownFields(part).empty(); };
  return in(message) || in(message.conversation()) || in(message.quote()) || in(message.quote().conversation());
}

// What the server says about a message, and only what the client may say beside it.
client::Message stamped(const client::Message& given, uint64_t sender, int64_t now_ms) {
  client::Message message = given;
  if (has_unknown_fields(given)) message.DiscardUnknownFields();  // No limit stands for them.
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

Result<Appender::Given> Appender::checked(const internal::AppendRequest& request) {
  TRY(check_request(request));
  Given given{.uin = request.uin(),
              .peer = request.messages(0).conversation().id(),
              .now_ms = core_.env.utc_ms(),
              .messages = {},
              .refused = {}};
  given.messages.reserve(static_cast<size_t>(request.messages_size()));
  for (const client::Message& message : request.messages()) {
    given.refused = api::check_message(message);
    if (!given.refused.ok()) break;
    given.messages.push_back(stamped(message, given.uin, given.now_ms));
  }
  return given;
}

Result<internal::AppendResponse> Appender::append(Call& call, const internal::AppendRequest& request) {
  const Given given = TRY(checked(request));
  if (given.peer != given.uin) TRY(check_write_grant(request.grant(), given.uin, given.peer));
  return append_own(call, given);
}

// The guard has checked owner and grant.
Result<internal::AppendResponse> Appender::send(Call& call, const internal::AppendRequest& request) {
  const Given given = TRY(checked(request));
  if (given.peer == given.uin || given.peer != request.peer()) {
    return Status(Code::invalid, "the messages are not for the peer");
  }
  std::optional<internal::AppendResponse> sent;
  if (!given.messages.empty() && TRY(open_sends_.none_open(call, given.uin))) sent = TRY(send_together(call, given));
  if (!sent) sent = TRY(send_in_steps(call, given));
  return *std::move(sent);
}

// Nothing, and nothing done, when the messages can't all be put at once: one is there already, or the store has the two
// inboxes in different places.
Result<std::optional<internal::AppendResponse>> Appender::send_together(Call& call, const Given& given) {
  const size_t count = given.messages.size();
  std::vector<store::Commit> commits(2 * count);  // The sender's first.
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const client::Message& message = given.messages[i];
    Appends appends = append_both(given.uin, given.peer, message, api::payload_hash(message));
    bytes += appends.mine.bytes + appends.theirs.bytes;
    commits[i] = std::move(appends.mine.commit);
    commits[count + i] = std::move(appends.theirs.commit);
  }
  if (core_.config.retention != Retention::forever) {
    for (store::Commit& commit : commits) commit.mark_work = model::k_work_retention;
  }
  const std::vector<uint64_t> delivered = open_sends_.delivered(given.uin);
  for (uint64_t version : delivered) commits[0].mutations.push_back(erase(open_key(version)));

  const auto replies = core_.store.commit_many(call, std::move(commits), store::Order::together);
  ENSURE(replies.size() == 2 * count);
  for (const Result<store::CommitReply>& reply : replies) {
    if (reply.ok() ? !reply->committed : reply.code() == Code::unsupported) return std::optional<internal::AppendResponse>();
  }
  for (const Result<store::CommitReply>& reply : replies) {
    if (!reply.ok() && reply.code() != Code::cancelled) return reply.status();
  }
  for (const Result<store::CommitReply>& reply : replies) TRY(reply);

  open_sends_.forget(given.uin, delivered);
  core_.counters.appends.add(static_cast<int64_t>(2 * count));
  core_.counters.bytes.add(static_cast<int64_t>(bytes));
  internal::AppendResponse response;
  for (size_t i = 0; i < count; ++i) {
    internal::Appended& appended = *response.add_appended();
    appended.set_key(given.messages[i].key());
    appended.set_version(replies[i]->header.version);
    appended.set_server_time_ms(given.now_ms);
  }
  const client::Conversation& conversation = given.messages[0].conversation();
  core_.rings.ring(given.uin, replies[count - 1]->header.version, conversation, given.uin, device_of(call));
  client::Conversation theirs;
  fill(direct(given.uin), theirs);
  core_.rings.ring(given.peer, replies[2 * count - 1]->header.version, theirs, given.uin, {});
  if (!given.refused.ok()) put_code(response, given.refused);
  return std::optional<internal::AppendResponse>(std::move(response));
}

Result<internal::AppendResponse> Appender::send_in_steps(Call& call, const Given& given) {
  internal::AppendResponse response = TRY(append_own(call, given));
  std::vector<client::Message> sent;
  for (int i = 0; i < response.appended_size() && response.appended(i).code() == 0; ++i) {
    client::Message& message = sent.emplace_back(given.messages[static_cast<size_t>(i)]);
    message.set_server_time_ms(response.appended(i).server_time_ms());  // Of the first time, if it came before.
  }
  if (!sent.empty()) TRY(open_sends_.deliver(call, given.uin, given.peer, sent));
  return response;
}

Result<internal::AppendResponse> Appender::append_own(Call& call, const Given& given) {
  const uint64_t uin = given.uin;
  const bool to_self = given.peer == uin;
  Status refused = given.refused;
  std::vector<Append> appends;
  for (const client::Message& message : given.messages) {
    appends.push_back(append_of(uin, message, api::payload_hash(message)));
    store::Commit& commit = appends.back().commit;
    if (!to_self) {
      OpenSendRow open;
      open.set_peer(given.peer);
      open.set_key(message.key());
      open.set_time_ms(given.now_ms);
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

  std::optional<OpenSends::Opening> opening;
  if (!to_self) opening.emplace(open_sends_, uin);
  const InOrder done = commit_deduplicated(call, core_.store, appends, OnReused::stop);
  opening.reset();
  internal::AppendResponse response;
  uint64_t newest = 0;
  for (size_t i = 0; i < done.outcomes.size(); ++i) {
    const Outcome& outcome = done.outcomes[i];
    if (outcome.reused) {
      refused = model::error(model::ErrorCode::client_msg_id_reused);
      break;
    }
    internal::Appended& appended = *response.add_appended();
    appended.set_key(given.messages[i].key());
    appended.set_version(outcome.version);
    appended.set_duplicate(!outcome.committed);
    appended.set_server_time_ms(outcome.committed ? given.now_ms : outcome.present->server_time_ms);
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
  if (newest != 0) core_.rings.ring(uin, newest, given.messages[0].conversation(), uin, device_of(call));

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
