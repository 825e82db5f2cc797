#include "api/gate/entry.h"

#include <algorithm>

#include "api/client/checks.h"
#include "base/check.h"
#include "base/hash.h"
#include "runtime/log/log.h"
#include "runtime/trace/traceparent.h"

namespace hongyan::api {

using model::ErrorCode;
using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_debug_bytes_max = 256;
constexpr int64_t k_hour_ms = 3600 * 1000;
constexpr int64_t k_ticket_again_ms = 1000;
constexpr uint32_t k_retry_later_ms = 1000;
constexpr uint32_t k_class_retry_later = 2;
// Whoever is refused comes back spread over this time, or all of them would come back at once.
constexpr uint64_t k_retry_spread_ms = 2000;
constexpr size_t k_minted_max = 8;  // There are about as many business priorities.

rpc::Message& base_field(rpc::Message& message, const google::protobuf::Descriptor* wanted) {
  const auto* field = message.GetDescriptor()->FindFieldByNumber(1);
  CHECK(field != nullptr && field->message_type() == wanted && !field->is_repeated());
  return *message.GetReflection()->MutableMessage(&message, field);
}

runtime::Trace trace_of(const client::BaseRequest& base, const Origin& origin) {
  return runtime::parse_traceparent(base.trace().empty() ? origin.traceparent : std::string_view(base.trace())).value_or(runtime::Trace());
}

std::string_view name_of(const rpc::MethodInfo& method) { return method.full_name.empty() ? method.name : method.full_name; }

}  // namespace

client::BaseRequest& base_of_request(rpc::Message& request) {
  return static_cast<client::BaseRequest&>(base_field(request, client::BaseRequest::descriptor()));
}
client::BaseResponse& base_of_response(rpc::Message& response) {
  return static_cast<client::BaseResponse&>(base_field(response, client::BaseResponse::descriptor()));
}

void settle_credit(const Origin& origin, rpc::Message& response) {
  const client::BaseResponse& base = base_of_response(response);
  if (origin.credit == nullptr || base.class_() == k_class_retry_later) return;
  origin.credit->good = base.code() == 0;
}

std::string printable(std::string_view text, size_t bytes_max) {
  std::string out(text.substr(0, bytes_max));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (is_utf8(out)) return out;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

std::string address_group(std::string_view peer) {
  if (!peer.starts_with('[')) return std::string(peer.substr(0, peer.rfind(':')));
  const std::string_view address = peer.substr(1, peer.find(']') - 1);
  // The first four groups, unless "::" hides some of them: then the address itself, which is short.
  size_t end = 0;
  for (int groups = 0; groups < 4; ++groups) {
    const size_t colon = address.find(':', end);
    if (colon == std::string_view::npos || address.substr(colon).starts_with("::")) return std::string(address);
    end = colon + 1;
  }
  return std::string(address.substr(0, end));
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]") || address == "::1" ||
         address.starts_with("[::ffff:127.");
}

Entry::Entry(Env& env, EntryDeps deps, EntryConfig config)
    : env_(env),
      deps_(std::move(deps)),
      config_(config),
      service_(env, deps_.audiences, "access"),
      anonymous_(env, deps_.audiences, "login"),
      epochs_(config.devices_max),
      renewed_(config.devices_max),
      per_device_(config.per_device, config.devices_max),
      per_address_(config.per_address, config.devices_max),
      dagor_(config.overload),
      lag_(env.scheduler()),
      tracer_(env.tracer()),
      requests_(env.counters().counter("hongyan_entry_requests", "Client commands taken")),
      refused_tickets_(env.counters().counter("hongyan_entry_refused_tickets", "Client commands without a good ticket")),
      limited_(env.counters().counter("hongyan_entry_rate_limited", "Client commands over their rate")),
      overloaded_(env.counters().counter("hongyan_entry_overloaded", "Client commands refused because the server was overloaded")),
      foreign_codes_(env.counters().counter("hongyan_entry_foreign_codes", "Answers whose code is not in the table")),
      renewals_(env.counters().counter("hongyan_entry_renewals", "Client tickets renewed")) {
  for (const auto& [id, command] : deps_.commands.all()) {
    const std::unique_ptr<rpc::Message> request(command.method->request()->New());
    const std::unique_ptr<rpc::Message> response(command.method->response()->New());
    base_of_request(*request);
    base_of_response(*response);
  }
}

void Entry::handle(Call& call, const rpc::ServedCommand& command, rpc::Message& request, const Origin& origin,
                   rpc::Message& response) {
  handle(call, *command.method, request, origin, response, config_.deadline,
         [&](Call& inner, const rpc::Identity*, const rpc::Message& in, rpc::Message& out) {
           return command.channel->call(inner, *command.method, in, out);
         });
}

void Entry::handle(Call& call, const rpc::MethodInfo& method, rpc::Message& request, const Origin& origin,
                   rpc::Message& response, Duration limit, const Work& work) {
  requests_.add(1);
  Duration retry_after{};
  Call traced = call;
  traced.trace = trace_of(base_of_request(request), origin);
  tracer_.begin(traced.trace, runtime::Tracer::From::outside);
  auto span = tracer_.start(runtime::Span::Kind::server, name_of(method), traced.trace);
  Result<Admitted> admitted = admit(traced, method, base_of_request(request), origin, limit, retry_after);
  if (admitted.ok()) {
    traced.uin = admitted->call.uin;
    answer_admitted(*admitted, request, origin, response, work);
  } else {
    fill(traced, admitted.status(), retry_after, base_of_response(response));
  }
  const uint32_t code = base_of_response(response).code();
  tracer_.finish(span, static_cast<Code>(code), traced.uin);
  env_.log().debug(traced, "entry: answered", {{"command", name_of(method)}, {"code", code}});
}

void Entry::answer_admitted(Admitted& admitted, rpc::Message& request, const Origin& origin, rpc::Message& response,
                            const Work& work) {
  const rpc::Identity* identity = admitted.identity ? &*admitted.identity : nullptr;
  const Status status = work(admitted.call, identity, request, response);
  if (!status.ok()) response.Clear();
  client::BaseResponse& base = base_of_response(response);
  fill(admitted.call, status, {}, base);
  if (identity != nullptr && base.class_() != 3) renew(admitted, origin, base);
}

void Entry::refuse(const Status& status, rpc::Message& response) {
  response.Clear();
  fill({}, status, {}, base_of_response(response));
}

Status Entry::take(runtime::Priority priority, const Origin& origin, Duration& retry_after) {
  if (!config_.overload_control) return {};
  const Time now = env_.scheduler().read_clock();
  const Duration queue_wait = std::max(now - origin.arrived.value_or(now), Duration()) + lag_.last(now);
  lag_.measure();
  const bool taken = dagor_.admit(priority, queue_wait, now);
  dagor_.waited(queue_wait, now);
  if (taken) return {};
  overloaded_.add(1);
  retry_after = std::chrono::milliseconds(k_retry_later_ms + env_.random_u64() % k_retry_spread_ms);
  return Status(Code::overloaded, "the server is overloaded");
}

// Shuffled every hour, so that being refused is nobody's fate for long; by a secret, so that nobody chooses a level.
uint8_t Entry::user_level(std::string_view who) {
  const int64_t hour = env_.utc_ms() / k_hour_ms;
  if (hour != shuffled_hour_) {
    shuffled_hour_ = hour;
    shuffle_ = stable_hash(deps_.client_tickets.sign("user levels", std::to_string(hour)));
  }
  return static_cast<uint8_t>(stable_hash(who, shuffle_) % rpc::k_user_levels);
}

Result<Entry::Admitted> Entry::admit(Call& call, const rpc::MethodInfo& method, client::BaseRequest& base,
                                     const Origin& origin, Duration limit, Duration& retry_after) {
  const Time now = env_.now();
  Admitted admitted;
  base.clear_peer_address();
  admitted.call = call.until(runtime::after(now, limit));
  if (method.priority != 0) admitted.call.priority.business = method.priority;
  if (method.command_anonymous) {
    retry_after = per_address_.take(address_group(origin.address), now);
    if (retry_after > Duration::zero()) {
      limited_.add(1);
      return Status(Code::rate_limited, "too many anonymous requests from this address");
    }
    admitted.call.priority.user = user_level(address_group(origin.address));
    TRY(take(admitted.call.priority, origin, retry_after));
    admitted.call = anonymous_.as_self(admitted.call);
    base.clear_ticket();
    if (!is_loopback(origin.address)) base.set_peer_address(address_group(origin.address));
    return admitted;
  }
  Result<rpc::Identity> identity = identify(admitted.call, base, origin, retry_after);
  if (!identity.ok()) return identity.status();
  admitted.call.ticket = call_ticket(*identity, admitted.call.priority);
  admitted.call.uin = identity->uin;
  base.clear_ticket();  // It is a password until it expires: logic needs none.
  base.set_device_id(identity->device);
  base.set_device_epoch(identity->epoch);
  if (base.feature_level() == 0) base.set_feature_level(identity->feature_level);
  admitted.identity = std::move(*identity);
  return admitted;
}

Result<rpc::Identity> Entry::identify(Call& call, const client::BaseRequest& base, const Origin& origin,
                                      Duration& retry_after) {
  const auto refused = [&](Status status) {
    refused_tickets_.add(1);
    return status;
  };
  rpc::Identity identity;
  if (!base.ticket().empty()) {
    if (base.ticket().size() > rpc::k_ticket_bytes_max) return refused({Code::unauthenticated, "no ticket is that long"});
    Result<rpc::Identity> checked = check_shown(base.ticket(), origin.link);
    if (!checked.ok()) return refused(checked.status());
    identity = std::move(*checked);
  } else {
    if (origin.link == nullptr || !origin.link->identity) return refused({Code::unauthenticated, "no ticket"});
    identity = *origin.link->identity;
    if (identity.expires_ms <= env_.utc_ms()) return refused({Code::unauthenticated, "the link's ticket has expired"});
  }
  if (!base.device_id().empty() && base.device_id() != identity.device) {
    return refused({Code::unauthenticated, "the ticket belongs to another device"});
  }
  if (revoked(identity)) return refused(model::error(ErrorCode::old_epoch, "the session has ended"));
  retry_after = per_device_.take({identity.uin, identity.device}, env_.now());
  if (retry_after > Duration::zero()) {
    limited_.add(1);
    return Status(Code::rate_limited, "too many requests from this device");
  }
  call.priority.user = user_level(std::to_string(identity.uin));
  TRY(take(call.priority, origin, retry_after));
  if (Status status = check_epoch(call, identity); !status.ok()) {
    return status.code() == model::as_code(ErrorCode::old_epoch) ? refused(status) : status;
  }
  return identity;
}

// A client shows the same ticket with every request; on a link its MAC is computed once.
Result<rpc::Identity> Entry::check_shown(const std::string& ticket, Link* link) {
  const int64_t now_ms = env_.utc_ms();
  const bool known = link != nullptr && link->shown == ticket;
  if (known && link->shown_identity.expires_ms > now_ms && link->shown_at_ms <= now_ms) return link->shown_identity;
  Result<rpc::Identity> checked = rpc::check_client_ticket(deps_.client_tickets, ticket, now_ms);
  if (checked.ok() && link != nullptr) {
    link->shown = ticket;
    link->shown_identity = *checked;
    link->shown_at_ms = now_ms;
  }
  return checked;
}

Status Entry::check_epoch(Call& call, const rpc::Identity& identity) {
  const Known* known = epochs_.find({identity.uin, identity.device});
  const bool fresh = known != nullptr && env_.now() < known->until;
  // A ticket of a later epoch than the one remembered is news, not a lie: its MAC is good.
  if (fresh && known->open && known->epoch == identity.epoch) return {};
  const Known now = TRY(ask_epoch(call, identity));
  if (now.open && now.epoch == identity.epoch) return {};
  return model::error(ErrorCode::old_epoch, "the device has logged in again or was logged out");
}

Result<Entry::Known> Entry::ask_epoch(Call& call, const rpc::Identity& identity) {
  Call own = service_.as_self(call);
  internal::EpochRequest request;
  request.set_uin(identity.uin);
  request.set_device_id(identity.device);
  const internal::EpochResponse answer = TRY(deps_.device.epoch(own, request));
  const Known known{.epoch = answer.epoch(),
                    .open = answer.open(),
                    .until = runtime::after(env_.now(), config_.epoch_trust),
                    .minted = {}};
  epochs_.put({identity.uin, identity.device}, known);
  return known;
}

Result<Standing> Entry::standing(Call& call, const rpc::Identity& identity) {
  const Known known = TRY(ask_epoch(call, identity));
  if (!known.open) return Standing::closed;
  if (known.epoch != identity.epoch) return Standing::superseded;
  return revoked(identity) ? Standing::closed : Standing::good;
}

void Entry::renew(const Admitted& admitted, const Origin& origin, client::BaseResponse& base) {
  const rpc::Identity& identity = *admitted.identity;
  if (identity.expires_ms - env_.utc_ms() > config_.renew_when_left_ms) return;
  const DeviceKey key{identity.uin, identity.device};
  const Time* last = renewed_.find(key);
  if (last != nullptr && env_.now() < runtime::after(*last, config_.renew_again)) return;
  renewed_.put(key, env_.now());
  Call call = runtime::background_call(env_, std::chrono::seconds(2));
  call.trace = admitted.call.trace;
  call.ticket = call_ticket(identity, call.priority);
  internal::RenewTicketRequest request;
  request.set_uin(identity.uin);
  request.set_device_id(identity.device);
  request.set_epoch(identity.epoch);
  request.set_feature_level(identity.feature_level);
  const Result<internal::RenewTicketResponse> answer = deps_.device.renew_ticket(call, request);
  if (!answer.ok()) return;  // The old one is good for hours; a later answer tries again.
  Result<rpc::Identity> renewed = rpc::check_client_ticket(deps_.client_tickets, answer->ticket(), env_.utc_ms());
  if (!renewed.ok() || renewed->uin != identity.uin || renewed->device != identity.device) {
    env_.log().error(admitted.call, "entry: data/device renewed a ticket that does not verify", {{"detail", renewed.status().detail()}});
    return;
  }
  renewals_.add(1);
  base.set_new_ticket(answer->ticket());
  if (origin.link != nullptr && origin.link->identity && origin.link->identity->uin == identity.uin &&
      origin.link->identity->device == identity.device) {
    origin.link->identity = std::move(*renewed);
  }
}

void Entry::fill(const Call& call, const Status& status, Duration retry_after, client::BaseResponse& base) {
  uint32_t code = static_cast<uint32_t>(status.code());
  if (status.ok() && base.code() != 0) code = base.code();  // Some services answer in part.
  const model::ErrorInfo& info = model::error_info(code);
  if (info.code != code) {
    foreign_codes_.add(1);
    env_.log().error(call, "entry: a code that is not in the error table", {{"code", code}, {"detail", status.detail()}});
  }
  base.set_code(info.code);
  base.set_class_(info.error_class);
  if (!status.ok()) base.set_debug(printable(status.detail(), k_debug_bytes_max));
  base.set_server_time_ms(env_.utc_ms());
  base.set_server_version(config_.server_version);
  base.set_min_client_version(config_.min_client_version);
  base.set_config_epoch(config_.config_epoch);
  if (retry_after > Duration::zero()) {
    base.set_retry_after_ms(static_cast<uint32_t>(runtime::milliseconds(retry_after)) + 1);
  } else if (info.error_class == k_class_retry_later && base.retry_after_ms() == 0) {
    base.set_retry_after_ms(k_retry_later_ms);
  }
}

// The same one for a second: a MAC for each audience is most of what a small request costs.
std::shared_ptr<const std::string> Entry::call_ticket(const rpc::Identity& identity, runtime::Priority priority) {
  const int64_t now_ms = env_.utc_ms();
  Known* known = epochs_.find({identity.uin, identity.device});
  Minted* of_business = nullptr;
  if (known != nullptr) {
    for (Minted& minted : known->minted) {
      if (minted.priority.business == priority.business) of_business = &minted;
    }
  }
  if (of_business != nullptr && of_business->of.epoch == identity.epoch &&
      of_business->of.feature_level == identity.feature_level && of_business->of.expires_ms == identity.expires_ms &&
      of_business->priority.user == priority.user && now_ms >= of_business->at_ms &&
      now_ms - of_business->at_ms < k_ticket_again_ms) {
    return of_business->ticket;
  }
  rpc::Identity short_lived = identity;
  short_lived.expires_ms = std::min(identity.expires_ms, now_ms + rpc::k_call_ticket_ms_max);
  auto ticket = std::make_shared<const std::string>(rpc::make_call_ticket(deps_.audiences, short_lived, priority));
  Minted minted{.ticket = ticket, .of = identity, .priority = priority, .at_ms = now_ms};
  if (of_business != nullptr) {
    *of_business = std::move(minted);
  } else if (known != nullptr && known->minted.size() < k_minted_max) {
    known->minted.push_back(std::move(minted));
  }
  return ticket;
}

}  // namespace hongyan::api
