#include "bench/link.h"

namespace hongyan::bench {

std::unique_ptr<Transport> make_transport(Env& env, const ServerProcess& server, const std::string& kind) {
  if (kind == "web" || (kind.empty() && server.address("long_link").empty())) return make_web_transport(env, server);
  return make_long_transport(env, server);
}

Device::Device(Env& env, Transport& transport, std::string user_name, std::string password)
    : env_(env), transport_(transport), user_name_(std::move(user_name)), password_(std::move(password)),
      id_(env.random_bytes(16)) {}

Status Device::connect(Call& call) {
  link_ = TRY(transport_.connect(call));
  return {};
}

client::BaseRequest Device::base() const {
  client::BaseRequest base;
  base.set_ticket(ticket_);
  base.set_device_id(id_);
  base.set_feature_level(2);
  return base;
}

Status Device::opened(Status status, const client::LoginResponse& response) {
  TRY(status);
  uin_ = response.uin();
  ticket_ = response.ticket();
  return {};
}

Status Device::sign_up(Call& call) {
  client::RegisterRequest request;
  *request.mutable_base() = base();
  request.set_user_name(user_name_);
  request.set_password(password_);
  request.set_nickname(user_name_);
  request.mutable_device()->set_id(id_);
  request.mutable_device()->set_platform(6);
  client::LoginResponse response;
  return opened(link_->call(call, "register", request, response), response);
}

Status Device::login(Call& call) {
  client::LoginRequest request;
  *request.mutable_base() = base();
  request.mutable_password()->set_user_name(user_name_);
  request.mutable_password()->set_password(password_);
  request.mutable_device()->set_id(id_);
  request.mutable_device()->set_platform(6);
  client::LoginResponse response;
  return opened(link_->call(call, "login", request, response), response);
}

Result<int> Device::sync(Call& call, const std::function<void(const client::Entry&)>& each) {
  for (int answers = 1;; ++answers) {
    client::SyncRequest request;
    *request.mutable_base() = base();
    request.set_snapshot(snapshot_);
    client::SyncResponse response;
    TRY(link_->call(call, "sync", request, response));
    for (const client::Entry& entry : response.entries()) each(entry);
    snapshot_ = response.snapshot();
    if (!response.more()) return answers;
  }
}

}  // namespace hongyan::bench
