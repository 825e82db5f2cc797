// logic/chat: sending one to one. The life of a message: the contact service signs the right to write, data/inbox
// stores it in both inboxes, the sender is answered. Appends are idempotent by message key, so a client may send again
// whenever it likes; an answer means durable in both inboxes. What is left between the two, data/inbox finishes.
// Errors: not_friend, blocked, client_msg_id_reused, invalid, too_large, no_space and the general ones.
#pragma once

#include <memory>

#include "api/client/chat.rpc.pb.h"
#include "api/client/group.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/group.rpc.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "runtime/env/env.h"

namespace hongyan::logic {

struct ChatDeps {
  internal::AccountClient account;  // Names, for clients that do not know groups.
  internal::ContactClient contact;
  internal::InboxClient inbox;
  internal::GroupClient group;
  internal::PresenceClient presence;
  client::GroupChatClient group_chat;
};

std::unique_ptr<client::ChatService> make_chat(Env& env, ChatDeps deps);

}  // namespace hongyan::logic
