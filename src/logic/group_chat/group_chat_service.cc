#include "logic/group_chat/group_chat_service.h"

#include <set>

#include "api/client/checks.h"
#include "api/internal/profiles.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "rpc/ticket.h"

namespace hongyan::logic {

namespace {

using namespace client;

class GroupChatServiceImpl : public GroupChatService {
 public:
  explicit GroupChatServiceImpl(GroupChatDeps deps) : deps_(std::move(deps)) {}

  Result<CreateGroupResponse> create_group(Call& call, const CreateGroupRequest& request) override {
    internal::CreateGroupRequest create;
    create.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    create.set_client_group_id(request.client_group_id());
    create.set_name(request.name());
    TRY(invite(call, create.uin(), request.members(), *create.mutable_members(), *create.mutable_grants()));
    return with_profiles<CreateGroupResponse>(call, TRY(deps_.group.create(call, create)));
  }

  Result<GetGroupResponse> get_group(Call& call, const GetGroupRequest& request) override {
    internal::GetGroupRequest get;
    get.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    get.set_group(request.group());
    get.set_members(request.members());
    return with_profiles<GetGroupResponse>(call, TRY(deps_.group.get(call, get)));
  }

  Result<RenameGroupResponse> rename_group(Call& call, const RenameGroupRequest& request) override {
    internal::RenameGroupRequest rename;
    rename.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    rename.set_group(request.group());
    rename.set_name(request.name());
    return with_profiles<RenameGroupResponse>(call, TRY(deps_.group.rename(call, rename)));
  }

  Result<AddMembersResponse> add_members(Call& call, const AddMembersRequest& request) override {
    internal::AddMembersRequest add;
    add.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    add.set_group(request.group());
    TRY(invite(call, add.uin(), request.members(), *add.mutable_members(), *add.mutable_grants()));
    return with_profiles<AddMembersResponse>(call, TRY(deps_.group.add_members(call, add)));
  }

  Result<RemoveMembersResponse> remove_members(Call& call, const RemoveMembersRequest& request) override {
    internal::RemoveMembersRequest remove;
    remove.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    remove.set_group(request.group());
    *remove.mutable_members() = request.members();
    return with_profiles<RemoveMembersResponse>(call, TRY(deps_.group.remove_members(call, remove)));
  }

  Result<LeaveGroupResponse> leave_group(Call& call, const LeaveGroupRequest& request) override {
    internal::RemoveMembersRequest remove;
    remove.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    remove.set_group(request.group());
    remove.add_members(remove.uin());
    TRY(deps_.group.remove_members(call, remove));
    return LeaveGroupResponse();
  }

  Result<SetAdminsResponse> set_admins(Call& call, const SetAdminsRequest& request) override {
    internal::SetAdminsRequest set;
    set.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    set.set_group(request.group());
    set.set_admin(request.admin());
    *set.mutable_members() = request.members();
    return with_profiles<SetAdminsResponse>(call, TRY(deps_.group.set_admins(call, set)));
  }

  Result<SendResponse> send_to_group(Call& call, const SendRequest& request) override {
    internal::GroupAppendRequest append;
    append.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    TRY(api::check_batch(request.messages()));
    append.set_group(request.messages(0).conversation().id());
    for (const Message& message : request.messages()) {
      // A client of feature level 1 knows the group as a person.
      Message& stored = *append.add_messages();
      stored = message;
      stored.mutable_conversation()->set_type(model::k_conversation_group);
    }
    const internal::GroupAppendResponse appended = TRY(deps_.group.append(call, append));
    SendResponse response;
    for (int i = 0; i < appended.appended_size(); ++i) {
      Sent& sent = *response.add_sent();
      sent.set_client_msg_id(request.messages(i).client_msg_id());
      sent.set_code(appended.appended(i).code());
      sent.set_key(appended.appended(i).key());
      sent.set_server_time_ms(appended.appended(i).server_time_ms());
      sent.set_position(appended.appended(i).seq());
    }
    return response;
  }

 private:
  // Who is invited must be a friend of the inviter: contact's service signs that, one grant each.
  template <typename Uins, typename Grants>
  Status invite(Call& call, uint64_t me, const Uins& asked, Uins& members, Grants& grants) {
    if (static_cast<size_t>(asked.size()) > model::k_group_members_max) return model::error(model::ErrorCode::group_full);
    std::set<uint64_t> wanted(asked.begin(), asked.end());
    wanted.erase(me);
    if (wanted.empty()) return {};
    internal::AreFriendsRequest request;
    request.set_uin(me);
    for (uint64_t uin : wanted) request.add_peers(uin);
    const internal::AreFriendsResponse friends = TRY(deps_.contact.are_friends(call, request));
    if (static_cast<size_t>(friends.friends_size()) != wanted.size()) {
      return model::error(model::ErrorCode::not_friend, "only friends can be invited");
    }
    members = friends.friends();
    grants = friends.grants();
    return {};
  }

  template <typename Response>
  Result<Response> with_profiles(Call& call, internal::GroupResponse from) {
    Response response;
    Group& group = *response.mutable_group();
    group = std::move(*from.mutable_group());
    TRY(api::fill_profiles(call, deps_.account, *group.mutable_members()));
    return response;
  }

  GroupChatDeps deps_;
};

}  // namespace

std::unique_ptr<client::GroupChatService> make_group_chat(Env&, GroupChatDeps deps) {
  return std::make_unique<GroupChatServiceImpl>(std::move(deps));
}

}  // namespace hongyan::logic
