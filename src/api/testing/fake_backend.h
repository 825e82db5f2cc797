// What stands behind an access service, faked: three client services, data/device and presence, with keys and tickets
// that are real. For tests of access rooms.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/client/chat.rpc.pb.h"
#include "api/client/login.rpc.pb.h"
#include "api/client/sync.rpc.pb.h"
#include "api/gate/entry.h"
#include "api/internal/device.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "rpc/local_channel.h"
#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"

namespace hongyan::api::testing {

inline constexpr uint64_t k_alice = 10'001;
inline constexpr uint64_t k_bob = 10'002;
inline const std::string k_phone(16, 'p');
inline const std::string k_laptop(16, 'l');
inline constexpr int64_t k_hour_ms = 3600 * 1000;

inline rpc::KeyRing key_ring(char byte) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, byte)}}); }

class FakeBackend {
 public:
  explicit FakeBackend(runtime::TestEnv& env) : env_(env) {
    device.on_epoch = [this](Call& call, const internal::EpochRequest& request) -> Result<internal::EpochResponse> {
      ++epochs_asked;
      if (device_away) return Status(Code::unavailable, "data/device is away");
      const auto caller = rpc::check_call_ticket(device_ring(), "device", *call.ticket, env_.utc_ms());
      if (!caller.ok() || caller->service != "access") return Status(Code::forbidden, "not access");
      internal::EpochResponse response;
      const auto session = sessions.find({request.uin(), request.device_id()});
      if (session == sessions.end()) return response;
      response.set_epoch(session->second.first);
      response.set_open(session->second.second);
      return response;
    };
    device.on_renew_ticket = [this](Call&, const internal::RenewTicketRequest& request) -> Result<internal::RenewTicketResponse> {
      ++renewals;
      internal::RenewTicketResponse response;
      response.set_ticket(ticket(request.uin(), request.device_id(), request.epoch(), 24 * k_hour_ms));
      return response;
    };
    chat.on_send = [this](Call& call, const client::SendRequest& request) -> Result<client::SendResponse> {
      sends.push_back(request);
      last_call = call;
      if (send_status.ok()) {
        client::SendResponse response;
        for (const client::Message& message : request.messages()) {
          response.add_sent()->set_client_msg_id(message.client_msg_id());
        }
        return response;
      }
      return send_status;
    };
    login.on_login = [this](Call& call, const client::LoginRequest& request) -> Result<client::LoginResponse> {
      last_call = call;
      last_login = request;
      client::LoginResponse response;
      response.set_uin(k_alice);
      return response;
    };
    sync.on_poll = [this](Call&, const client::PollRequest&) -> Result<client::PollResponse> { return poll_now; };
    sync.on_sync = [this](Call& call, const client::SyncRequest&) -> Result<client::SyncResponse> {
      while (sync_held) TRY(sync_released.wait(call));
      client::SyncResponse response;
      response.set_snapshot("snapshot");
      return response;
    };
    presence.on_online = [this](Call&, const internal::OnlineRequest& request) -> Result<internal::OnlineResponse> {
      online.push_back(request);
      if (!online_status.ok()) return online_status;
      return internal::OnlineResponse();
    };
    presence.on_offline = [this](Call&, const internal::OfflineRequest& request) -> Result<internal::OfflineResponse> {
      offline.push_back(request);
      return internal::OfflineResponse();
    };
  }

  void log_in(uint64_t uin, const std::string& of, uint32_t epoch = 1) { sessions[{uin, of}] = {epoch, true}; }

  std::string ticket(uint64_t uin, const std::string& of, uint32_t epoch = 1, int64_t lives_ms = 20 * k_hour_ms) const {
    return rpc::make_client_ticket(client_ring(), {.uin = uin, .device = of, .epoch = epoch, .feature_level = 2,
                                                   .expires_ms = env_.utc_ms() + lives_ms});
  }

  EntryDeps entry_deps() {
    rpc::CommandTable commands;
    commands.add(chat.methods(), chat_channel);
    commands.add(login.methods(), login_channel);
    commands.add(sync.methods(), sync_channel);
    return {.commands = std::move(commands),
            .client_tickets = client_ring(),
            .audiences = {{"device", device_ring()}, {"presence", key_ring('P')}, {"inbox", inbox_ring()}},
            .revocations = revocations,
            .device = internal::DeviceClient(device_channel)};
  }

  static rpc::KeyRing client_ring() { return key_ring('c'); }
  static rpc::KeyRing device_ring() { return key_ring('d'); }
  static rpc::KeyRing inbox_ring() { return key_ring('i'); }

  internal::DeviceFake device;
  internal::PresenceFake presence;
  client::ChatFake chat;
  client::LoginFake login;
  client::MessageSyncFake sync;
  rpc::LocalChannel device_channel{device, nullptr}, presence_channel{presence, nullptr}, chat_channel{chat, nullptr},
      login_channel{login, nullptr}, sync_channel{sync, nullptr};
  rpc::Revocations revocations;

  std::map<std::pair<uint64_t, std::string>, std::pair<uint32_t, bool>> sessions;  // -> (epoch, open)
  bool device_away = false;
  int epochs_asked = 0;
  int renewals = 0;
  std::vector<client::SendRequest> sends;
  Call last_call;
  client::LoginRequest last_login;
  Status send_status;
  client::PollResponse poll_now;
  bool sync_held = false;
  runtime::CondVar sync_released;
  std::vector<internal::OnlineRequest> online;
  std::vector<internal::OfflineRequest> offline;
  Status online_status;

 private:
  runtime::TestEnv& env_;
};

}  // namespace hongyan::api::testing
