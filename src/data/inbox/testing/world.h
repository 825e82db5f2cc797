// An inbox service over a store that outlives it, with fakes around it: what this room's tests stand in.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/client/checks.h"
#include "data/inbox/inbox_service.h"
#include "data/inbox/inbox_table.h"
#include "data/inbox/testing/faulty_store.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"

namespace hongyan::inbox {

inline constexpr uint64_t k_ann = 10'101;
inline constexpr uint64_t k_bob = 10'102;
inline constexpr uint64_t k_cat = 10'103;
inline constexpr uint64_t k_group_id = model::k_group_bit + 77;

class World {
 public:
  explicit World(InboxConfig settings = {}) : config(settings) {
    presence.on_ring = [this](Call&, const internal::RingRequest& request) -> Result<internal::RingResponse> {
      rings.push_back(request);
      if (rings_fail) return Status(Code::unavailable, "no presence");
      return internal::RingResponse();
    };
    device.on_cursors = [this](Call& call, const internal::CursorsRequest&) -> Result<internal::CursorsResponse> {
      const auto caller = rpc::caller_of(call);
      EXPECT_TRUE(caller.ok() && caller->service == "inbox");
      return cursors;
    };
    restart();
  }

  // A new process on what is stored.
  void restart() {
    room.reset();
    store.reopen();
    room = make_inbox(env, {store, internal::PresenceClient(presence_channel), internal::DeviceClient(device_channel),
                            contact_keys, rpc::ServiceIdentity(env, audiences, "inbox")}, config);
  }

  Call as(uint64_t uin, const std::string& device_id = "device-of-16-byt") {
    Call call = env.call();
    call.ticket = std::make_shared<const std::string>(rpc::make_call_ticket(
        audiences, {.uin = uin, .device = device_id, .epoch = 1, .feature_level = 2,
                    .expires_ms = env.utc_ms() + rpc::k_call_ticket_ms_max}));
    return call;
  }
  std::string grant(uint64_t actor, uint64_t object, const std::string& right = "write") {
    return rpc::make_grant(contact_keys, {.issuer = "contact", .actor = actor, .object = object, .right = right,
                                          .expires_ms = env.utc_ms() + 60'000});
  }

  static client::Message text(uint64_t to, const std::string& id, const std::string& content = "hello") {
    client::Message message;
    fill(direct(to), *message.mutable_conversation());
    message.set_client_msg_id(id);
    message.set_kind(model::k_kind_text);
    message.set_content(content);
    return message;
  }

  Result<internal::AppendResponse> append(uint64_t from, uint64_t to, std::vector<client::Message> messages) {
    internal::AppendRequest request;
    request.set_uin(from);
    if (to != from) request.set_grant(grant(from, to));
    for (const client::Message& message : messages) *request.add_messages() = message;
    Call call = as(from);
    return room->append(call, request);
  }
  Result<internal::AppendToPeerResponse> to_peer(uint64_t from, uint64_t to, std::vector<client::Message> messages,
                                                 const internal::AppendResponse& appended) {
    internal::AppendToPeerRequest request;
    request.set_uin(to);
    request.set_actor(from);
    request.set_grant(grant(from, to));
    for (int i = 0; i < appended.appended_size() && appended.appended(i).code() == 0; ++i) {
      client::Message& message = *request.add_messages();
      message = messages[static_cast<size_t>(i)];
      message.set_sender(from);
      message.set_key(appended.appended(i).key());
      message.set_server_time_ms(appended.appended(i).server_time_ms());
    }
    Call call = as(from);
    return room->append_to_peer(call, request);
  }
  // As logic/chat does it.
  Result<internal::AppendResponse> send_at_once(uint64_t from, uint64_t to, std::vector<client::Message> messages) {
    internal::AppendRequest request;
    request.set_uin(from);
    request.set_peer(to);
    request.set_grant(grant(from, to));
    for (const client::Message& message : messages) *request.add_messages() = message;
    Call call = as(from);
    return room->send(call, request);
  }
  Status send_at_once(uint64_t from, uint64_t to, const std::string& id) {
    const internal::AppendResponse sent = TRY(send_at_once(from, to, {text(to, id, "text " + id)}));
    return Status(static_cast<Code>(sent.appended(0).code()), "");
  }
  // As whoever has the two inboxes in different places. The status is what the client is told.
  Status send(uint64_t from, uint64_t to, client::Message message) {
    const internal::AppendResponse appended = TRY(append(from, to, {message}));
    if (appended.appended(0).code() != 0) return Status(static_cast<Code>(appended.appended(0).code()), "refused");
    if (from == to) return {};
    TRY(to_peer(from, to, {message}, appended));
    return {};
  }
  Status send(uint64_t from, uint64_t to, const std::string& id) { return send(from, to, text(to, id, "text " + id)); }

  Result<internal::InboxSyncResponse> sync(uint64_t uin, uint64_t since, uint32_t max_bytes = 0, bool first = false) {
    internal::HeadRequest head;
    head.set_uin(uin);
    Call call = as(uin);
    internal::InboxSyncRequest request;
    request.set_uin(uin);
    request.set_incarnation(TRY(room->head(call, head)).incarnation());
    request.set_since(since);
    request.set_max_bytes(max_bytes);
    request.set_first(first);
    return room->sync(call, request);
  }
  // Everything after `since`, by as many answers as it takes.
  std::vector<client::Entry> sync_all(uint64_t uin, uint64_t since = 0, uint32_t max_bytes = 0) {
    std::vector<client::Entry> entries;
    for (bool more = true; more;) {
      auto answer = sync(uin, since, max_bytes);
      EXPECT_TRUE(answer.ok()) << answer.status().detail();
      if (!answer.ok()) return entries;
      EXPECT_FALSE(answer->reset());
      for (client::Entry& entry : *answer->mutable_entries()) entries.push_back(std::move(entry));
      more = answer->more();
      EXPECT_TRUE(!more || answer->version() > since) << "an answer without progress";
      if (more && answer->version() <= since) return entries;
      since = answer->version();
    }
    return entries;
  }
  // client_msg_ids of the messages in the log, in order.
  std::vector<std::string> ids(uint64_t uin) {
    std::vector<std::string> found;
    for (const client::Entry& entry : sync_all(uin)) {
      if (entry.has_message()) found.push_back(entry.message().client_msg_id());
    }
    return found;
  }
  client::ConversationState state(uint64_t uin, const ConversationId& id) {
    Call call = as(uin);
    internal::InboxConversationsRequest request;
    request.set_uin(uin);
    auto response = room->conversations(call, request);
    EXPECT_TRUE(response.ok());
    for (const client::ConversationState& found : response->conversations()) {
      if (conversation_id(found.conversation()) == id) return found;
    }
    return {};
  }
  Result<client::ConversationState> mark_read(uint64_t uin, const ConversationId& id, uint64_t position) {
    internal::InboxMarkReadRequest request;
    request.set_uin(uin);
    fill(id, *request.mutable_conversation());
    request.set_position(position);
    Call call = as(uin);
    return TRY(room->mark_read(call, request)).state();
  }
  Result<internal::InboxHistoryResponse> history(uint64_t uin, const ConversationId& id, uint64_t before = 0,
                                                 uint32_t limit = 0) {
    internal::InboxHistoryRequest request;
    request.set_uin(uin);
    fill(id, *request.mutable_conversation());
    request.set_before_position(before);
    request.set_limit(limit);
    Call call = as(uin);
    return room->history(call, request);
  }
  uint64_t head(uint64_t uin) {
    internal::HeadRequest request;
    request.set_uin(uin);
    Call call = as(uin);
    return room->head(call, request)->version();
  }
  Status finish() {
    Call call = env.call();
    return room->finish_open_sends(call);
  }
  // All open sends are old enough for the worker.
  Status finish_later() {
    env.jump_utc_ms(config.open_send_grace_ms);
    return finish();
  }
  Status purge() {
    Call call = env.call();
    return room->purge(call);
  }

  InboxConfig config;
  runtime::TestEnv env;
  FaultyStore store{env, {.id = model::k_table_inbox, .name = "inbox"}};
  rpc::KeyRing contact_keys{{rpc::MacKey{1, std::string(32, 'c')}}};
  rpc::AudienceKeys audiences{{"inbox", rpc::KeyRing({rpc::MacKey{1, std::string(32, 'i')}})},
                              {"presence", rpc::KeyRing({rpc::MacKey{1, std::string(32, 'p')}})},
                              {"device", rpc::KeyRing({rpc::MacKey{1, std::string(32, 'd')}})}};
  internal::PresenceFake presence;
  internal::DeviceFake device;
  rpc::LocalChannel presence_channel{presence, nullptr};
  rpc::LocalChannel device_channel{device, nullptr};
  std::vector<internal::RingRequest> rings;
  bool rings_fail = false;
  internal::CursorsResponse cursors;
  std::unique_ptr<InboxRoom> room;
};

}  // namespace hongyan::inbox
