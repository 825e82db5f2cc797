#include "sim/workload/people.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/client/friend.pb.h"
#include "api/client/group.pb.h"
#include "model/error_code.h"
#include "model/kinds.h"

namespace hongyan::sim {

namespace {

using namespace client;

constexpr size_t k_devices_max = 3;  // Per person, fresh ones for the checks aside.

ConversationKey direct(uint64_t uin) { return {model::k_conversation_direct, uin}; }
ConversationKey group(uint64_t id) { return {model::k_conversation_group, id}; }

}  // namespace

People::People(Stage& stage, size_t count) : stage_(stage), random_(stage.world.random_for("people")) {
  for (size_t i = 0; i < count; ++i) {
    Person& person = persons_.emplace_back();
    person.name = fmt::format("person{}", i);
    person.password = fmt::format("password of {}", i);
    person.devices.push_back(std::make_unique<Device>(stage_, devices_++, person.name, person.password));
  }
}

void People::pause(Duration least, Duration most) {
  Call call;
  (void)runtime::sleep(call, least + Duration(random_.below(static_cast<uint64_t>((most - least).count()) + 1))).ok();
}

// The first and the last are strangers where there are enough for that.
bool People::befriends(size_t a, size_t b) const {
  const bool ends = std::min(a, b) == 0 && std::max(a, b) + 1 == persons_.size();
  return a != b && !(ends && persons_.size() > 2);
}

void People::sign_up_all() {
  for (size_t i = 0; i < persons_.size(); ++i) {
    stage_.world.scheduler().spawn_in(stage_.domain, "set up", [this, i] { set_up(i); });
  }
}

void People::set_up(size_t number) {
  Device& device = *persons_[number].devices.front();
  device.sign_up();
  device.start();
  ++signed_up_;
  while (signed_up_ < persons_.size()) pause(100ms, 200ms);
  for (size_t other = 0; other < persons_.size(); ++other) {
    if (!befriends(number, other)) continue;
    const uint64_t uin = persons_[other].uin();
    if (number < other) {
      AddFriendRequest request;
      request.set_uin(uin);
      request.set_greeting("hello");
      device.insist<AddFriendRequest, AddFriendResponse>("friend/add", request);
      continue;
    }
    AcceptFriendRequest request;
    request.set_uin(uin);
    for (;;) {  // Until the other has asked.
      const auto heard = device.insist<AcceptFriendRequest, AcceptFriendResponse>("friend/accept", request);
      if (heard.code() == 0 || heard.response.contact().state() == model::k_edge_friend) {
        stage_.ledger.befriended(device.uin(), uin, heard.said);
        break;
      }
      pause(300ms, 1s);
    }
  }
  if (++set_up_ == persons_.size()) ready_ = true;
}

void People::act() {
  acting_ = true;
  for (size_t i = 0; i < persons_.size(); ++i) {
    Person& person = persons_[i];
    const size_t more = random_.below(k_devices_max);
    for (size_t d = 0; d < more; ++d) {
      person.devices.push_back(std::make_unique<Device>(stage_, devices_++, person.name, person.password));
    }
    for (const auto& device : person.devices) {
      Device* one = device.get();
      stage_.world.scheduler().spawn_in(stage_.domain, "life", [this, i, one] { live(i, *one); });
    }
  }
}

void People::live(size_t person, Device& device) {
  if (device.uin() == 0) {
    pause(0s, 20s);
    device.start();
    device.log_in();
  }
  while (acting_) {
    pause(50ms, 2500ms);
    if (acting_) act_once(person, device);
  }
}

void People::act_once(size_t person, Device& device) {
  const uint64_t dice = random_.below(100);
  if (dice < 38) write_direct(person, device);
  else if (dice < 61) write_group(person, device);
  else if (dice < 70) read(person, device);
  else if (dice < 75) set_conversation(device);
  else if (dice < 76) block(person, device);
  else if (dice < 78) make_group(person, device);
  else if (dice < 85) change_group(person, device);
  else if (dice < 89) drop_off(device);
  else if (dice < 93) log_out_and_in(person, device);
  else if (dice < 95) kick(person, device);
  else probe(person, device);
}

void People::write_direct(size_t person, Device& device) {
  const size_t other = random_.below(persons_.size());
  if (other != person && !befriends(person, other)) return;  // To oneself: notes.
  if (device.waiting() > 30) return;
  device.send(direct(persons_[other].uin()), random_.one_in(4) ? 1 + static_cast<int>(random_.below(12)) : 1);
}

const KnownGroup* People::some_group(const Device& device) {
  std::vector<const KnownGroup*> in;
  for (const KnownGroup& known : groups_) {
    if (device.newest_position(group(known.id)) != 0 && stage_.ledger.holds(known.created)) in.push_back(&known);
  }
  return in.empty() ? nullptr : in[random_.below(in.size())];
}

void People::write_group(size_t person, Device& device) {
  const KnownGroup* known = some_group(device);
  if (known == nullptr || device.waiting() > 30) return write_direct(person, device);
  device.send(group(known->id), random_.one_in(4) ? 1 + static_cast<int>(random_.below(6)) : 1);
}

void People::make_group(size_t person, Device& device) {
  if (groups_.size() >= 4) return;
  CreateGroupRequest request;
  request.set_client_group_id(fmt::format("g{}", next_group_++));
  request.set_name("a group");
  for (size_t other = 0; other < persons_.size(); ++other) {
    if (befriends(person, other) && !random_.one_in(4)) request.add_members(persons_[other].uin());
  }
  const auto heard = device.insist<CreateGroupRequest, CreateGroupResponse>("group/create", request);
  if (heard.code() != 0) return;
  groups_.push_back({.id = heard.response.group().id(), .owner = person, .created = heard.said});
}

void People::change_group(size_t person, Device& device) {
  const KnownGroup* known = some_group(device);
  if (known == nullptr) return;
  const uint64_t id = known->id;
  const size_t other = random_.below(persons_.size());
  switch (random_.below(5)) {
    case 4: {
      if (known->owner != person || other == person) return;
      SetAdminsRequest request;
      request.set_group(id);
      request.add_members(persons_[other].uin());
      request.set_admin(random_.one_in(2));
      device.ask<SetAdminsRequest, SetAdminsResponse>("group/admin", request);
      return;
    }
    case 0: {
      RenameGroupRequest request;
      request.set_group(id);
      request.set_name(fmt::format("name {}", random_.below(1000)));
      device.ask<RenameGroupRequest, RenameGroupResponse>("group/rename", request);
      return;
    }
    case 1: {
      if (!befriends(person, other)) return;
      AddMembersRequest request;
      request.set_group(id);
      request.add_members(persons_[other].uin());
      device.ask<AddMembersRequest, AddMembersResponse>("group/add", request);
      return;
    }
    case 2: {
      if (known->owner != person || other == person) return;
      RemoveMembersRequest request;
      request.set_group(id);
      request.add_members(persons_[other].uin());
      device.ask<RemoveMembersRequest, RemoveMembersResponse>("group/remove", request);
      return;
    }
    default: {
      if (known->owner == person || !random_.one_in(3)) return;
      LeaveGroupRequest request;
      request.set_group(id);
      device.ask<LeaveGroupRequest, LeaveGroupResponse>("group/leave", request);
    }
  }
}

void People::read(size_t, Device& device) {
  if (device.conversations().empty()) return;
  auto chosen = device.conversations().begin();
  std::advance(chosen, static_cast<long>(random_.below(device.conversations().size())));
  const ConversationKey key = chosen->first;
  const uint64_t newest = device.newest_position(key);
  if (newest == 0) return;
  const int timeline = device.snapshot_timeline();
  MarkReadRequest request;
  request.mutable_conversation()->set_type(key.first);
  request.mutable_conversation()->set_id(key.second);
  request.set_position(newest);
  const auto heard = device.ask<MarkReadRequest, MarkReadResponse>("read", request);
  if (heard.code() != 0 || heard.said.timeline != timeline) return;
  // A group that is served by markers is known up to the newest one only; the answer says where the mark stands.
  const uint64_t stands = key.first == model::k_conversation_group ? std::min(newest, heard.response.state().read_position()) : newest;
  if (stands > 0) stage_.ledger.marked_read(device.uin(), key, stands, heard.said);
}

void People::set_conversation(Device& device) {
  if (device.conversations().empty()) return;
  auto chosen = device.conversations().begin();
  std::advance(chosen, static_cast<long>(random_.below(device.conversations().size())));
  SetConversationRequest request;
  request.mutable_conversation()->set_type(chosen->first.first);
  request.mutable_conversation()->set_id(chosen->first.second);
  request.set_pin_rank(random_.below(3));
  request.set_mute_until_ms(random_.one_in(3) ? 0 : k_birth_utc_ms * 2);
  request.set_draft(fmt::format("draft {}", random_.below(100)));
  request.add_fields(random_.one_in(2) ? "pin_rank" : "draft");
  // A muted group is served by markers.
  if (chosen->first.first == model::k_conversation_group || random_.one_in(2)) request.add_fields("mute_until_ms");
  device.ask<SetConversationRequest, SetConversationResponse>("conversation/set", request);
}

// For a moment; meanwhile the other must not get through.
void People::block(size_t person, Device& device) {
  Person& me = persons_[person];
  const size_t other = random_.below(persons_.size());
  Person& blocked = persons_[other];
  Device& theirs = *blocked.devices[random_.below(blocked.devices.size())];
  if (!befriends(person, other) || me.blocking || stage_.world.now() < me.unblocked_until || !theirs.logged_in()) return;
  me.blocking = true;
  SetContactRequest request;
  request.set_uin(blocked.uin());
  request.add_fields("blocked");
  request.set_blocked(true);
  const auto done = device.insist<SetContactRequest, SetContactResponse>("contact/set", request);
  if (done.code() == 0) {
    SendRequest attempt;
    Message& message = *attempt.add_messages();
    message.mutable_conversation()->set_type(model::k_conversation_direct);
    message.mutable_conversation()->set_id(me.uin());
    message.set_client_msg_id(fmt::format("blocked-{}", random_.next()));
    message.set_kind(model::k_kind_text);
    message.set_content("hear me");
    // It may be lost on its way and arrive when it is welcome again.
    stage_.ledger.add_send({.sender = blocked.uin(),
                            .client_msg_id = message.client_msg_id(),
                            .conversation = direct(me.uin()),
                            .content = message.content(),
                            .device = SIZE_MAX - probes_++,
                            .order = 0,
                            .behind = {},
                            .written = {},
                            .acked = {},
                            .key = {},
                            .refused = 0});
    const auto heard = theirs.ask<SendRequest, SendResponse>("send", attempt);
    if (heard.said.timeline == done.said.timeline) must_refuse(heard, "a message to somebody who blocks the sender");
  }
  request.set_blocked(false);
  device.insist<SetContactRequest, SetContactResponse>("contact/set", request);
  me.unblocked_until = after(stage_.world.now(), 20s);
  me.blocking = false;
}

void People::drop_off(Device& device) {
  device.set_online(false);
  pause(300ms, 12s);
  device.set_online(true);
}

// Sometimes so quickly that the logout is still under way when the next login comes.
void People::log_out_and_in(size_t, Device& device) {
  if (!device.logged_in()) return;
  const std::string old_ticket = device.ticket();
  const std::string old_id = device.id();
  const int timeline = device.session_timeline();  // A restore opens again what was closed later.
  const bool heard_it = device.log_out();
  if (heard_it && random_.one_in(2)) {
    const auto heard = device.sync_as(old_ticket, old_id, "");
    ++stage_.ledger.tally.probes;
    if (heard.code() == 0 && timeline == heard.said.timeline) {
      stage_.ledger.violated("after a logout the old ticket is refused", fmt::format("d{}", device.number()));
    }
  }
  if (random_.one_in(2)) pause(100ms, 4s);
  device.log_in();
  if (!random_.one_in(3)) return;
  const auto late = device.log_out_again(old_ticket);
  if (late.said.timeline == timeline) must_refuse(late, "a logout of an old session");
}

void People::kick(size_t person, Device& device) {
  Person& me = persons_[person];
  Device& other = *me.devices[random_.below(me.devices.size())];
  if (&other == &device || !other.logged_in()) return;
  other.expect_end_of_session();
  KickDeviceRequest request;
  request.set_device_id(other.id());
  device.ask<KickDeviceRequest, KickDeviceResponse>("device/kick", request);
  other.expect_end_of_session();
}

// --- what is not allowed ---

template <typename Response>
void People::must_refuse(const Heard<Response>& heard, const std::string& what) {
  ++stage_.ledger.tally.probes;
  if (heard.reached && heard.code() == 0) stage_.ledger.violated("no call without the right reaches a row", what);
}

void People::probe(size_t person, Device& device) {
  if (!device.logged_in()) return;
  switch (random_.below(4)) {
    case 0: return probe_snapshot(device);
    case 1: return probe_ticket(device);
    case 2: return probe_stranger(person, device);
    default: return probe_group(person, device);
  }
}

void People::probe_snapshot(Device& device) {
  const Person& owner = persons_[random_.below(persons_.size())];
  const Device& other = *owner.devices[random_.below(owner.devices.size())];
  if (&other == &device || other.snapshot().empty()) return;
  must_refuse(device.sync_as(device.ticket(), device.id(), other.snapshot()), "the snapshot of another device");
}

void People::probe_ticket(Device& device) {
  std::string forged = device.ticket();
  forged[random_.below(forged.size())] ^= static_cast<char>(1 << random_.below(8));
  must_refuse(device.sync_as(forged, device.id(), ""), "a ticket with a flipped bit");
  const Person& owner = persons_[random_.below(persons_.size())];
  const Device& other = *owner.devices[random_.below(owner.devices.size())];
  if (&other == &device) return;
  must_refuse(device.sync_as(device.ticket(), other.id(), ""), "the ticket of another device");
}

void People::probe_stranger(size_t person, Device& device) {
  if (persons_.size() <= 2 || (person != 0 && person + 1 != persons_.size())) return;
  const uint64_t stranger = persons_[person == 0 ? persons_.size() - 1 : 0].uin();
  SendRequest request;
  Message& message = *request.add_messages();
  message.mutable_conversation()->set_type(model::k_conversation_direct);
  message.mutable_conversation()->set_id(stranger);
  message.set_client_msg_id(fmt::format("probe-{}", random_.next()));
  message.set_kind(model::k_kind_text);
  message.set_content("let me in");
  must_refuse(device.ask<SendRequest, SendResponse>("send", request), "a message to a stranger");
}

void People::probe_group(size_t, Device& device) {
  if (groups_.empty()) return;
  const KnownGroup& known = groups_[random_.below(groups_.size())];
  if (device.newest_position(group(known.id)) != 0) return;  // Was or is a member.
  if (device.conversations().contains(group(known.id))) return;
  RenameGroupRequest request;  // Members may; a new member who does not know yet is none of the cases below.
  request.set_group(known.id + 1'000'000);
  request.set_name("mine");
  must_refuse(device.ask<RenameGroupRequest, RenameGroupResponse>("group/rename", request), "a group that is not there");
}

// --- the end ---

void People::come_back() {
  for (Person& person : persons_) {
    for (const auto& device : person.devices) {
      device->set_online(true);
      Device* one = device.get();
      if (one->uin() == 0) continue;  // Never used.
      stage_.world.scheduler().spawn_in(stage_.domain, "come back", [one] { one->log_in(); });
    }
  }
}

bool People::settled() const { return unsettled().empty(); }

std::string People::unsettled() const {
  std::string out;
  for (const Person& person : persons_) {
    for (const auto& device : person.devices) {
      if (device->uin() == 0 || device->settled()) continue;
      out += fmt::format(" d{}({} waiting, {})", device->number(), device->waiting(), device->logged_in() ? "in" : "out");
    }
  }
  return out;
}

Device& People::fresh_device(Person& person) {
  person.devices.push_back(std::make_unique<Device>(stage_, devices_++, person.name, person.password));
  Device& device = *person.devices.back();
  device.start();
  device.log_in();
  while (device.snapshot().empty() || !device.settled()) pause(100ms, 300ms);
  return device;
}

}  // namespace hongyan::sim
