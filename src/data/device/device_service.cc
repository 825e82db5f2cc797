#include "data/device/device_service.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "data/device/device_counters.h"
#include "data/device/device_table.h"
#include "data/device/limits.h"
#include "data/device/session_rules.h"
#include "data/device/tokens.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "rpc/service_identity.h"

namespace hongyan::device {

namespace {

using store::put;
using store::row_at;

constexpr size_t k_revocations_trimmed_from = 1024;

Status old_epoch() { return model::error(model::ErrorCode::old_epoch, "this session is not the device's any more"); }
Status refused() { return Status(Code::unauthenticated, "the token is expired, used, or none"); }
Status contended() { return Status(Code::conflict, "the devices are being changed by others"); }

store::Commit commit_at(uint64_t uin, uint64_t version) {
  store::Commit commit{.entity = device_entity(uin)};
  commit.preconditions = {store::entity_at(version)};
  return commit;
}

bool is_session(const DeviceRow* row, uint32_t epoch) { return row != nullptr && row->open() && row->epoch() == epoch; }

class Service final : public internal::DeviceService {
 public:
  Service(Env& env, DeviceDeps deps, DeviceConfig config)
      : env_(env),
        deps_(std::move(deps)),
        config_(config),
        counters_(env.counters()),
        self_(env, deps_.audiences, "device") {
    CHECK(config_.ticket_ms > 0 && config_.ticket_ms <= rpc::k_client_ticket_ms_max);
  }

  Result<internal::OpenSessionResponse> open_session(Call& call, const internal::OpenSessionRequest& request) override;
  Result<internal::RefreshSessionResponse> refresh_session(Call& call,
                                                           const internal::RefreshSessionRequest& request) override;
  Result<internal::MintTicketResponse> mint_ticket(Call& call, const internal::MintTicketRequest& request) override;
  Result<internal::RefreshSessionResponse> redeem_ticket(Call& call,
                                                         const internal::RedeemTicketRequest& request) override;
  Result<internal::CloseSessionResponse> close_session(Call& call,
                                                       const internal::CloseSessionRequest& request) override;
  Result<internal::EpochResponse> epoch(Call& call, const internal::EpochRequest& request) override;
  Result<internal::RenewTicketResponse> renew_ticket(Call& call, const internal::RenewTicketRequest& request) override;
  Result<internal::ListDevicesResponse> list_devices(Call& call, const internal::ListDevicesRequest& request) override;
  Result<internal::SaveCursorResponse> save_cursor(Call& call, const internal::SaveCursorRequest& request) override;
  Result<internal::CursorsResponse> cursors(Call& call, const internal::CursorsRequest& request) override;

 private:
  struct Session {
    uint64_t uin = 0;
    std::string device_id;
    uint32_t epoch = 0;
    uint32_t feature_level = 0;
    std::string secret;
  };
  std::string ticket_of(const Session& session) const;
  std::string refresh_of(const Session& session) const;
  internal::RefreshSessionResponse answer(const Session& session) const;
  // Its secret is new.
  Session new_session(uint64_t uin, const client::DeviceInfo& device, uint32_t feature_level);
  Opening opening_of(const Session& session, const client::DeviceInfo& device, bool end_others);
  // Tells guards and devices about the sessions that a durable decision has ended.
  void apply(Call& call, uint64_t uin, const std::string& opened, const Decision& decision);
  void revoke_below(uint64_t uin, const std::string& device_id, uint32_t epoch);
  void ring_logged_out(Call& call, uint64_t uin, const std::string& device_id);
  bool cursor_is_due(uint64_t uin, const std::string& device_id);

  Env& env_;
  DeviceDeps deps_;
  DeviceConfig config_;
  DeviceCounters counters_;
  rpc::ServiceIdentity self_;
  size_t trim_at_ = k_revocations_trimmed_from;
  std::map<std::pair<uint64_t, std::string>, runtime::Time> cursor_times_;
};

std::string Service::ticket_of(const Session& session) const {
  return rpc::make_client_ticket(deps_.client_tickets, {.uin = session.uin,
                                                        .device = session.device_id,
                                                        .epoch = session.epoch,
                                                        .feature_level = std::max(session.feature_level, 1u),
                                                        .expires_ms = env_.utc_ms() + config_.ticket_ms});
}

std::string Service::refresh_of(const Session& session) const {
  return encode(RefreshToken{
      .uin = session.uin, .device_id = session.device_id, .epoch = session.epoch, .secret = session.secret});
}

internal::RefreshSessionResponse Service::answer(const Session& session) const {
  internal::RefreshSessionResponse out;
  out.set_uin(session.uin);
  out.set_ticket(ticket_of(session));
  out.set_refresh(refresh_of(session));
  out.set_epoch(session.epoch);
  return out;
}

Service::Session Service::new_session(uint64_t uin, const client::DeviceInfo& device, uint32_t feature_level) {
  return {.uin = uin,
          .device_id = device.id(),
          .epoch = 0,
          .feature_level = feature_level,
          .secret = env_.random_bytes(k_secret_bytes)};
}

Opening Service::opening_of(const Session& session, const client::DeviceInfo& device, bool end_others) {
  return {.info = device,
          .feature_level = session.feature_level,
          .refresh_hash = hash_of_secret(session.secret),
          .end_others = end_others,
          .now_ms = env_.utc_ms(),
          .first_floor = static_cast<uint32_t>(env_.random_u64() % k_restore_steps)};
}

Result<internal::OpenSessionResponse> Service::open_session(Call& call, const internal::OpenSessionRequest& request) {
  if (!model::is_user(request.uin())) return Status(Code::invalid, "uin is no user");
  TRY(check_info(request.device()));
  Session session = new_session(request.uin(), request.device(), request.feature_level());
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Devices devices = TRY(read_devices(call, deps_.store, request.uin()));
    const Decision decision =
        device::open_session(devices, opening_of(session, request.device(), request.end_others()));
    store::Commit commit = commit_at(request.uin(), devices.header.version);
    commit.mutations = decision.mutations;
    if (!TRY(deps_.store.commit(call, std::move(commit))).committed) continue;
    session.epoch = decision.epoch;
    apply(call, request.uin(), session.device_id, decision);
    internal::OpenSessionResponse out;
    out.set_ticket(ticket_of(session));
    out.set_refresh(refresh_of(session));
    out.set_epoch(session.epoch);
    return out;
  }
  return contended();
}

Result<internal::RefreshSessionResponse> Service::refresh_session(Call& call,
                                                                  const internal::RefreshSessionRequest& request) {
  const auto token = decode_refresh_token(request.refresh());
  if (!token || !model::is_user(token->uin)) return refused();
  const bool with_info = !request.device().id().empty();
  if (with_info) TRY(check_info(request.device()));
  if (with_info && request.device().id() != token->device_id) return refused();
  const std::string presented = hash_of_secret(token->secret);

  for (int i = 0; i < k_commit_tries_max; ++i) {
    StoredDevice stored = TRY(read_device(call, deps_.store, token->uin, token->device_id));
    DeviceRow& row = stored.row;
    if (stored.version == 0) return refused();
    if (!is_session(&row, token->epoch)) return old_epoch();
    if (!equal_constant_time(presented, row.refresh_hash()) &&
        !equal_constant_time(presented, row.previous_refresh_hash())) {
      counters_.refresh_refused.add(1);
      return refused();
    }
    Session session{.uin = token->uin,
                    .device_id = token->device_id,
                    .epoch = row.epoch(),
                    .feature_level = request.feature_level(),
                    .secret = env_.random_bytes(k_secret_bytes)};
    // What was presented stays good for one more step: the client may never see this answer.
    row.set_previous_refresh_hash(presented);
    row.set_refresh_hash(hash_of_secret(session.secret));
    row.set_feature_level(request.feature_level());
    row.set_seen_ms(env_.utc_ms());
    if (with_info) *row.mutable_info() = request.device();

    store::Commit commit{.entity = device_entity(token->uin)};
    const std::string key = device_key(token->device_id);
    commit.preconditions = {row_at(key, stored.version)};
    commit.mutations = {put(key, row)};
    if (!TRY(deps_.store.commit(call, std::move(commit))).committed) continue;
    counters_.refreshed.add(1);
    return answer(session);
  }
  return contended();
}

Result<internal::MintTicketResponse> Service::mint_ticket(Call& call, const internal::MintTicketRequest& request) {
  if (!model::is_user(request.uin())) return Status(Code::invalid, "uin is no user");
  if (request.valid_ms() > k_ticket_valid_ms_max) return Status(Code::too_large, "valid_ms is more than an hour");
  const int64_t now_ms = env_.utc_ms();
  const LoginTicket ticket{.uin = request.uin(), .secret = env_.random_bytes(k_secret_bytes)};
  TicketRow row;
  row.set_expires_ms(now_ms + (request.valid_ms() == 0 ? k_ticket_valid_ms : request.valid_ms()));

  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Devices devices = TRY(read_devices(call, deps_.store, request.uin()));
    store::Commit commit = commit_at(request.uin(), devices.header.version);
    commit.mutations = {put(ticket_key(hash_of_secret(ticket.secret)), row)};
    std::multimap<int64_t, std::string> by_end;  // Those that would stay.
    for (const auto& [hash, other] : devices.tickets) by_end.emplace(other.expires_ms(), hash);
    while (!by_end.empty() && (by_end.begin()->first <= now_ms || by_end.size() >= k_tickets_max)) {
      commit.mutations.push_back(store::erase(ticket_key(by_end.begin()->second)));
      by_end.erase(by_end.begin());
    }
    if (!TRY(deps_.store.commit(call, std::move(commit))).committed) continue;
    internal::MintTicketResponse out;
    out.set_ticket(encode(ticket));
    out.set_expires_ms(row.expires_ms());
    return out;
  }
  return contended();
}

Result<internal::RefreshSessionResponse> Service::redeem_ticket(Call& call,
                                                                const internal::RedeemTicketRequest& request) {
  TRY(check_info(request.device()));
  const auto ticket = decode_login_ticket(request.ticket());
  if (!ticket || !model::is_user(ticket->uin)) return refused();
  const std::string hash = hash_of_secret(ticket->secret);
  Session session = new_session(ticket->uin, request.device(), request.feature_level());

  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Devices devices = TRY(read_devices(call, deps_.store, ticket->uin));
    const auto found = devices.tickets.find(hash);
    if (found == devices.tickets.end() || found->second.expires_ms() <= env_.utc_ms()) return refused();
    TicketRow row = found->second;
    if (!row.redeemed_by().empty() && row.redeemed_by() != session.device_id) return refused();
    row.set_redeemed_by(session.device_id);

    const Decision decision = device::open_session(devices, opening_of(session, request.device(), false));
    store::Commit commit = commit_at(ticket->uin, devices.header.version);
    commit.mutations = decision.mutations;
    commit.mutations.push_back(put(ticket_key(hash), row));
    if (!TRY(deps_.store.commit(call, std::move(commit))).committed) continue;
    session.epoch = decision.epoch;
    apply(call, ticket->uin, session.device_id, decision);
    return answer(session);
  }
  return contended();
}

Result<internal::CloseSessionResponse> Service::close_session(Call& call,
                                                              const internal::CloseSessionRequest& request) {
  if (request.device_id().size() != k_device_id_bytes) return Status(Code::invalid, "device_id is not 16 bytes");
  const rpc::Identity caller = TRY(rpc::caller_of(call)).identity;
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Devices devices = TRY(read_devices(call, deps_.store, request.uin()));
    // A logout that comes late finds its own epoch gone and closes nothing.
    if (!is_session(devices.find(caller.device), caller.epoch)) return old_epoch();
    const DeviceRow* row = devices.find(request.device_id());
    if (row == nullptr) return Status(Code::not_found, "no such device");
    if (!row->open()) return internal::CloseSessionResponse();

    const Decision decision = device::close_session(request.device_id(), *row);
    store::Commit commit = commit_at(request.uin(), devices.header.version);
    commit.mutations = decision.mutations;
    if (!TRY(deps_.store.commit(call, std::move(commit))).committed) continue;
    apply(call, request.uin(), "", decision);
    return internal::CloseSessionResponse();
  }
  return contended();
}

Result<internal::EpochResponse> Service::epoch(Call& call, const internal::EpochRequest& request) {
  const StoredDevice stored = TRY(read_device(call, deps_.store, request.uin(), request.device_id()));
  internal::EpochResponse out;
  out.set_epoch(stored.row.epoch());
  out.set_open(stored.row.open());
  return out;
}

Result<internal::RenewTicketResponse> Service::renew_ticket(Call& call, const internal::RenewTicketRequest& request) {
  const rpc::Identity caller = TRY(rpc::caller_of(call)).identity;
  const StoredDevice stored = TRY(read_device(call, deps_.store, request.uin(), request.device_id()));
  if (!is_session(&stored.row, request.epoch()) || caller.epoch != request.epoch()) return old_epoch();
  internal::RenewTicketResponse out;
  out.set_ticket(ticket_of({.uin = request.uin(),
                            .device_id = request.device_id(),
                            .epoch = request.epoch(),
                            .feature_level = request.feature_level(),
                            .secret = {}}));
  return out;
}

Result<internal::ListDevicesResponse> Service::list_devices(Call& call, const internal::ListDevicesRequest& request) {
  const rpc::Identity caller = TRY(rpc::caller_of(call)).identity;
  const Devices devices = TRY(read_devices(call, deps_.store, request.uin()));
  if (!is_session(devices.find(caller.device), caller.epoch)) return old_epoch();
  internal::ListDevicesResponse out;
  for (const auto& [id, row] : devices.rows) {
    if (!row.open()) continue;
    client::Device& device = *out.add_devices();
    device.set_id(id);
    device.set_epoch(row.epoch());
    *device.mutable_info() = row.info();
    device.mutable_info()->clear_push();  // Who reads one could push to the other device.
    device.set_created_ms(row.created_ms());
    device.set_seen_ms(devices.seen_ms(id));
    device.set_this_device(id == caller.device);
  }
  return out;
}

Result<internal::SaveCursorResponse> Service::save_cursor(Call& call, const internal::SaveCursorRequest& request) {
  const rpc::Identity caller = TRY(rpc::caller_of(call)).identity;
  if (!cursor_is_due(request.uin(), request.device_id())) {
    counters_.cursors_skipped.add(1);
    return internal::SaveCursorResponse();
  }
  const StoredDevice stored = TRY(read_device(call, deps_.store, request.uin(), request.device_id()));
  if (!is_session(&stored.row, caller.epoch)) return old_epoch();
  CursorRow row;
  *row.mutable_cursor() = request.cursor();
  row.set_seen_ms(env_.utc_ms());
  store::Commit commit{.entity = device_entity(request.uin())};
  commit.preconditions = {row_at(device_key(request.device_id()), stored.version)};
  commit.mutations = {put(cursor_key(request.device_id()), row)};
  commit.visibility = store::Visibility::silent;
  // Not committed: the session changed meanwhile, and the next cursor will do.
  if (TRY(deps_.store.commit(call, std::move(commit))).committed) counters_.cursors_saved.add(1);
  return internal::SaveCursorResponse();
}

bool Service::cursor_is_due(uint64_t uin, const std::string& device_id) {
  const runtime::Time now = env_.now();
  const auto found = cursor_times_.find({uin, device_id});
  if (found != cursor_times_.end()) {
    if (now - found->second < k_cursor_interval) return false;
    found->second = now;
    return true;
  }
  if (cursor_times_.size() >= k_cursor_times_max) {
    std::erase_if(cursor_times_, [now](const auto& entry) { return now - entry.second >= k_cursor_interval; });
    if (cursor_times_.size() >= k_cursor_times_max) cursor_times_.clear();  // Costs some writes, nothing else.
  }
  cursor_times_.emplace(std::pair(uin, device_id), now);
  return true;
}

Result<internal::CursorsResponse> Service::cursors(Call& call, const internal::CursorsRequest& request) {
  const Devices devices = TRY(read_devices(call, deps_.store, request.uin()));
  internal::CursorsResponse out;
  for (const auto& [id, row] : devices.rows) {
    if (!row.open()) continue;
    internal::DeviceCursor& cursor = *out.add_cursors();
    cursor.set_device_id(id);
    const auto found = devices.cursors.find(id);
    if (found != devices.cursors.end()) *cursor.mutable_cursor() = found->second.cursor();
    cursor.set_seen_ms(devices.seen_ms(id));
  }
  return out;
}

void Service::apply(Call& call, uint64_t uin, const std::string& opened, const Decision& decision) {
  if (!opened.empty()) {
    counters_.opened.add(1);
    revoke_below(uin, opened, decision.epoch);
  }
  for (const Closed& closed : decision.closed) revoke_below(uin, closed.device_id, closed.epoch_lowest);
  for (const Closed& closed : decision.closed) ring_logged_out(call, uin, closed.device_id);
  counters_.closed.add(static_cast<int64_t>(decision.closed.size()));
  counters_.forgotten.add(static_cast<int64_t>(decision.forgotten));
}

void Service::revoke_below(uint64_t uin, const std::string& device_id, uint32_t epoch) {
  const int64_t now_ms = env_.utc_ms();
  deps_.revocations.revoke_below(uin, device_id, epoch, now_ms + rpc::k_client_ticket_ms_max);
  if (deps_.revocations.size() < trim_at_) return;
  deps_.revocations.trim(now_ms);
  trim_at_ = std::max(k_revocations_trimmed_from, 2 * deps_.revocations.size());
}

void Service::ring_logged_out(Call& call, uint64_t uin, const std::string& device_id) {
  internal::RingRequest request;
  request.set_uin(uin);
  request.mutable_ring()->set_kind(model::k_ring_kind_logged_out);
  request.set_only_device(device_id);
  Call as_self = self_.as_self(call);
  if (!deps_.presence.ring(as_self, request).ok()) counters_.rings_failed.add(1);
}

}  // namespace

std::unique_ptr<internal::DeviceService> make_device(Env& env, DeviceDeps deps, DeviceConfig config) {
  return std::make_unique<Service>(env, std::move(deps), config);
}

}  // namespace hongyan::device
