#include "sim/check/final_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "model/kinds.h"

namespace hongyan::sim {

namespace {

using namespace client;

ConversationKey direct(uint64_t uin) { return {model::k_conversation_direct, uin}; }
ConversationKey group_key(uint64_t id) { return {model::k_conversation_group, id}; }

// The other's name of a direct conversation.
ConversationKey seen_by_peer(const Send& send) { return direct(send.sender); }

}  // namespace

void FinalCheck::run() {
  read_everything();
  for (const Person& person : people_.persons()) {
    check_devices(person);
    check_unread(person);
    check_states(person);
  }
  check_direct();
  check_groups();
  check_sends();
  check_contacts();
}

void FinalCheck::read_everything() {
  for (Person& person : people_.persons()) {
    Device& fresh = people_.fresh_device(person);
    const uint64_t uin = person.uin();
    const auto states = fresh.list(3);
    const auto contacts = fresh.list_contacts();
    if (!states.ok() || !contacts.ok()) return violated("in fine weather every request is answered", "lists");
    for (const Contact& contact : *contacts) contacts_[uin][contact.uin()] = contact;
    for (const ConversationState& state : *states) {
      const ConversationKey key{state.conversation().type(), state.conversation().id()};
      states_[uin][key] = state;
      const auto log = fresh.history(key);
      if (!log.ok()) return violated("in fine weather every request is answered", "history: " + log.status().detail());
      logs_[uin][key] = *log;
    }
  }
}

const FinalCheck::Log* FinalCheck::log_of(uint64_t uin, const ConversationKey& key) const {
  const auto user = logs_.find(uin);
  if (user == logs_.end()) return nullptr;
  const auto log = user->second.find(key);
  return log == user->second.end() ? nullptr : &log->second;
}

// --- what devices have is what history has ---

void FinalCheck::check_devices(const Person& person) {
  const auto& logs = logs_[person.uin()];
  for (const auto& device : person.devices) {
    if (device->uin() == 0) continue;
    for (const auto& [key, log] : logs) check_device(*device, key, log);
    for (const auto& [key, conversation] : device->conversations()) {
      const Log* log = log_of(person.uin(), key);
      for (const auto& [message_key, message] : conversation.messages) {
        if (message.timeline != stage_.ledger.timeline()) continue;  // Lost with the restore: kept, not compared.
        const bool there = log != nullptr && std::any_of(log->begin(), log->end(), [&, &id = message_key](const Message& one) { return one.key() == id; });
        if (!there) violated("what a device was given is in the history", fmt::format("d{} {}/{} position {} \"{}\"", device->number(), key.first, key.second, message.position, message.client_msg_id));
      }
    }
  }
}

void FinalCheck::check_device(const Device& device, const ConversationKey& key, const Log& log) {
  const auto conversation = device.conversations().find(key);
  for (const Message& message : log) {
    ++stage_.ledger.tally.messages_checked;
    const LocalMessage* local = nullptr;
    if (conversation != device.conversations().end()) {
      const auto found = conversation->second.messages.find(message.key());
      if (found != conversation->second.messages.end()) local = &found->second;
    }
    if (local == nullptr || local->timeline != stage_.ledger.timeline()) {
      return violated("a snapshot never skips", fmt::format("d{} has not {}/{} position {} \"{}\" of {}", device.number(), key.first, key.second, message.position(), message.client_msg_id(), message.sender()));
    }
    if (local->position != message.position()) {
      return violated("(a) all devices of a user see one order", fmt::format("d{} {}/{} {} or {}", device.number(), key.first, key.second, local->position, message.position()));
    }
  }
}

// --- one log of a conversation ---

void FinalCheck::check_direct() {
  for (const auto& [uin, logs] : logs_) {
    for (const auto& [key, log] : logs) {
      if (key.first != model::k_conversation_direct) continue;
      check_order(key, log, uin);
      if (key.second == uin) continue;
      std::set<std::string> mine, theirs;
      for (const Message& message : log) mine.insert(message.key());
      if (mine.size() != log.size()) violated("a message is in the inbox once", fmt::format("{} with {}", uin, key.second));
      const Log* other = log_of(key.second, direct(uin));
      if (other != nullptr) {
        for (const Message& message : *other) theirs.insert(message.key());
      }
      if (mine != theirs) violated("both sides hold the same messages", fmt::format("{} has {}, {} has {}", uin, mine.size(), key.second, theirs.size()));
    }
  }
}

// (c) and (d), and the order of a batch. Sends of one device into one conversation are made one after the other.
void FinalCheck::check_order(const ConversationKey& key, const Log& log, uint64_t reader) {
  std::map<std::string, size_t> place;
  for (size_t i = 0; i < log.size(); ++i) place[log[i].key()] = i;
  std::map<size_t, const Send*> last_of_device;
  for (size_t i = 0; i < log.size(); ++i) {
    if (log[i].kind() == model::k_kind_system) continue;
    const Send* send = stage_.ledger.find(log[i].sender(), log[i].client_msg_id());
    if (send == nullptr) return violated("nobody receives what was not sent to them", log[i].client_msg_id());
    const Send*& before = last_of_device[send->device];
    if (before != nullptr && before->order > send->order) {
      return violated("(d) sends of one device keep their order", fmt::format("{} sees {} before {} in {}/{}", reader, before->client_msg_id, send->client_msg_id, key.first, key.second));
    }
    before = send;
    if (!stage_.ledger.holds(send->written)) continue;  // What it answered was lost, and may have been sent anew.
    for (const std::string& known : send->behind) {
      const auto found = place.find(known);
      if (found != place.end() && found->second > i) {
        return violated("(c) an answer sorts behind what it answers", fmt::format("{} sees {} before what it followed in {}/{}", reader, send->client_msg_id, key.first, key.second));
      }
    }
  }
}

// --- groups ---

void FinalCheck::check_groups() {
  for (const KnownGroup& known : people_.groups()) {
    if (stage_.ledger.holds(known.created)) check_group(known);
  }
}

void FinalCheck::check_group(const KnownGroup& known) {
  const ConversationKey key = group_key(known.id);
  const uint64_t owner = people_.persons()[known.owner].uin();
  const Log* whole = log_of(owner, key);
  if (whole == nullptr) return violated("who makes a group is in it", fmt::format("group {}", known.id));
  std::map<uint64_t, const Message*> by_seq;
  for (size_t i = 0; i < whole->size(); ++i) {
    if ((*whole)[i].position() != i + 1) return violated("a group's seqs are dense", fmt::format("group {} has {} at place {}", known.id, (*whole)[i].position(), i + 1));
    by_seq[i + 1] = &(*whole)[i];
  }
  check_order(key, *whole, owner);
  for (const Person& person : people_.persons()) {
    const Log* log = log_of(person.uin(), key);
    if (log == nullptr) continue;
    for (const Message& message : *log) {
      const auto found = by_seq.find(message.position());
      if (found == by_seq.end() || found->second->key() != message.key()) {
        return violated("(b) a group has one order", fmt::format("group {} seq {} for {}", known.id, message.position(), person.uin()));
      }
    }
  }
}

// --- what was promised ---

void FinalCheck::check_sends() {
  for (const auto& [id, send] : stage_.ledger.sends()) {
    if (!send.acked || !stage_.ledger.holds(*send.acked)) continue;
    if (send.conversation.first == model::k_conversation_direct) {
      const Log* own = log_of(send.sender, send.conversation);
      const Log* peer = log_of(send.conversation.second, seen_by_peer(send));
      check_send(send, own == nullptr ? Log() : *own, "the sender");
      check_send(send, peer == nullptr ? Log() : *peer, "the receiver");
      continue;
    }
    for (const KnownGroup& known : people_.groups()) {
      if (known.id != send.conversation.second || !stage_.ledger.holds(known.created)) continue;
      const Log* log = log_of(people_.persons()[known.owner].uin(), send.conversation);
      check_send(send, log == nullptr ? Log() : *log, "the group");
    }
  }
}

void FinalCheck::check_send(const Send& send, const Log& log, const char* whose) {
  const auto count = std::count_if(log.begin(), log.end(), [&](const Message& message) {
    return message.sender() == send.sender && message.client_msg_id() == send.client_msg_id;
  });
  if (count == 0) violated("an acked message is with everybody it is for", fmt::format("{} has not {}", whose, send.client_msg_id));
  if (count > 1) violated("an acked message is there once", fmt::format("{} has {} {} times", whose, send.client_msg_id, count));
}

void FinalCheck::check_unread(const Person& person) {
  for (const auto& [key, state] : states_[person.uin()]) {
    const Log& log = logs_[person.uin()][key];
    const auto unread = std::count_if(log.begin(), log.end(), [&](const Message& message) {
      return message.sender() != person.uin() && message.kind() != model::k_kind_system && message.position() > state.read_position();
    });
    if (static_cast<uint32_t>(unread) != state.unread()) {
      violated("unread is what came behind the read mark", fmt::format("{} {}/{}: {}, counted {}", person.uin(), key.first, key.second, state.unread(), unread));
    }
    const uint64_t acked = stage_.ledger.read_up_to(person.uin(), key);
    if (state.read_position() < acked) violated("an acked read mark stays", fmt::format("{} {}/{}: {} was {}", person.uin(), key.first, key.second, state.read_position(), acked));
  }
}

// Read marks and settings: every device was told of the newest.
void FinalCheck::check_states(const Person& person) {
  for (const auto& device : person.devices) {
    if (device->uin() == 0) continue;
    for (const auto& [key, state] : states_[person.uin()]) {
      const auto found = device->states().find(key);
      const ConversationState known = found == device->states().end() ? ConversationState() : found->second;
      const bool same = known.read_position() == state.read_position() && known.pin_rank() == state.pin_rank() &&
                        known.mute_until_ms() == state.mute_until_ms() && known.draft() == state.draft();
      if (!same) violated("a device knows read marks and settings", fmt::format("d{} {}/{}: read {} is {}, pin {} is {}, draft \"{}\" is \"{}\"", device->number(), key.first, key.second, known.read_position(), state.read_position(), known.pin_rank(), state.pin_rank(), known.draft(), state.draft()));
    }
  }
}

void FinalCheck::check_contacts() {
  for (const auto& [pair, said] : stage_.ledger.friends()) {
    if (!stage_.ledger.holds(said)) continue;
    const uint32_t there = contacts_[pair.first][pair.second].state();
    const uint32_t back = contacts_[pair.second][pair.first].state();
    if (there != model::k_edge_friend || back != model::k_edge_friend) {
      violated("both sides of a friendship agree", fmt::format("{} and {}: {} and {}", pair.first, pair.second, there, back));
    }
  }
  for (const Person& person : people_.persons()) {
    for (const auto& device : person.devices) {
      if (device->uin() == 0) continue;
      for (const auto& [uin, contact] : contacts_[person.uin()]) {
        const auto found = device->contacts().find(uin);
        if (found == device->contacts().end() || found->second.state() != contact.state()) {
          violated("a device's contacts are the server's", fmt::format("d{} and {}", device->number(), uin));
        }
      }
    }
  }
}

}  // namespace hongyan::sim
