#include "data/inbox/inbox_table.h"

#include "api/client/checks.h"
#include "base/bytes.h"
#include "model/kinds.h"
#include "model/tables.h"

namespace hongyan::inbox {

namespace {

void put_conversation(std::string& out, const ConversationId& id) {
  put_u8(out, id.type);
  put_u64(out, id.id);
  put_u64(out, id.thread);
}

std::string section(char name, const ConversationId& id) {
  std::string key(1, name);
  put_conversation(key, id);
  return key;
}

std::string section(char name, uint64_t number) {
  std::string key(1, name);
  put_u64(key, number);
  return key;
}

// "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in lower case, and nothing else, so that the way back is exact.
std::optional<std::string> pack_uuid(std::string_view text) {
  if (text.size() != 36) return {};
  std::string hex;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-') || (text[i] >= 'A' && text[i] <= 'F')) return {};
    if (!dash) hex.push_back(text[i]);
  }
  return from_hex(hex);
}

std::string unpack_uuid(std::string_view bytes) {
  std::string text = to_hex(bytes);
  for (size_t at : {8, 13, 18, 23}) text.insert(at, 1, '-');
  return text;
}

}  // namespace

ConversationId conversation_id(const client::Conversation& c) {
  return {static_cast<uint8_t>(c.type()), c.id(), c.thread()};
}
ConversationId direct(uint64_t peer) { return {model::k_conversation_direct, peer, 0}; }
ConversationId group(uint64_t id) { return {model::k_conversation_group, id, 0}; }

void fill(const ConversationId& id, client::Conversation& conversation) {
  conversation.set_type(id.type);
  conversation.set_id(id.id);
  conversation.set_thread(id.thread);
}

store::EntityId entity_of(uint64_t uin) {
  store::EntityId entity{model::k_table_inbox, {}};
  put_u64(entity.id, uin);
  return entity;
}
std::optional<uint64_t> uin_of(const store::EntityId& entity) {
  if (entity.table != model::k_table_inbox || entity.id.size() != 8) return {};
  return Reader(entity.id).u64();
}

std::string log_prefix() { return "L"; }
std::string log_key(uint64_t version) { return section('L', version); }
std::string dedup_key(std::string_view message_key) { return "D" + std::string(message_key); }
std::string history_prefix(const ConversationId& id) { return section('H', id); }
std::string history_key(const ConversationId& id, uint64_t position) {
  std::string key = section('H', id);
  put_u64(key, position);
  return key;
}
std::string view_prefix(const ConversationId& id) { return section('C', id); }
std::string view_key(const ConversationId& id, Field field) {
  std::string key = section('C', id);
  put_u8(key, static_cast<uint8_t>(field));
  return key;
}
std::string open_prefix() { return "O"; }
std::string open_key(uint64_t version) { return section('O', version); }

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

uint64_t last_number(std::string_view key) {
  if (key.size() < 8) return 0;
  return *Reader(key.substr(key.size() - 8)).u64();
}

std::optional<ViewKey> parse_view_key(std::string_view key) {
  if (key.size() != 19 || key[0] != 'C') return {};
  Reader reader(key.substr(1));
  ViewKey found;
  found.conversation.type = *reader.u8();
  found.conversation.id = *reader.u64();
  found.conversation.thread = *reader.u64();
  found.field = static_cast<Field>(*reader.u8());
  return found;
}

std::string encode(const DedupRow& row) {
  std::string value = row.payload_hash;
  put_u64(value, static_cast<uint64_t>(row.server_time_ms));
  return value;
}
std::optional<DedupRow> decode_dedup(std::string_view value) {
  if (value.size() != 16) return {};
  return DedupRow{std::string(value.substr(0, 8)), static_cast<int64_t>(last_number(value))};
}

std::string number_value(int64_t number) {
  std::string value;
  put_u64(value, static_cast<uint64_t>(number));
  return value;
}
int64_t number_of(std::string_view value) {
  return value.size() == 8 ? static_cast<int64_t>(last_number(value)) : 0;
}

std::string marks_value(uint32_t marks) {
  return marks == 0 ? std::string() : std::string(1, static_cast<char>(marks));
}
uint32_t marks_of(std::string_view value) {
  return value.empty() ? 0 : static_cast<unsigned char>(value[0]);
}

MessageRow row_of(const client::Message& message, uint64_t owner, KeyIs key_is) {
  MessageRow row;
  const bool in_group = message.conversation().type() == model::k_conversation_group;
  if (!in_group) row.set_peer(message.conversation().id());
  row.set_mine(message.sender() == owner);
  if (in_group && !row.mine()) row.set_sender(message.sender());
  if (auto uuid = pack_uuid(message.client_msg_id())) {
    row.set_uuid(*std::move(uuid));
  } else {
    row.set_client_msg_id(message.client_msg_id());
  }
  const bool other_key =
      key_is == KeyIs::given && message.key() != api::message_key(message.sender(), message.client_msg_id());
  if (other_key) row.set_key(message.key());
  row.set_server_time_ms(message.server_time_ms());
  // Wraps around for hostile client times, and back again when read.
  row.set_client_behind_ms(static_cast<int64_t>(static_cast<uint64_t>(message.server_time_ms()) -
                                                static_cast<uint64_t>(message.client_time_ms())));
  if (message.kind() != model::k_kind_text) row.set_kind(message.kind());
  row.set_content(message.content());
  row.set_digest(message.digest());
  row.set_flags(message.flags());
  row.set_ext(message.ext());
  *row.mutable_mentions() = message.mentions();
  row.set_mention_scope(message.mention_scope());
  row.set_expire_at_ms(message.expire_at_ms());
  row.set_state(message.state());
  row.set_revision(message.revision());
  if (message.has_quote()) *row.mutable_quote() = message.quote();
  return row;
}

client::Message message_of(const MessageRow& row, uint64_t owner, const ConversationId& conversation) {
  client::Message message;
  fill(conversation, *message.mutable_conversation());
  const uint64_t other = conversation.type == model::k_conversation_group ? row.sender() : conversation.id;
  message.set_sender(row.mine() ? owner : other);
  message.set_client_msg_id(row.uuid().empty() ? row.client_msg_id() : unpack_uuid(row.uuid()));
  message.set_key(row.key().empty() ? api::message_key(message.sender(), message.client_msg_id()) : row.key());
  message.set_server_time_ms(row.server_time_ms());
  message.set_client_time_ms(static_cast<int64_t>(static_cast<uint64_t>(row.server_time_ms()) -
                                                  static_cast<uint64_t>(row.client_behind_ms())));
  message.set_kind(row.kind() == 0 ? model::k_kind_text : row.kind());
  message.set_content(row.content());
  message.set_digest(row.digest());
  message.set_flags(row.flags());
  message.set_ext(row.ext());
  *message.mutable_mentions() = row.mentions();
  message.set_mention_scope(row.mention_scope());
  message.set_expire_at_ms(row.expire_at_ms());
  message.set_state(row.state());
  message.set_revision(row.revision());
  if (row.has_quote()) *message.mutable_quote() = row.quote();
  return message;
}

Result<LogRow> decode_log(std::string_view value) {
  LogRow row;
  if (!row.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Status(Code::corrupt, "an inbox log row can't be read");
  }
  return row;
}
Result<GroupRow> decode_group(std::string_view value) {
  GroupRow row;
  if (!row.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Status(Code::corrupt, "a group's history row can't be read");
  }
  return row;
}

store::Mutation put(std::string key, std::string value) {
  return store::put_bytes(std::move(key), std::move(value));
}
store::Mutation put_at_version(std::string prefix, std::string value) {
  return store::put_bytes(std::move(prefix), std::move(value), store::Mutation::Stamp::key);
}
store::Mutation put_with_version(std::string key, std::string value) {
  return store::put_bytes(std::move(key), std::move(value), store::Mutation::Stamp::value);
}
store::Precondition unchanged(std::string key, uint64_t version) { return store::row_at(std::move(key), version); }
store::Precondition below(std::string key, uint64_t number) {
  return store::below(std::move(key), static_cast<int64_t>(number));
}

}  // namespace hongyan::inbox
