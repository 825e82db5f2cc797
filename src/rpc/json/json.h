// JSON as servers and gates speak it: a strict scanner that costs no stack, and the protobuf JSON mapping behind it. Nothing
// reaches protobuf's parser before the scanner has seen balanced UTF-8 JSON, at most 16 levels deep (messages of the
// contract need 6) and of at most 10,000 values. Unknown fields are ignored, so that newer clients can talk to older
// servers. Pure; codes: invalid.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hongyan::rpc {

inline constexpr int k_json_depth_max = 16;
inline constexpr size_t k_json_values_max = 10'000;  // A group of 500 needs 600; 300,000 would stop the loop for a tenth of a second.
// What is larger is translated in the pool: this takes the loop a few hundred microseconds, 8 MiB would take a tenth of a second.
inline constexpr size_t k_json_bytes_inline_max = 64 * 1024;
inline constexpr size_t k_json_members_max = 32;  // Of a frame's own object, which has three.

bool is_utf8(std::string_view text);
// The whole text is one JSON value (RFC 8259), not too deep and not too many.
Status check_json(std::string_view text);

// The members of a JSON object, in order: name as written between its quotes, value as it stands in the text.
using JsonMembers = std::vector<std::pair<std::string_view, std::string_view>>;
Result<JsonMembers> json_members(std::string_view text);
// The text between the quotes of a JSON string without escapes; invalid for anything else.
Result<std::string_view> plain_string(std::string_view value);

// Eats stack: call it through Scheduler::run_on_thread_stack.
Status message_from_json(std::string_view text, google::protobuf::Message& message);
// Default values are omitted; lowerCamelCase names; 64-bit integers are strings, bytes base64.
Result<std::string> json_from_message(const google::protobuf::Message& message);

// `text` as a JSON string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace hongyan::rpc
