// The rows of an inbox entity (table k_table_inbox, id = uin as 8 big-endian bytes), their keys and their values.
// On disk: never renumber. The first byte of a key is the section:
//   'L' version                    log: what changed at this version (LogRow)
//   'D' message key (16)           dedup: payload hash (8), server time (8); the row's version is the log's
//   'H' conversation, position     history. Direct: position = version, value = marks (empty: 0). Group: position =
//                                  seq, value = GroupRow with the body
//   'C' conversation, field        the conversation view, one blind row a field
//   'O' version                    open send (OpenSendRow): in this inbox, perhaps not yet in the peer's
// A conversation is type (1), id (8), thread (8). Integers are big-endian, so that order of keys is order of numbers.
// Everything here is pure.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/client/message.pb.h"
#include "base/result.h"
#include "data/inbox/rows.pb.h"
#include "store/table/table.h"

namespace hongyan::inbox {

struct ConversationId {
  uint8_t type = 0;
  uint64_t id = 0;
  uint64_t thread = 0;
  auto operator<=>(const ConversationId&) const = default;
};
ConversationId conversation_id(const client::Conversation& conversation);
ConversationId direct(uint64_t peer);
ConversationId group(uint64_t id);
void fill(const ConversationId& id, client::Conversation& conversation);

store::EntityId entity_of(uint64_t uin);
std::optional<uint64_t> uin_of(const store::EntityId& entity);

// Fields of the view. Never renumber.
enum class Field : uint8_t {
  last = 1,         // direct: version (stamped). group: seq, version (stamped)
  unread = 2,       // number, add
  read = 3,         // number, max: position
  settings = 4,     // SettingsRow
  state = 5,        // version (stamped) of the log row that announces this view; the next change deletes that row
  mentions = 6,     // number, add: unread ones of me
  group_seq = 7,    // number, max: what the fan-out has brought so far
  marker = 8,       // MarkedRow, version (stamped)
  peer_read = 9,    // number, max
  muted_until = 10, // number: mute_until_ms of the settings, for preconditions
};

// Marks of a history row.
inline constexpr uint32_t k_mark_mine = 1;
inline constexpr uint32_t k_mark_no_unread = 2;
inline constexpr uint32_t k_mark_mentions_me = 4;
inline constexpr uint32_t k_mark_event = 8;
inline constexpr uint32_t k_mark_in_marker = 16;  // The marker counts it.
constexpr bool counts_as_unread(uint32_t marks) {
  return (marks & (k_mark_mine | k_mark_no_unread | k_mark_event | k_mark_in_marker)) == 0;
}

std::string log_prefix();                                    // Stamp::key appends the version.
std::string log_key(uint64_t version);
std::string dedup_key(std::string_view message_key);
std::string history_prefix(const ConversationId& conversation);
std::string history_key(const ConversationId& conversation, uint64_t position);
std::string view_prefix(const ConversationId& conversation);
std::string view_key(const ConversationId& conversation, Field field);
std::string open_prefix();
std::string open_key(uint64_t version);
// The first key behind every key that starts with `prefix`.
std::string after_prefix(std::string prefix);

// The version or position at the end of a key; 0 when the key is too short.
uint64_t last_number(std::string_view key);
struct ViewKey {
  ConversationId conversation;
  Field field;
};
std::optional<ViewKey> parse_view_key(std::string_view key);

struct DedupRow {
  std::string payload_hash;
  int64_t server_time_ms = 0;
};
std::string encode(const DedupRow& row);
std::optional<DedupRow> decode_dedup(std::string_view value);

std::string number_value(int64_t number);
int64_t number_of(std::string_view value);  // 0 for what is no number.

std::string marks_value(uint32_t marks);
uint32_t marks_of(std::string_view value);

// A message as `owner` has it <-> its row. `with_peer`: direct messages name their conversation.
enum class KeyIs : uint8_t { given = 1, hash = 2 };  // hash: of sender and client_msg_id, as the caller knows.
MessageRow row_of(const client::Message& message, uint64_t owner, KeyIs key_is = KeyIs::given);
// Without version and position, which the key has.
client::Message message_of(const MessageRow& row, uint64_t owner, const ConversationId& conversation);

Result<LogRow> decode_log(std::string_view value);
Result<GroupRow> decode_group(std::string_view value);

// The store's short forms, and those of rows that know their version.
using store::absent;
using store::add;
using store::erase;
using store::raise;
store::Mutation put(std::string key, std::string value);
store::Mutation put_at_version(std::string prefix, std::string value);      // version in the key
store::Mutation put_with_version(std::string key, std::string value = {});  // version in the value
store::Precondition unchanged(std::string key, uint64_t version);
store::Precondition below(std::string key, uint64_t number);

}  // namespace hongyan::inbox
