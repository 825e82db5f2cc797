// A group service behind its guard, on a store that outlives it, with inboxes that keep the inbox's promise: rows of a
// group are taken above the last seq only. What this room's tests stand in. Inside a coroutine.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "data/group/group_service.h"
#include "data/group/group_table.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "rpc/guard.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::group {

inline constexpr uint64_t k_ada = 10'001;
inline constexpr uint64_t k_bob = 10'002;
inline constexpr uint64_t k_eve = 10'003;
constexpr Code code(model::ErrorCode c) { return model::as_code(c); }
inline rpc::KeyRing ring_of(char fill) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, fill)}}); }

class World {
 public:
  explicit World(uint64_t seed = 1, GroupConfig settings = {}) : env(seed), config(settings) {
    account_fake.on_lease_ids = [this](Call& call, const internal::LeaseIdsRequest& request) -> Result<internal::LeaseIdsResponse> {
      const auto caller = rpc::caller_of(call);
      EXPECT_TRUE(caller.ok() && caller->service == "group");
      EXPECT_EQ(request.kind(), "group");
      ++leases;
      if (lease_hook) TRY(lease_hook(call));
      internal::LeaseIdsResponse response;
      response.set_first(model::k_group_bit + next_id);
      response.set_count(request.count());
      next_id += request.count();
      return response;
    };
    inbox_fake.on_append_from_group = [this](Call& call, const internal::AppendFromGroupRequest& request) { return take(call, request); };
    restart();
  }
  ~World() { stop(); }

  void stop() {
    if (!started) return;
    started = false;
    Call call = env.call();
    EXPECT_TRUE(service->stop(call).ok());
  }
  // A new process on what is stored.
  void restart() {
    stop();
    service.reset();
    store.reopen();
    service = make_group(env, {.store = store,
                               .account = internal::AccountClient(account_channel),
                               .inbox = internal::InboxClient(inbox_channel),
                               .contact_grants = ring_of('c'),
                               .grants = ring_of('g'),
                               .self = rpc::ServiceIdentity(env, {{"account", ring_of('a')}, {"inbox", ring_of('i')}}, "group")}, config);
    channel = std::make_unique<rpc::LocalChannel>(*service, &guard);
    client = std::make_unique<internal::GroupClient>(*channel);
  }
  void start() {
    if (!started) service->start();
    started = true;
  }
  bool has_work() {
    Call call = env.call();
    return !store.below().scan_work(call, model::k_work_fan_out, nullptr, 10)->empty() ||
           !store.below().scan_work(call, model::k_work_fan_out_behind, nullptr, 10)->empty();
  }
  void sleep(runtime::Duration duration) {
    Call call = runtime::background_call(env, std::chrono::hours(10));
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }
  void drain() {
    start();
    for (int i = 0; i < 600 && has_work(); ++i) sleep(std::chrono::milliseconds(500));
    EXPECT_FALSE(has_work());
  }

  Call user(uint64_t uin) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_call_ticket(
        {{"group", ring_of('r')}}, {.uin = uin, .device = std::string(16, 'd'), .epoch = 1, .expires_ms = env.utc_ms() + 60'000}));
    return call;
  }
  std::string invitation(uint64_t actor, uint64_t object) {
    return rpc::make_grant(ring_of('c'), {.issuer = "contact", .actor = actor, .object = object, .right = "invite",
                                          .expires_ms = env.utc_ms() + 60'000});
  }

  Result<internal::GroupResponse> create(uint64_t uin, const std::vector<uint64_t>& members, const std::string& id = "first",
                                         const std::string& name = "friends") {
    internal::CreateGroupRequest request;
    request.set_uin(uin);
    request.set_client_group_id(id);
    request.set_name(name);
    for (uint64_t member : members) {
      request.add_members(member);
      request.add_grants(invitation(uin, member));
    }
    Call call = user(uin);
    return client->create(call, request);
  }
  uint64_t made(uint64_t uin, const std::vector<uint64_t>& members) {
    const auto answer = create(uin, members);
    EXPECT_TRUE(answer.ok()) << answer.status().detail();
    return answer.ok() ? answer->group().id() : 0;
  }
  Result<internal::GroupResponse> get(uint64_t uin, uint64_t group, bool members = true) {
    internal::GetGroupRequest request;
    request.set_uin(uin);
    request.set_group(group);
    request.set_members(members);
    Call call = user(uin);
    return client->get(call, request);
  }
  Result<internal::GroupResponse> rename(uint64_t uin, uint64_t group, const std::string& name) {
    internal::RenameGroupRequest request;
    request.set_uin(uin);
    request.set_group(group);
    request.set_name(name);
    Call call = user(uin);
    return client->rename(call, request);
  }
  Result<internal::GroupResponse> add(uint64_t uin, uint64_t group, const std::vector<uint64_t>& members) {
    internal::AddMembersRequest request;
    request.set_uin(uin);
    request.set_group(group);
    for (uint64_t member : members) {
      request.add_members(member);
      request.add_grants(invitation(uin, member));
    }
    Call call = user(uin);
    return client->add_members(call, request);
  }
  Result<internal::GroupResponse> remove(uint64_t uin, uint64_t group, const std::vector<uint64_t>& members) {
    internal::RemoveMembersRequest request;
    request.set_uin(uin);
    request.set_group(group);
    for (uint64_t member : members) request.add_members(member);
    Call call = user(uin);
    return client->remove_members(call, request);
  }
  Result<internal::GroupResponse> set_admins(uint64_t uin, uint64_t group, const std::vector<uint64_t>& members, bool admin = true) {
    internal::SetAdminsRequest request;
    request.set_uin(uin);
    request.set_group(group);
    request.set_admin(admin);
    for (uint64_t member : members) request.add_members(member);
    Call call = user(uin);
    return client->set_admins(call, request);
  }
  Result<internal::GroupResponse> leave(uint64_t uin, uint64_t group) { return remove(uin, group, {uin}); }

  static client::Message text(uint64_t group, const std::string& id, const std::string& content = "hello") {
    client::Message message;
    message.mutable_conversation()->set_type(model::k_conversation_group);
    message.mutable_conversation()->set_id(group);
    message.set_client_msg_id(id);
    message.set_kind(model::k_kind_text);
    message.set_content(content);
    return message;
  }
  Result<internal::GroupAppendResponse> append(uint64_t uin, uint64_t group, const std::vector<client::Message>& messages) {
    internal::GroupAppendRequest request;
    request.set_uin(uin);
    request.set_group(group);
    for (const client::Message& message : messages) *request.add_messages() = message;
    Call call = user(uin);
    return client->append(call, request);
  }
  // The code that the sender is told.
  Code send(uint64_t uin, uint64_t group, const std::string& id, const std::string& content = "hello") {
    const auto answer = append(uin, group, {text(group, id, content)});
    if (!answer.ok()) return answer.code();
    return static_cast<Code>(answer->appended(0).code());
  }
  Result<internal::GroupHistoryResponse> history(uint64_t uin, uint64_t group, uint64_t before = 0, uint32_t limit = 0,
                                                 uint64_t after = 0) {
    internal::GroupHistoryRequest request;
    request.set_after_seq(after);
    request.set_uin(uin);
    request.set_group(group);
    request.set_before_seq(before);
    request.set_limit(limit);
    Call call = user(uin);
    return client->history(call, request);
  }
  // All seqs of the member's history, newest first, by pages.
  std::vector<uint64_t> history_seqs(uint64_t uin, uint64_t group, uint32_t limit) {
    std::vector<uint64_t> seqs;
    for (uint64_t before = 0;;) {
      const auto page = history(uin, group, before, limit);
      EXPECT_TRUE(page.ok());
      if (!page.ok()) return seqs;
      for (const client::Message& message : page->messages()) seqs.push_back(message.position());
      if (!page->more()) return seqs;
      EXPECT_GT(page->messages_size(), 0) << "more, but nothing here";
      if (page->messages_size() == 0) return seqs;
      before = seqs.back();
    }
  }
  Loaded loaded(uint64_t group) {
    Call call = env.call();
    return load_group(call, store.below(), group).value();
  }
  // The seqs that the member may see up to the head.
  std::vector<uint64_t> visible(const Loaded& group, uint64_t uin) {
    std::vector<uint64_t> seqs;
    const auto member = group.members.find(uin);
    for (uint64_t seq = 1; seq <= group.header.version; ++seq) {
      if (member != group.members.end() && member->second.sees(seq)) seqs.push_back(seq);
    }
    return seqs;
  }
  // The seqs of the messages that the member's inbox was brought, in its order.
  std::vector<uint64_t> brought(uint64_t uin) {
    std::vector<uint64_t> seqs;
    for (const client::Entry& entry : inboxes[uin].rows) {
      if (entry.has_message()) seqs.push_back(entry.message().position());
    }
    return seqs;
  }

  struct MarkerTaken {
    int64_t at_ms = 0;
    uint64_t from = 0;  // What the inbox had.
    internal::GroupMarker marker;
  };
  struct Inbox {
    uint64_t last_seq = 0;
    int64_t unread = 0;
    std::vector<MarkerTaken> markers;
    std::vector<uint8_t> priorities;
    std::vector<client::Entry> rows;
    int refused = 0;
  };
  runtime::TestEnv env;
  store::TestStore store{env};
  std::map<uint64_t, Inbox> inboxes;   // They outlive the service: they are somebody else's.
  std::set<uint64_t> failing;
  std::set<uint64_t> hanging;
  std::set<uint64_t> muted;
  GroupConfig config;
  std::function<Status(Call&, uint64_t uin)> inbox_before;  // A failure: nothing was taken.
  std::function<Status(uint64_t uin)> inbox_after;          // A failure: the lost answer.
  std::function<Status(Call&)> lease_hook;
  int leases = 0;
  uint64_t next_id = 1;
  bool started = false;
  rpc::Revocations revocations;
  internal::AccountFake account_fake;
  internal::InboxFake inbox_fake;
  rpc::Guard account_guard{env, "account", ring_of('a'), {}, revocations};
  rpc::Guard inbox_guard{env, "inbox", ring_of('i'), {{"group", ring_of('g')}}, revocations};
  rpc::Guard guard{env, "group", ring_of('r'), {}, revocations};
  rpc::LocalChannel account_channel{account_fake, &account_guard};
  rpc::LocalChannel inbox_channel{inbox_fake, &inbox_guard};
  std::unique_ptr<Service> service;
  std::unique_ptr<rpc::LocalChannel> channel;
  std::unique_ptr<internal::GroupClient> client;

 private:
  static uint64_t seq(const client::Entry& entry) { return entry.has_message() ? entry.message().position() : entry.group().seq(); }

  Result<internal::AppendFromGroupResponse> take_marker(const internal::AppendFromGroupRequest& request, Inbox& inbox) {
    const internal::GroupMarker& marker = request.marker();
    EXPECT_EQ(request.entries_size(), 0);
    EXPECT_EQ(request.last_seq(), marker.up_to());
    EXPECT_EQ(marker.last().key().size(), 16u);
    EXPECT_LE(marker.last().position(), marker.up_to());
    internal::AppendFromGroupResponse response;
    if (marker.up_to() > inbox.last_seq) {
      inbox.markers.push_back({.at_ms = env.utc_ms(), .from = inbox.last_seq, .marker = marker});
      for (const internal::SeqRange& range : marker.counted()) {
        for (uint64_t seq = range.first(); seq <= range.last(); ++seq) inbox.unread += seq > inbox.last_seq ? 1 : 0;
      }
      inbox.last_seq = marker.up_to();
    } else {
      response.set_behind(true);
    }
    response.set_last_seq(inbox.last_seq);
    if (inbox_after) TRY(inbox_after(request.uin()));
    return response;
  }

  Result<internal::AppendFromGroupResponse> take(Call& call, const internal::AppendFromGroupRequest& request) {
    Inbox& inbox = inboxes[request.uin()];
    if (inbox_before) TRY(inbox_before(call, request.uin()));
    if (failing.contains(request.uin())) {
      ++inbox.refused;
      return Status(Code::unavailable, "this inbox fails");
    }
    if (hanging.contains(request.uin())) {
      ++inbox.refused;
      TRY(runtime::sleep(call, std::chrono::hours(1)));
    }
    inbox.priorities.push_back(call.priority.business);
    if (request.has_marker()) return take_marker(request, inbox);
    uint64_t before = 0;
    for (const client::Entry& entry : request.entries()) {
      EXPECT_GE(seq(entry), before) << "not in seq order";
      before = seq(entry);
    }
    internal::AppendFromGroupResponse response;
    const uint64_t had = inbox.last_seq;
    if (request.entries_size() > 0 && muted.contains(request.uin())) {
      response.set_muted(true);
      response.set_last_seq(had);
      if (inbox_after) TRY(inbox_after(request.uin()));
      return response;
    }
    for (const client::Entry& entry : request.entries()) {
      if (seq(entry) <= had) continue;
      inbox.rows.push_back(entry);
      const bool counts = entry.has_message() && entry.message().sender() != request.uin() &&
                          (entry.message().flags() & model::k_flag_no_unread) == 0;
      inbox.unread += counts ? 1 : 0;
    }
    inbox.last_seq = std::max({had, before, request.last_seq()});
    response.set_last_seq(inbox.last_seq);
    response.set_behind(request.entries_size() > 0 && before <= had);
    if (inbox_after) TRY(inbox_after(request.uin()));
    return response;
  }
};

inline void in_world(const std::function<void(World&)>& body, uint64_t seed = 1, GroupConfig config = {}) {
  auto world = std::make_unique<World>(seed, config);
  runtime::run_in_coroutine(world->env, [&] {
    body(*world);
    world->stop();
  });
}

}  // namespace hongyan::group
