#include "logic/friend/friend_service.h"

#include "api/internal/profiles.h"
#include "rpc/ticket.h"

namespace hongyan::logic {

namespace {

using namespace client;

class FriendServiceImpl : public FriendService {
 public:
  explicit FriendServiceImpl(FriendDeps deps) : deps_(std::move(deps)) {}

  Result<AddFriendResponse> add_friend(Call& call, const AddFriendRequest& request) override {
    internal::AskRequest ask;
    ask.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    ask.set_peer(request.uin());
    ask.set_greeting(request.greeting());
    return with_profile<AddFriendResponse>(call, TRY(deps_.contact.ask(call, ask)));
  }

  Result<AcceptFriendResponse> accept_friend(Call& call, const AcceptFriendRequest& request) override {
    internal::AcceptRequest accept;
    accept.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    accept.set_peer(request.uin());
    return with_profile<AcceptFriendResponse>(call, TRY(deps_.contact.accept(call, accept)));
  }

  Result<RemoveFriendResponse> remove_friend(Call& call, const RemoveFriendRequest& request) override {
    internal::RemoveRequest remove;
    remove.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    remove.set_peer(request.uin());
    return with_profile<RemoveFriendResponse>(call, TRY(deps_.contact.remove(call, remove)));
  }

  Result<SetContactResponse> set_contact(Call& call, const SetContactRequest& request) override {
    internal::SetEdgeRequest set;
    set.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    set.set_peer(request.uin());
    set.set_remark(request.remark());
    set.set_blocked(request.blocked());
    *set.mutable_fields() = request.fields();
    return with_profile<SetContactResponse>(call, TRY(deps_.contact.set_edge(call, set)));
  }

  Result<ListContactsResponse> list_contacts(Call& call, const ListContactsRequest& request) override {
    internal::ListEdgesRequest list;
    list.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    list.set_after_peer(request.after_uin());
    list.set_limit(request.limit());
    internal::ListEdgesResponse edges = TRY(deps_.contact.list_edges(call, list));
    ListContactsResponse response;
    *response.mutable_contacts() = std::move(*edges.mutable_contacts());
    response.set_more(edges.more());
    TRY(api::fill_profiles(call, deps_.account, *response.mutable_contacts()));
    return response;
  }

 private:
  template <typename Response>
  Result<Response> with_profile(Call& call, internal::EdgeResponse edge) {
    internal::ProfilesRequest profiles;
    profiles.add_uins(edge.contact().uin());
    const internal::ProfilesResponse found = TRY(deps_.account.profiles(call, profiles));
    Response response;
    *response.mutable_contact() = std::move(*edge.mutable_contact());
    if (found.profiles_size() == 1) *response.mutable_contact()->mutable_profile() = found.profiles(0);
    return response;
  }

  FriendDeps deps_;
};

}  // namespace

std::unique_ptr<client::FriendService> make_friend(Env&, FriendDeps deps) {
  return std::make_unique<FriendServiceImpl>(std::move(deps));
}

}  // namespace hongyan::logic
