// What a client's message must be before anybody stores it: sizes, kinds, flags, UTF-8. Pure; codes: invalid,
// too_large. Called by logic for a quick answer and by the data services that store, which trust nobody.
#pragma once

#include <string_view>

#include "api/client/message.pb.h"
#include "base/result.h"

namespace hongyan::api {

Status check_message(const client::Message& message);
// The messages of one request: 1 to 16, all to one conversation.
Status check_batch(const google::protobuf::RepeatedPtrField<client::Message>& messages);
Status check_conversation(const client::Conversation& conversation);
// Names people give: 1..bytes_max of UTF-8 without control characters or bidirectional overrides.
Status check_name(std::string_view name, size_t bytes_max, std::string_view what);
bool is_utf8(std::string_view text);

// Fields of a message that the client chose: equal payloads of one client_msg_id are a resend, different ones an
// error. 8 bytes of hash over a canonical encoding.
std::string payload_hash(const client::Message& message);
// 16 bytes: the message key, the same for every recipient and device.
std::string message_key(uint64_t sender, std::string_view client_msg_id);

}  // namespace hongyan::api
