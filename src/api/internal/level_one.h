// What clients of feature level 1 see of groups, which they do not know: a peer whose id is the group's and whose lines
// start with the sender's name. Used by the logic services that answer with messages; rows stay as they are.
//
//   conversation   {group, id} becomes {direct, id}, and back in what such a client asks for
//   text           of others: "Name: text", sent by the group; one's own stay one's own
//   other kinds    content and kind as they are, the digest with the name before it
//   system         a text in English: "Ada added Bob"
//   group event    a contact with the group's name, a friend as long as the group stands
//   marker         its last message
// A text may thereby be longer than the 32 KiB of the contract, by one name. Errors: those of account's profiles.
#pragma once

#include "api/client/base.pb.h"
#include "api/client/message.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "base/result.h"

namespace hongyan::api {

// Entry has filled in the level of the session where the request names none.
bool knows_groups(const client::BaseRequest& base);

// The conversation that a client of any level means.
client::Conversation meant(const client::Conversation& conversation);

// For a client of feature level 1 whose uin is `me`.
Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::Entry>& entries);
Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::Message>& messages);
Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::ConversationState>& states);
Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me, client::ConversationState& state);

}  // namespace hongyan::api
