#include "logic/login/login_service.h"

#include "api/client/checks.h"
#include "model/error_code.h"
#include "model/limits.h"
#include "rpc/ticket.h"

namespace hongyan::logic {

namespace {

using namespace client;

void fill_limits(Limits& limits) {
  limits.set_content_bytes(model::k_content_bytes_max);
  limits.set_digest_bytes(model::k_digest_bytes_max);
  limits.set_ext_bytes(model::k_ext_bytes_max);
  limits.set_group_members(model::k_group_members_max);
  limits.set_request_bytes(model::k_request_bytes_max);
  limits.set_name_bytes(model::k_name_bytes_max);
  limits.set_batch_messages(model::k_batch_messages_max);
}

Status check_device(const DeviceInfo& device) {
  if (device.id().size() != 16) return Status(Code::invalid, "device.id is not 16 bytes");
  return {};
}

class LoginServiceImpl : public LoginService {
 public:
  LoginServiceImpl(LoginDeps deps, LoginConfig config) : deps_(std::move(deps)), config_(std::move(config)) {}

  Result<LoginResponse> sign_up(Call& call, const RegisterRequest& request) override {
    if (config_.auth == AuthMode::integrator) return model::error(model::ErrorCode::login_disabled);
    TRY(check_device(request.device()));
    TRY(api::check_name(request.nickname(), model::k_name_bytes_max, "nickname"));
    internal::CreateAccountRequest create;
    create.set_name_space("login");
    create.set_name(request.user_name());
    create.set_password(request.password());
    create.set_nickname(request.nickname());
    create.set_attempt(request.device().id());
    internal::CreateAccountResponse created = TRY(deps_.account.create(call, create));
    return open_session(call, created.uin(), request.device(), request.base().feature_level(), created.account());
  }

  Result<LoginResponse> login(Call& call, const LoginRequest& request) override {
    TRY(check_device(request.device()));
    switch (request.credential_case()) {
      case LoginRequest::kPassword: return by_password(call, request);
      case LoginRequest::kRefresh: return by_refresh(call, request);
      case LoginRequest::kIntegratorTicket: return by_integrator(call, request);
      case LoginRequest::CREDENTIAL_NOT_SET: return Status(Code::invalid, "no credential");
      default: return Status(Code::unsupported, "this credential is not known to this server");
    }
  }

  Result<LogoutResponse> logout(Call& call, const LogoutRequest&) override {
    const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
    internal::CloseSessionRequest close;
    close.set_uin(me.uin);
    close.set_device_id(me.device);
    TRY(deps_.device.close_session(call, close));
    return LogoutResponse();
  }

  Result<GetProfileResponse> get_profile(Call& call, const GetProfileRequest& request) override {
    const uint64_t me = TRY(rpc::caller_of(call)).identity.uin;
    GetProfileResponse response;
    *response.mutable_profile() = TRY(profile_of(call, request.uin() == 0 ? me : request.uin()));
    return response;
  }

  Result<SetProfileResponse> set_profile(Call& call, const SetProfileRequest& request) override {
    internal::SetProfileRequest set;
    set.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    set.set_nickname(request.nickname());
    set.set_avatar_color(request.avatar_color());
    set.set_signature(request.signature());
    *set.mutable_fields() = request.fields();
    internal::SetProfileResponse done = TRY(deps_.account.set_profile(call, set));
    SetProfileResponse response;
    *response.mutable_account() = std::move(*done.mutable_account());
    return response;
  }

  // Whoever knew the old password is out: every other device is closed before the answer.
  Result<SetPasswordResponse> set_password(Call& call, const SetPasswordRequest& request) override {
    const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
    internal::SetPasswordRequest set;
    set.set_uin(me.uin);
    set.set_old_password(request.old_password());
    set.set_new_password(request.new_password());
    TRY(deps_.account.set_password(call, set));
    TRY(close_others(call, me));
    return SetPasswordResponse();
  }

  Result<ListDevicesResponse> list_devices(Call& call, const ListDevicesRequest&) override {
    const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
    ListDevicesResponse response;
    *response.mutable_devices() = std::move(*TRY(devices_of(call, me.uin)).mutable_devices());
    internal::WhoRequest who;
    who.set_uin(me.uin);
    const Result<internal::WhoResponse> online = deps_.presence.who(call, who);  // Nice to have, never an error.
    for (Device& device : *response.mutable_devices()) {
      device.set_this_device(device.id() == me.device);
      if (!online.ok()) continue;
      for (const std::string& id : online->device_ids()) {
        if (id == device.id()) device.set_online(true);
      }
    }
    return response;
  }

  Result<KickDeviceResponse> kick_device(Call& call, const KickDeviceRequest& request) override {
    if (request.device_id().size() != 16) return Status(Code::invalid, "device_id is not 16 bytes");
    internal::CloseSessionRequest close;
    close.set_uin(TRY(rpc::caller_of(call)).identity.uin);
    close.set_device_id(request.device_id());
    TRY(deps_.device.close_session(call, close));
    return KickDeviceResponse();
  }

  Result<FindUserResponse> find_user(Call& call, const FindUserRequest& request) override {
    const uint64_t me = TRY(rpc::caller_of(call)).identity.uin;
    FindUserResponse response;
    if (request.uin() != 0) {
      *response.mutable_profile() = TRY(profile_of(call, request.uin()));
    } else {
      internal::FindRequest find;
      find.set_name_space("login");
      find.set_name(request.user_name());
      *response.mutable_profile() = TRY(deps_.account.find(call, find)).profile();
    }
    internal::GetEdgeRequest edge;
    edge.set_uin(me);
    edge.set_peer(response.profile().uin());
    *response.mutable_contact() = TRY(deps_.contact.get_edge(call, edge)).contact();
    return response;
  }

 private:
  Result<LoginResponse> by_password(Call& call, const LoginRequest& request) {
    if (config_.auth == AuthMode::integrator) return model::error(model::ErrorCode::login_disabled);
    internal::CheckPasswordRequest check;
    check.set_user_name(request.password().user_name());
    check.set_password(request.password().password());
    check.set_address(request.base().peer_address());
    internal::CheckPasswordResponse checked = TRY(deps_.account.check_password(call, check));
    return open_session(call, checked.uin(), request.device(), request.base().feature_level(), checked.account());
  }

  Result<LoginResponse> by_refresh(Call& call, const LoginRequest& request) {
    internal::RefreshSessionRequest refresh;
    refresh.set_refresh(request.refresh());
    *refresh.mutable_device() = request.device();
    refresh.set_feature_level(request.base().feature_level());
    internal::RefreshSessionResponse session = TRY(deps_.device.refresh_session(call, refresh));
    return answer(call, session.uin(), session.ticket(), session.refresh(), session.epoch());
  }

  Result<LoginResponse> by_integrator(Call& call, const LoginRequest& request) {
    if (config_.auth == AuthMode::builtin) return model::error(model::ErrorCode::login_disabled);
    internal::RedeemTicketRequest redeem;
    redeem.set_ticket(request.integrator_ticket());
    *redeem.mutable_device() = request.device();
    redeem.set_feature_level(request.base().feature_level());
    internal::RefreshSessionResponse session = TRY(deps_.device.redeem_ticket(call, redeem));
    return answer(call, session.uin(), session.ticket(), session.refresh(), session.epoch());
  }

  Result<LoginResponse> open_session(Call& call, uint64_t uin, const DeviceInfo& device, uint32_t feature_level,
                                     const Account& account) {
    internal::OpenSessionRequest open;
    open.set_uin(uin);
    *open.mutable_device() = device;
    open.set_feature_level(feature_level);
    internal::OpenSessionResponse session = TRY(deps_.device.open_session(call, open));
    LoginResponse response = opened(uin, session.ticket(), session.refresh(), session.epoch());
    *response.mutable_account() = account;
    return response;
  }

  Result<LoginResponse> answer(Call& call, uint64_t uin, const std::string& ticket, const std::string& refresh,
                               uint32_t epoch) {
    internal::GetAccountRequest get;
    get.set_uin(uin);
    internal::GetAccountResponse got = TRY(deps_.account.get(call, get));
    LoginResponse response = opened(uin, ticket, refresh, epoch);
    *response.mutable_account() = std::move(*got.mutable_account());
    return response;
  }

  LoginResponse opened(uint64_t uin, const std::string& ticket, const std::string& refresh, uint32_t epoch) const {
    LoginResponse response;
    response.set_uin(uin);
    response.set_ticket(ticket);
    response.set_refresh(refresh);
    response.set_device_epoch(epoch);
    response.set_home_region(config_.region);
    fill_limits(*response.mutable_limits());
    response.add_features("groups");
    return response;
  }

  Result<internal::ListDevicesResponse> devices_of(Call& call, uint64_t uin) {
    internal::ListDevicesRequest list;
    list.set_uin(uin);
    return deps_.device.list_devices(call, list);
  }

  Status close_others(Call& call, const rpc::Identity& me) {
    const internal::ListDevicesResponse mine = TRY(devices_of(call, me.uin));
    for (const Device& device : mine.devices()) {
      if (device.id() == me.device) continue;
      internal::CloseSessionRequest close;
      close.set_uin(me.uin);
      close.set_device_id(device.id());
      TRY(deps_.device.close_session(call, close));
    }
    return {};
  }

  Result<Profile> profile_of(Call& call, uint64_t uin) {
    internal::ProfilesRequest profiles;
    profiles.add_uins(uin);
    const internal::ProfilesResponse found = TRY(deps_.account.profiles(call, profiles));
    if (found.profiles_size() == 0) return Status(Code::not_found, "no such user");
    return found.profiles(0);
  }

  LoginDeps deps_;
  LoginConfig config_;
};

}  // namespace

std::unique_ptr<client::LoginService> make_login(Env&, LoginDeps deps, LoginConfig config) {
  return std::make_unique<LoginServiceImpl>(std::move(deps), std::move(config));
}

}  // namespace hongyan::logic
