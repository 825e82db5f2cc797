#include "data/group/group_service.h"

#include <algorithm>
#include <functional>
#include <set>

#include "api/client/checks.h"
#include "data/group/fan_out.h"
#include "data/group/group_table.h"
#include "data/group/limits.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "queue/task/worker.h"

namespace hongyan::group {

namespace {

using model::ErrorCode;

constexpr uint32_t k_owner = 1;
constexpr uint32_t k_admin = 2;
constexpr uint32_t k_member = 3;
constexpr uint32_t k_colors[] = {0x5b8def, 0x34a853, 0xf29900, 0xd9534f, 0x8e6bd8, 0x1fa5a5, 0xc2567a, 0x6d7f3a};

// A line of the timeline that says what happened to the group; clients render the template in their language.
client::Message event_message(uint64_t actor, int64_t now_ms, const std::string& name, const std::string& digest,
                              const std::vector<uint64_t>& people, const std::string& text = {}) {
  client::SystemContent content;
  content.set_template_(name);
  client::Arg& by = *content.add_args();
  by.set_name("actor");
  by.set_uin(actor);
  for (uint64_t uin : people) {
    client::Arg& arg = *content.add_args();
    arg.set_name("member");
    arg.set_uin(uin);
  }
  if (!text.empty()) {
    client::Arg& arg = *content.add_args();
    arg.set_name("name");
    arg.set_text(text);
  }
  client::Message message;
  message.set_sender(actor);
  message.set_server_time_ms(now_ms);
  message.set_kind(model::k_kind_system);
  message.set_flags(model::k_flag_no_unread | model::k_flag_no_push);
  message.set_content(content.SerializeAsString());
  message.set_digest(digest);
  return message;
}

// What a client may say in a message, and nothing beside: no limit stands for fields that are not known here, and one
// row too large for an inbox would hold up its group for ever.
client::Message stored_message(const client::Message& given, uint64_t sender, const std::string& key, int64_t now_ms) {
  client::Message message = given;
  message.DiscardUnknownFields();
  message.clear_conversation();
  message.clear_position();
  message.clear_version();
  message.clear_revision();
  message.clear_state();
  message.set_sender(sender);
  message.set_key(key);
  message.set_server_time_ms(now_ms);
  return message;
}

struct GroupCounters {
  explicit GroupCounters(runtime::Counters& c)
      : created(c.counter("hongyan_group_created", "Groups created")),
        changes(c.counter("hongyan_group_changes", "Changes of groups: names, members")),
        messages(c.counter("hongyan_group_messages", "Messages into groups")),
        duplicates(c.counter("hongyan_group_duplicates", "Messages that were there already")),
        races(c.counter("hongyan_group_races", "Commits that lost against others' and were decided again")) {}
  runtime::Counter& created;
  runtime::Counter& changes;
  runtime::Counter& messages;
  runtime::Counter& duplicates;
  runtime::Counter& races;
};

class GroupServiceImpl : public Service {
 public:
  GroupServiceImpl(Env& env, GroupDeps deps, const GroupConfig& config)
      : env_(env),
        store_(deps.store),
        account_(std::move(deps.account)),
        contact_grants_(std::move(deps.contact_grants)),
        self_(deps.self),
        fan_out_(env, deps.store, std::move(deps.inbox), std::move(deps.grants), std::move(deps.self),
                 config.row_members_max),
        worker_(env, deps.store, model::k_work_fan_out,
                [this](Call& call, const store::Work& work) { return fan_out(call, work); }, {.share = config.share}),
        catch_up_(env, deps.store, model::k_work_fan_out_behind,
                  [this](Call& call, const store::Work& work) { return fan_out_.catch_up(call, work); }, {.share = config.share}),
        counters_(env.counters()) {}

  void start() override {
    worker_.start();
    catch_up_.start();
  }
  Status stop(Call& call) override {
    const Status stopped = worker_.stop(call);
    const Status caught = catch_up_.stop(call);
    return stopped.ok() ? caught : stopped;
  }

  Result<internal::GroupResponse> create(Call& call, const internal::CreateGroupRequest& request) override;
  Result<internal::GroupResponse> get(Call& call, const internal::GetGroupRequest& request) override;
  Result<internal::GroupResponse> rename(Call& call, const internal::RenameGroupRequest& request) override;
  Result<internal::GroupResponse> add_members(Call& call, const internal::AddMembersRequest& request) override;
  Result<internal::GroupResponse> remove_members(Call& call, const internal::RemoveMembersRequest& request) override;
  Result<internal::GroupResponse> set_admins(Call& call, const internal::SetAdminsRequest& request) override;
  Result<internal::GroupAppendResponse> append(Call& call, const internal::GroupAppendRequest& request) override;
  Result<internal::GroupHistoryResponse> history(Call& call, const internal::GroupHistoryRequest& request) override;

 private:
  using Plan = std::function<Result<store::Commit>(const Loaded& loaded)>;

  Result<internal::GroupResponse> change(Call& call, uint64_t uin, uint64_t group, const Plan& plan);
  // A message that has passed its checks.
  struct Checked {
    const client::Message* message = nullptr;
    std::string key;
    std::string hash;
  };
  Status fan_out(Call& call, const store::Work& work);
  static Result<Checked> checked(uint64_t uin, uint64_t group, const client::Message& message);
  Status append_all(Call& call, uint64_t uin, uint64_t group, const std::vector<Checked>& messages,
                    internal::GroupAppendResponse& response);
  static store::Commit append_commit(uint64_t uin, uint64_t group, const Checked& one, uint64_t member_version, int64_t now_ms);
  Status add_duplicate(const store::Row& row, const Checked& one, internal::GroupAppendResponse& response);
  Status check_invited(uint64_t uin, const google::protobuf::RepeatedField<uint64_t>& members,
                       const google::protobuf::RepeatedPtrField<std::string>& grants);
  Result<uint64_t> group_of_attempt(Call& call, uint64_t uin, const std::string& client_group_id);
  Result<uint64_t> new_id(Call& call);
  store::Commit event_commit(uint64_t group, client::Message message);

  Env& env_;
  store::Store& store_;
  internal::AccountClient account_;
  rpc::KeyRing contact_grants_;
  rpc::ServiceIdentity self_;
  FanOut fan_out_;
  task::Worker worker_;
  task::Worker catch_up_;
  GroupCounters counters_;
  uint64_t next_id_ = 0;
  uint64_t ids_end_ = 0;
};

internal::GroupResponse response_of(uint64_t id, const Loaded& loaded, bool members) {
  internal::GroupResponse response;
  fill_group(id, loaded, *response.mutable_group());
  if (!members) return response;
  for (const auto& [uin, member] : loaded.members) {
    if (!member.in()) continue;
    client::GroupMember& out = *response.mutable_group()->add_members();
    out.set_uin(uin);
    out.set_role(member.row.role());
    out.set_alias(member.row.alias());
    out.set_joined_ms(member.row.joined_ms());
  }
  return response;
}

// Joins after everything that is in the log: `head` is the seq before the commit that lets them in, whose row they see.
void join(MemberRow& row, uint32_t role, uint64_t head, int64_t now_ms) {
  row.set_role(role);
  row.set_joined_ms(now_ms);
  Span& span = *row.add_spans();
  span.set_from(head);
  span.set_to(0);
}

store::Commit GroupServiceImpl::event_commit(uint64_t group, client::Message message) {
  message.set_key(env_.random_bytes(16));
  LogRow row;
  row.set_event(true);
  *row.mutable_message() = std::move(message);
  store::Commit commit{.entity = group_entity(group), .mark_work = model::k_work_fan_out};
  commit.mutations.push_back(store::put(log_prefix(), row, store::Mutation::Stamp::key));
  return commit;
}

// Decides on the group as it stands and commits on that; decides again when somebody was quicker.
Result<internal::GroupResponse> GroupServiceImpl::change(Call& call, uint64_t uin, uint64_t group, const Plan& plan) {
  for (int i = 0; i < k_tries_max; ++i) {
    const Loaded loaded = TRY(load_group(call, store_, group));
    if (loaded.member(uin) == nullptr) return model::error(ErrorCode::not_member);
    store::Commit commit = TRY(plan(loaded));
    if (commit.mutations.empty()) return response_of(group, loaded, true);  // It is so already.
    commit.preconditions.push_back(store::entity_at(loaded.header.version));
    const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
    if (reply.committed) {
      counters_.changes.add(1);
      return response_of(group, TRY(load_group(call, store_, group)), true);
    }
    counters_.races.add(1);
  }
  return Status(Code::conflict, "the group changes too fast");
}

Result<internal::GroupResponse> GroupServiceImpl::create(Call& call, const internal::CreateGroupRequest& request) {
  if (request.client_group_id().empty() || request.client_group_id().size() > model::k_client_msg_id_bytes_max) {
    return Status(Code::invalid, "client_group_id has 1 to 64 bytes");
  }
  TRY(api::check_name(request.name(), model::k_name_bytes_max, "name"));
  TRY(check_invited(request.uin(), request.members(), request.grants()));
  const uint64_t id = TRY(group_of_attempt(call, request.uin(), request.client_group_id()));
  const int64_t now_ms = env_.utc_ms();
  std::set<uint64_t> people(request.members().begin(), request.members().end());
  people.insert(request.uin());
  if (people.size() > model::k_group_members_max) return model::error(ErrorCode::group_full);
  GroupRow info;
  info.set_name(request.name());
  info.set_owner(request.uin());
  info.set_member_count(static_cast<uint32_t>(people.size()));
  info.set_avatar_color(k_colors[id % std::size(k_colors)]);
  info.set_created_ms(now_ms);
  const std::vector<uint64_t> invited(request.members().begin(), request.members().end());
  store::Commit commit = event_commit(id, event_message(request.uin(), now_ms, "group.created", "Group created: " + request.name(), invited, request.name()));
  commit.preconditions.push_back(store::entity_at(0));
  commit.mutations.push_back(store::put(info_key(), info));
  for (uint64_t uin : people) {
    MemberRow row;
    join(row, uin == request.uin() ? k_owner : k_member, 0, now_ms);
    commit.mutations.push_back(store::put(member_key(uin), row));
  }
  const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
  if (reply.committed) counters_.created.add(1);  // Otherwise an earlier try of this request made it.
  const Loaded loaded = TRY(load_group(call, store_, id));
  if (loaded.member(request.uin()) == nullptr) return model::error(ErrorCode::not_member);  // Left it since.
  return response_of(id, loaded, true);
}

Result<internal::GroupResponse> GroupServiceImpl::get(Call& call, const internal::GetGroupRequest& request) {
  const Loaded loaded = TRY(load_group(call, store_, request.group()));
  if (loaded.member(request.uin()) == nullptr) return model::error(ErrorCode::not_member);
  return response_of(request.group(), loaded, request.members());
}

Result<internal::GroupResponse> GroupServiceImpl::rename(Call& call, const internal::RenameGroupRequest& request) {
  TRY(api::check_name(request.name(), model::k_name_bytes_max, "name"));
  return change(call, request.uin(), request.group(), [&](const Loaded& loaded) -> Result<store::Commit> {
    if (loaded.member(request.uin())->row.role() == k_member) return Status(Code::forbidden, "only the owner and admins rename");
    if (loaded.info.name() == request.name()) return store::Commit{.entity = group_entity(request.group())};
    store::Commit commit = event_commit(request.group(), event_message(request.uin(), env_.utc_ms(), "group.renamed", "Group renamed: " + request.name(), {}, request.name()));
    GroupRow info = loaded.info;
    info.set_name(request.name());
    commit.mutations.push_back(store::put(info_key(), info));
    return commit;
  });
}

Result<internal::GroupResponse> GroupServiceImpl::add_members(Call& call, const internal::AddMembersRequest& request) {
  TRY(check_invited(request.uin(), request.members(), request.grants()));
  return change(call, request.uin(), request.group(), [&](const Loaded& loaded) -> Result<store::Commit> {
    std::vector<uint64_t> fresh;
    for (uint64_t uin : std::set<uint64_t>(request.members().begin(), request.members().end())) {
      if (loaded.member(uin) == nullptr) fresh.push_back(uin);
    }
    if (fresh.empty()) return store::Commit{.entity = group_entity(request.group())};
    GroupRow info = loaded.info;
    if (info.member_count() + fresh.size() > model::k_group_members_max) return model::error(ErrorCode::group_full);
    if (loaded.members.size() + fresh.size() > k_member_rows_max) {
      return model::error(ErrorCode::group_full, "too many people have been in this group");
    }
    const int64_t now_ms = env_.utc_ms();
    store::Commit commit = event_commit(request.group(), event_message(request.uin(), now_ms, "group.member_added", "New members joined", fresh));
    for (uint64_t uin : fresh) {
      const auto before = loaded.members.find(uin);
      MemberRow row = before == loaded.members.end() ? MemberRow() : before->second.row;
      if (row.spans_size() >= k_spans_max) return Status(Code::too_large, "somebody has come and gone too often");
      join(row, k_member, loaded.header.version, now_ms);
      commit.mutations.push_back(store::put(member_key(uin), row));
    }
    info.set_member_count(info.member_count() + static_cast<uint32_t>(fresh.size()));
    commit.mutations.push_back(store::put(info_key(), info));
    return commit;
  });
}

// The owner's leaving hands the group to an admin, else to whoever is in it longest; the last one out dissolves it.
Status hand_over(const Loaded& loaded, const std::set<uint64_t>& leaving, GroupRow& info, store::Commit& commit) {
  const Member* heir = nullptr;
  uint64_t heir_uin = 0;
  for (const auto& [uin, member] : loaded.members) {
    if (!member.in() || leaving.contains(uin)) continue;
    const bool better = heir == nullptr || member.row.role() < heir->row.role() ||
                        (member.row.role() == heir->row.role() && member.row.joined_ms() < heir->row.joined_ms());
    if (better) {
      heir = &member;
      heir_uin = uin;
    }
  }
  if (heir == nullptr) {
    info.set_dissolved(true);
    return {};
  }
  MemberRow row = heir->row;
  row.set_role(k_owner);
  info.set_owner(heir_uin);
  commit.mutations.push_back(store::put(member_key(heir_uin), row));
  return {};
}

Result<internal::GroupResponse> GroupServiceImpl::remove_members(Call& call, const internal::RemoveMembersRequest& request) {
  const uint64_t me = request.uin();
  if (request.members_size() == 0 || static_cast<size_t>(request.members_size()) > model::k_group_members_max) {
    return Status(Code::invalid, "1 to 500 members");
  }
  const bool leaves = request.members_size() == 1 && request.members(0) == me;
  if (leaves) {
    // Who asks again because an answer was lost is out already.
    const std::optional<Member> member = TRY(load_member(call, store_, request.group(), me));
    if (member && !member->in()) {
      internal::GroupResponse left;
      left.mutable_group()->set_id(request.group());
      return left;
    }
  }
  return change(call, me, request.group(), [&](const Loaded& loaded) -> Result<store::Commit> {
    const uint32_t role = loaded.member(me)->row.role();
    if (!leaves && role != k_owner && role != k_admin) return Status(Code::forbidden, "only the owner and admins remove members");
    std::set<uint64_t> leaving;
    for (uint64_t uin : request.members()) {
      if (uin == loaded.info.owner() && !leaves) return model::error(ErrorCode::owner_must_stay);
      const Member* one = loaded.member(uin);
      if (one == nullptr) continue;
      if (role == k_admin && one->row.role() == k_admin && !leaves) return Status(Code::forbidden, "only the owner removes admins");
      leaving.insert(uin);
    }
    if (leaving.empty()) return store::Commit{.entity = group_entity(request.group())};
    const std::vector<uint64_t> people(leaving.begin(), leaving.end());
    store::Commit commit = event_commit(request.group(), event_message(me, env_.utc_ms(), leaves ? "group.member_left" : "group.member_removed",
                                                                       leaves ? "A member left" : "Members were removed", people));
    GroupRow info = loaded.info;
    for (uint64_t uin : leaving) {
      MemberRow row = loaded.members.at(uin).row;
      row.mutable_spans(row.spans_size() - 1)->set_to(loaded.header.version + 1);  // The row that says so is the last one seen.
      commit.mutations.push_back(store::put(member_key(uin), row));
    }
    info.set_member_count(info.member_count() - static_cast<uint32_t>(leaving.size()));
    if (leaving.contains(info.owner())) TRY(hand_over(loaded, leaving, info, commit));
    commit.mutations.push_back(store::put(info_key(), info));
    return commit;
  });
}

Result<internal::GroupResponse> GroupServiceImpl::set_admins(Call& call, const internal::SetAdminsRequest& request) {
  if (request.members_size() == 0 || static_cast<size_t>(request.members_size()) > model::k_group_members_max) {
    return Status(Code::invalid, "1 to 500 members");
  }
  return change(call, request.uin(), request.group(), [&](const Loaded& loaded) -> Result<store::Commit> {
    if (loaded.info.owner() != request.uin()) return Status(Code::forbidden, "only the owner appoints admins");
    const uint32_t role = request.admin() ? k_admin : k_member;
    std::vector<uint64_t> people;
    for (uint64_t uin : std::set<uint64_t>(request.members().begin(), request.members().end())) {
      const Member* member = loaded.member(uin);
      if (member == nullptr) return Status(Code::not_found, "somebody is not in this group");
      if (uin == request.uin()) return Status(Code::invalid, "the owner stays the owner");
      if (member->row.role() != role) people.push_back(uin);
    }
    if (people.empty()) return store::Commit{.entity = group_entity(request.group())};
    store::Commit commit = event_commit(request.group(), event_message(request.uin(), env_.utc_ms(),
        request.admin() ? "group.admin_added" : "group.admin_removed", request.admin() ? "Admins appointed" : "Admins dismissed", people));
    for (uint64_t uin : people) {
      MemberRow row = loaded.members.at(uin).row;
      row.set_role(role);
      commit.mutations.push_back(store::put(member_key(uin), row));
    }
    return commit;
  });
}

Status GroupServiceImpl::fan_out(Call& call, const store::Work& work) {
  runtime::Time again_at{};
  TRY(fan_out_.run(call, work, again_at));
  if (again_at != runtime::Time{}) worker_.call_again_at(work.entity, again_at);
  return {};
}

// All messages of a request are one batch of the store, one seq each: one write, in order, up to the first that fails.
Result<internal::GroupAppendResponse> GroupServiceImpl::append(Call& call, const internal::GroupAppendRequest& request) {
  if (static_cast<size_t>(request.messages_size()) > model::k_batch_messages_max) {
    return Status(Code::too_large, "more than 16 messages in one request");
  }
  std::vector<Checked> messages;
  Status refused;
  for (const client::Message& message : request.messages()) {
    Result<Checked> one = checked(request.uin(), request.group(), message);
    refused = one.status();
    if (!one.ok()) break;
    messages.push_back(*std::move(one));
  }
  internal::GroupAppendResponse response;
  const Status stopped = append_all(call, request.uin(), request.group(), messages, response);
  const Status& failure = stopped.ok() ? refused : stopped;
  if (failure.ok()) return response;
  if (response.appended_size() == 0) return failure;
  response.add_appended()->set_code(static_cast<uint32_t>(failure.code()));
  return response;
}

Result<GroupServiceImpl::Checked> GroupServiceImpl::checked(uint64_t uin, uint64_t group, const client::Message& message) {
  TRY(api::check_message(message));
  if (message.conversation().id() != group) return Status(Code::invalid, "the message names another group");
  return Checked{&message, api::message_key(uin, message.client_msg_id()), api::payload_hash(message)};
}

Status GroupServiceImpl::append_all(Call& call, uint64_t uin, uint64_t group, const std::vector<Checked>& messages,
                                    internal::GroupAppendResponse& response) {
  const auto done = [&] { return static_cast<size_t>(response.appended_size()); };
  for (int races = 0; done() < messages.size();) {
    const std::optional<Member> member = TRY(load_member(call, store_, group, uin));
    if (!member) return model::error(ErrorCode::not_member);
    if (!member->in()) {
      // A message that was stored before its sender left is answered as stored.
      const auto had = TRY(store::get_row(call, store_, group_entity(group), dedup_key(messages[done()].key)));
      if (!had) return model::error(ErrorCode::not_member);
      TRY(add_duplicate(*had, messages[done()], response));
      continue;
    }
    const int64_t now_ms = env_.utc_ms();
    std::vector<store::Commit> commits;
    for (size_t i = done(); i < messages.size(); ++i) {
      if (messages[i].message->mention_scope() == 1 && member->row.role() == k_member) break;
      commits.push_back(append_commit(uin, group, messages[i], member->version, now_ms));
    }
    if (commits.empty()) return Status(Code::forbidden, "only the owner and admins mention all");
    for (const Result<store::CommitReply>& reply : store_.commit_many(call, std::move(commits), store::Order::in_order)) {
      if (!reply.ok()) return reply.status();
      const Checked& one = messages[done()];
      if (reply->committed) {
        counters_.messages.add(1);
        internal::GroupAppended& appended = *response.add_appended();
        appended.set_key(one.key);
        appended.set_server_time_ms(now_ms);
        appended.set_seq(reply->header.version);
        continue;
      }
      // The store has stopped here; what follows starts a new batch.
      if (reply->failed_precondition == 0 && reply->present) {
        TRY(add_duplicate(*reply->present, one, response));
        break;
      }
      counters_.races.add(1);  // The member row changed: look again.
      if (++races == k_tries_max) return Status(Code::conflict, "the group changes too fast");
      break;
    }
  }
  return {};
}

store::Commit GroupServiceImpl::append_commit(uint64_t uin, uint64_t group, const Checked& one, uint64_t member_version,
                                              int64_t now_ms) {
  LogRow row;
  *row.mutable_message() = stored_message(*one.message, uin, one.key, now_ms);
  DedupRow dedup;
  dedup.set_payload_hash(one.hash);
  dedup.set_server_time_ms(now_ms);
  store::Commit commit{.entity = group_entity(group), .mark_work = model::k_work_fan_out};
  commit.preconditions = {store::absent(dedup_key(one.key)), store::row_at(member_key(uin), member_version)};
  commit.mutations = {store::put(log_prefix(), row, store::Mutation::Stamp::key), store::put(dedup_key(one.key), dedup)};
  return commit;
}

Status GroupServiceImpl::add_duplicate(const store::Row& row, const Checked& one, internal::GroupAppendResponse& response) {
  const DedupRow had = TRY(store::parse_row_as<DedupRow>(row));
  if (had.payload_hash() != one.hash) return model::error(ErrorCode::client_msg_id_reused);
  counters_.duplicates.add(1);
  internal::GroupAppended& appended = *response.add_appended();
  appended.set_key(one.key);
  appended.set_server_time_ms(had.server_time_ms());
  appended.set_seq(row.version);
  appended.set_duplicate(true);
  return {};
}

// Newest first, span by span of what the member may see and has not cleared: what lies between is never read.
Result<internal::GroupHistoryResponse> GroupServiceImpl::history(Call& call, const internal::GroupHistoryRequest& request) {
  const std::optional<Member> member = TRY(load_member(call, store_, request.group(), request.uin()));
  if (!member) return model::error(ErrorCode::not_member);
  const size_t limit = std::clamp<size_t>(request.limit() == 0 ? 50 : request.limit(), 1, model::k_history_rows_max);
  const uint64_t newest = request.before_seq() == 0 ? UINT64_MAX - 1 : request.before_seq() - 1;
  internal::GroupHistoryResponse response;
  size_t bytes = 0;
  for (int i = member->row.spans_size(); i-- > 0;) {
    const Span& span = member->row.spans(i);
    const uint64_t last = std::min(span.to() == 0 ? UINT64_MAX - 1 : span.to(), newest);
    const uint64_t from = std::max(span.from(), request.after_seq());
    if (last <= from) continue;
    const size_t room = limit - static_cast<size_t>(response.messages_size());
    if (room == 0 || bytes >= model::k_sync_bytes_max) {
      response.set_more(true);
      return response;
    }
    const store::ReadReply log = TRY(store_.read(call, {.entity = group_entity(request.group()),
                                                        .from = log_key(from + 1),
                                                        .to = log_key(last + 1),
                                                        .direction = store::Direction::backward,
                                                        .rows_max = room,
                                                        .bytes_max = model::k_sync_bytes_max - bytes}));
    for (const store::Row& row : log.rows) {
      bytes += row.key.size() + row.value.size();
      *response.add_messages() = TRY(message_of(request.group(), row));
    }
    if (log.more) {
      response.set_more(true);
      return response;
    }
  }
  return response;
}

Status GroupServiceImpl::check_invited(uint64_t uin, const google::protobuf::RepeatedField<uint64_t>& members,
                                       const google::protobuf::RepeatedPtrField<std::string>& grants) {
  if (members.size() != grants.size()) return Status(Code::invalid, "one grant for each member");
  if (static_cast<size_t>(members.size()) > model::k_group_members_max) return model::error(ErrorCode::group_full);
  for (int i = 0; i < members.size(); ++i) {
    const rpc::Grant grant = TRY(rpc::check_grant(contact_grants_, grants.Get(i), env_.utc_ms()));
    const bool good = grant.issuer == "contact" && grant.right == "invite" && !grant.job && grant.actor == uin && grant.object == members.Get(i);
    if (!good) return Status(Code::forbidden, "an invitation without the right to it");
  }
  return {};
}

// One id for one client_group_id, whatever is repeated or raced.
Result<uint64_t> GroupServiceImpl::group_of_attempt(Call& call, uint64_t uin, const std::string& client_group_id) {
  const store::EntityId entity = attempt_entity(uin, client_group_id);
  if (const auto row = TRY(store::get<AttemptRow>(call, store_, entity, ""))) return row->group();
  AttemptRow attempt;
  attempt.set_group(TRY(new_id(call)));
  store::Commit commit{.entity = entity, .preconditions = {store::absent("")}, .mutations = {store::put("", attempt)}};
  const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
  if (reply.committed) return attempt.group();
  ENSURE(reply.present.has_value());
  return TRY(store::parse_row_as<AttemptRow>(*reply.present)).group();
}

Result<uint64_t> GroupServiceImpl::new_id(Call& call) {
  if (next_id_ == ids_end_) {
    internal::LeaseIdsRequest request;
    request.set_kind("group");
    request.set_count(k_ids_leased);
    Call own = self_.as_self(call);
    const internal::LeaseIdsResponse leased = TRY(account_.lease_ids(own, request));
    ENSURE(leased.count() > 0 && model::is_group(leased.first()) && model::is_group(leased.first() + leased.count() - 1));
    // Another coroutine may have leased meanwhile: its ids are skipped, never shared.
    next_id_ = leased.first();
    ids_end_ = leased.first() + leased.count();
  }
  return next_id_++;
}

}  // namespace

std::unique_ptr<Service> make_group(Env& env, GroupDeps deps, GroupConfig config) {
  return std::make_unique<GroupServiceImpl>(env, std::move(deps), config);
}

}  // namespace hongyan::group
