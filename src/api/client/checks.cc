#include "api/client/checks.h"

#include <sodium.h>

#include "base/bytes.h"
#include "base/utf8.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::api {

namespace {

Status over(std::string_view what, size_t bytes_max) {
  return Status(Code::too_large, std::string(what) + " has more than " + std::to_string(bytes_max) + " bytes");
}

// Control characters and the marks that reorder what stands around a name in somebody else's window.
bool unfit_for_name(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0x2028 || c == 0x2029 || c == 0xfeff;
}

}  // namespace

bool is_utf8(std::string_view text) { return hongyan::is_utf8(text); }

Status check_name(std::string_view name, size_t bytes_max, std::string_view what) {
  if (name.empty()) return Status(Code::invalid, std::string(what) + " is empty");
  if (name.size() > bytes_max) return over(what, bytes_max);
  bool visible = false;
  for (std::string_view rest = name; !rest.empty();) {
    const CodePoint point = code_point(rest);
    if (point.length == 0) return Status(Code::invalid, std::string(what) + " is not UTF-8");
    if (unfit_for_name(point.value)) {
      return Status(Code::invalid, std::string(what) + " has a control or direction character");
    }
    visible = visible || (point.value != ' ' && point.value != 0xa0 && point.value != 0x3000);
    rest.remove_prefix(point.length);
  }
  if (!visible) return Status(Code::invalid, std::string(what) + " has only spaces");
  return {};
}

Status check_conversation(const client::Conversation& conversation) {
  if (conversation.thread() != 0) return Status(Code::unsupported, "threads are not known to this server");
  if (conversation.type() == model::k_conversation_direct) {
    // A client of feature level 1 writes to a group as to a person.
    if (model::is_user(conversation.id()) || (model::is_group(conversation.id()) && conversation.id() < model::k_id_end)) return {};
    return Status(Code::invalid, "conversation.id is no user");
  }
  if (conversation.type() == model::k_conversation_group) {
    if (model::is_group(conversation.id()) && conversation.id() < model::k_id_end) return {};
    return Status(Code::invalid, "conversation.id is no group");
  }
  return Status(Code::unsupported, "conversation.type is not known to this server");
}

Status check_message(const client::Message& message) {
  TRY(check_conversation(message.conversation()));
  const size_t id_bytes = message.client_msg_id().size();
  if (id_bytes == 0) return Status(Code::invalid, "client_msg_id is empty");
  if (id_bytes > model::k_client_msg_id_bytes_max) return over("client_msg_id", model::k_client_msg_id_bytes_max);
  if (message.kind() == 0 || message.kind() > model::k_kind_max) return Status(Code::invalid, "kind is not 1..65535");
  const bool transient_kind = message.kind() >= model::k_kind_transient_first && message.kind() < model::k_kind_integrator_first;
  if (transient_kind) return Status(Code::unsupported, "transient kinds are not sent with this command");
  if (message.kind() == model::k_kind_system) return Status(Code::forbidden, "kind 2 is the server's");
  if ((message.flags() & ~uint32_t{31}) != 0) return Status(Code::invalid, "unknown flags");
  if (message.content().size() > model::k_content_bytes_max) return over("content", model::k_content_bytes_max);
  if (message.digest().size() > model::k_digest_bytes_max) return over("digest", model::k_digest_bytes_max);
  if (message.ext().size() > model::k_ext_bytes_max) return over("ext", model::k_ext_bytes_max);
  if (message.kind() == model::k_kind_text) {
    if (message.content().empty()) return Status(Code::invalid, "a text without text");
    if (!is_utf8(message.content())) return Status(Code::invalid, "a text that is not UTF-8");
  }
  if (static_cast<size_t>(message.mentions_size()) > model::k_mentions_max) {
    return Status(Code::too_large, "more than 50 mentions: use mention_scope");
  }
  if (message.mention_scope() > 1) return Status(Code::invalid, "unknown mention_scope");
  if (message.has_quote()) {
    if (message.quote().key().size() != 16) return Status(Code::invalid, "quote.key is not 16 bytes");
    if (message.quote().digest().size() > model::k_digest_bytes_max) return over("quote.digest", model::k_digest_bytes_max);
  }
  return {};
}

Status check_batch(const google::protobuf::RepeatedPtrField<client::Message>& messages) {
  if (messages.empty()) return Status(Code::invalid, "no message");
  if (static_cast<size_t>(messages.size()) > model::k_batch_messages_max) {
    return Status(Code::too_large, "more than 16 messages in one request");
  }
  const client::Conversation& conversation = messages[0].conversation();
  for (const client::Message& message : messages) {
    TRY(check_message(message));
    const client::Conversation& other = message.conversation();
    if (other.type() != conversation.type() || other.id() != conversation.id()) {
      return Status(Code::invalid, "messages of one request go to one conversation");
    }
  }
  return {};
}

std::string payload_hash(const client::Message& message) {
  std::string canonical;
  put_varint(canonical, message.conversation().type());
  put_varint(canonical, message.conversation().id());
  put_varint(canonical, message.kind());
  put_sized(canonical, message.content());
  put_sized(canonical, message.digest());
  put_varint(canonical, message.flags());
  for (uint64_t uin : message.mentions()) put_varint(canonical, uin);
  put_varint(canonical, message.mention_scope());
  put_sized(canonical, message.quote().key());
  put_varint(canonical, static_cast<uint64_t>(message.expire_at_ms()));
  put_sized(canonical, message.ext());
  unsigned char hash[crypto_generichash_BYTES_MIN];
  crypto_generichash(hash, sizeof hash, reinterpret_cast<const unsigned char*>(canonical.data()), canonical.size(), nullptr, 0);
  return std::string(reinterpret_cast<char*>(hash), 8);
}

std::string message_key(uint64_t sender, std::string_view client_msg_id) {
  std::string input;
  put_u64(input, sender);
  input.append(client_msg_id);
  unsigned char hash[16];
  static_assert(crypto_generichash_BYTES_MIN == 16);
  crypto_generichash(hash, sizeof hash, reinterpret_cast<const unsigned char*>(input.data()), input.size(), nullptr, 0);
  return std::string(reinterpret_cast<char*>(hash), 16);
}

}  // namespace hongyan::api
