#include "api/internal/level_one.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::api {

namespace {

constexpr int k_names_shown_max = 3;  // "Bob, Eve, Dan and 4 more" is still one line.
constexpr int k_profiles_max = 500;   // Of one request to account.

bool of_group(const client::Conversation& conversation) { return conversation.type() == model::k_conversation_group; }

// Not longer than a digest may be, and not cut inside a character.
std::string as_digest(std::string text) {
  if (text.size() <= model::k_digest_bytes_max) return text;
  size_t end = model::k_digest_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
  return text;
}

class Renderer {
 public:
  explicit Renderer(uint64_t me) : me_(me) {}

  void wants(const client::Message& message) {
    if (!of_group(message.conversation())) return;
    uins_.insert(message.sender());
    if (message.kind() != model::k_kind_system) return;
    client::SystemContent content;
    if (!content.ParseFromString(message.content())) return;
    int named = 0;
    for (const client::Arg& arg : content.args()) {
      if (arg.uin() != 0 && named++ <= k_names_shown_max) uins_.insert(arg.uin());
    }
  }

  Status fetch(Call& call, internal::AccountClient& account) {
    const std::vector<uint64_t> uins(uins_.begin(), uins_.end());
    for (size_t from = 0; from < uins.size(); from += k_profiles_max) {
      internal::ProfilesRequest request;
      for (size_t i = from; i < std::min<size_t>(uins.size(), from + k_profiles_max); ++i) request.add_uins(uins[i]);
      const internal::ProfilesResponse found = TRY(account.profiles(call, request));
      for (const client::Profile& profile : found.profiles()) names_[profile.uin()] = profile.nickname();
    }
    return {};
  }

  void render(client::Conversation& conversation) const {
    if (of_group(conversation)) conversation.set_type(model::k_conversation_direct);
  }

  void render(client::Message& message) const {
    if (!of_group(message.conversation())) return;
    const uint64_t group = message.conversation().id();
    render(*message.mutable_conversation());
    if (message.has_quote()) render(*message.mutable_quote()->mutable_conversation());
    if (message.kind() == model::k_kind_system) {
      const std::string sentence = sentence_of(message);
      message.set_kind(model::k_kind_text);
      message.set_content(sentence);
      message.set_digest(as_digest(sentence));
      message.set_sender(group);
      return;
    }
    if (message.sender() == me_) return;
    const std::string prefix = name(message.sender()) + ": ";
    if (message.kind() == model::k_kind_text) message.set_content(prefix + message.content());
    if (!message.digest().empty()) message.set_digest(as_digest(prefix + message.digest()));
    message.set_sender(group);
  }

  void render(client::ConversationState& state) const {
    render(*state.mutable_conversation());
    if (state.has_last()) render(*state.mutable_last());
  }

  // False: nothing of it is for such a client.
  bool render(client::Entry& entry) const {
    if (entry.has_message()) {
      render(*entry.mutable_message());
    } else if (entry.has_update()) {
      render(*entry.mutable_update()->mutable_conversation());
    } else if (entry.has_state()) {
      render(*entry.mutable_state());
    } else if (entry.has_marker()) {
      if (entry.marker().last().key().empty()) return false;
      client::Message last = entry.marker().last();
      last.set_version(entry.marker().version());
      render(last);
      *entry.mutable_message() = std::move(last);
    } else if (entry.has_group()) {
      const client::GroupEvent event = entry.group();
      client::Contact& contact = *entry.mutable_contact();
      contact.set_uin(event.group());
      contact.set_state(event.state().dissolved() ? model::k_edge_none : model::k_edge_friend);
      contact.set_version(event.version());
      client::Profile& profile = *contact.mutable_profile();
      profile.set_uin(event.group());
      profile.set_nickname(event.state().name());
      profile.set_avatar_color(event.state().avatar_color());
      profile.set_type(1);
      profile.set_version(event.state().version());
    }
    return true;
  }

 private:
  std::string name(uint64_t uin) const {
    const auto found = names_.find(uin);
    return found == names_.end() || found->second.empty() ? std::to_string(uin) : found->second;
  }

  std::string sentence_of(const client::Message& message) const {
    client::SystemContent content;
    if (!content.ParseFromString(message.content())) return message.digest();
    std::string actor, text, people;
    int count = 0;
    for (const client::Arg& arg : content.args()) {
      if (arg.name() == "actor") actor = name(arg.uin());
      if (arg.name() == "name") text = arg.text();
      if (arg.name() == "member" && count++ < k_names_shown_max) people += (people.empty() ? "" : ", ") + name(arg.uin());
    }
    if (count > k_names_shown_max) people += " and " + std::to_string(count - k_names_shown_max) + " more";
    const std::string& kind = content.template_();
    if (kind == "group.created") return actor + " created the group " + text;
    if (kind == "group.renamed") return actor + " renamed the group to " + text;
    if (kind == "group.member_added") return actor + " added " + people;
    if (kind == "group.member_left") return actor + " left";
    if (kind == "group.member_removed") return actor + " removed " + people;
    if (kind == "group.admin_added") return actor + " made " + people + " an admin";
    if (kind == "group.admin_removed") return people + " is no admin any more";
    return message.digest().empty() ? kind : message.digest();
  }

  uint64_t me_;
  std::set<uint64_t> uins_;
  std::map<uint64_t, std::string> names_;
};

}  // namespace

bool knows_groups(const client::BaseRequest& base) { return base.feature_level() >= 2; }

client::Conversation meant(const client::Conversation& conversation) {
  client::Conversation out = conversation;
  if (out.type() == model::k_conversation_direct && model::is_group(out.id())) out.set_type(model::k_conversation_group);
  return out;
}

Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::Entry>& entries) {
  Renderer renderer(me);
  for (const client::Entry& entry : entries) {
    if (entry.has_message()) renderer.wants(entry.message());
    if (entry.has_state()) renderer.wants(entry.state().last());
    if (entry.has_marker()) renderer.wants(entry.marker().last());
  }
  TRY(renderer.fetch(call, account));
  int kept = 0;
  for (int i = 0; i < entries.size(); ++i) {
    if (!renderer.render(*entries.Mutable(i))) continue;
    if (kept != i) entries.SwapElements(kept, i);
    ++kept;
  }
  entries.DeleteSubrange(kept, entries.size() - kept);
  return {};
}

Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::Message>& messages) {
  Renderer renderer(me);
  for (const client::Message& message : messages) renderer.wants(message);
  TRY(renderer.fetch(call, account));
  for (client::Message& message : messages) renderer.render(message);
  return {};
}

Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me,
                        google::protobuf::RepeatedPtrField<client::ConversationState>& states) {
  Renderer renderer(me);
  for (const client::ConversationState& state : states) renderer.wants(state.last());
  TRY(renderer.fetch(call, account));
  for (client::ConversationState& state : states) renderer.render(state);
  return {};
}

Status render_level_one(Call& call, internal::AccountClient& account, uint64_t me, client::ConversationState& state) {
  Renderer renderer(me);
  renderer.wants(state.last());
  TRY(renderer.fetch(call, account));
  renderer.render(state);
  return {};
}

}  // namespace hongyan::api
