#include "access/server_port/integrator_api.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cmath>

#include "api/client/checks.h"
#include "api/json/json.h"
#include "base/bytes.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::access {

using model::ErrorCode;

namespace {

constexpr std::string_view k_api = "/api/v1/";
constexpr std::string_view k_external = "external";
constexpr std::string_view k_system = "system";
constexpr std::string_view k_device = "integrator......";  // 16 bytes; no client's, since those are random.
constexpr uint32_t k_feature_level = 2;
constexpr uint32_t k_type_person = 1, k_type_official = 3;
constexpr size_t k_external_id_bytes_max = 128;
constexpr size_t k_digest_made_bytes_max = 120;            // Of a text without one: a list shows no more.
constexpr uint8_t k_priority = 40;

using Struct = google::protobuf::Struct;
using Value = google::protobuf::Value;

const Value* find(const Struct& fields, std::string_view name) {
  const auto found = fields.fields().find(std::string(name));
  return found == fields.fields().end() || found->second.has_null_value() ? nullptr : &found->second;
}
Result<std::string> text_of(const Struct& fields, std::string_view name, std::string fallback = {}) {
  const Value* value = find(fields, name);
  if (value == nullptr) return fallback;
  if (value->kind_case() != Value::kStringValue) return Status(Code::invalid, std::string(name) + " is not a string");
  return value->string_value();
}
// A whole number below 2^53, where JSON's numbers are exact.
Result<uint64_t> number_of(const Struct& fields, std::string_view name, uint64_t fallback, uint64_t max) {
  const Value* value = find(fields, name);
  if (value == nullptr) return fallback;
  const double number = value->number_value();
  if (value->kind_case() != Value::kNumberValue || number < 0 || number > static_cast<double>(max) || std::floor(number) != number) {
    return Status(Code::invalid, fmt::format("{} is not a whole number from 0 to {}", name, max));
  }
  return static_cast<uint64_t>(number);
}
Result<std::string> bytes_of(const Struct& fields, std::string_view name) {
  const auto bytes = from_base64(TRY(text_of(fields, name)));
  if (!bytes) return Status(Code::invalid, std::string(name) + " is not base64");
  return *bytes;
}

std::string url_safe_base64(std::string_view bytes) {
  std::string text = to_base64(bytes);
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(std::ranges::find(text, '='), text.end());
  return text;
}

// The start of a text, whole code points on one line.
std::string digest_of(std::string_view text) {
  size_t size = std::min(text.size(), k_digest_made_bytes_max);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  std::string digest(text.substr(0, size));
  std::ranges::replace_if(digest, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return digest;
}

Result<client::Message> message_of(const Struct& fields) {
  client::Message message;
  message.set_client_msg_id(TRY(text_of(fields, "client_msg_id")));
  message.set_kind(static_cast<uint32_t>(TRY(number_of(fields, "kind", model::k_kind_text, model::k_kind_max))));
  const std::string text = TRY(text_of(fields, "text"));
  if (find(fields, "text") != nullptr && find(fields, "content") != nullptr) {
    return Status(Code::invalid, "text and content: one of them");
  }
  message.set_content(find(fields, "text") != nullptr ? text : TRY(bytes_of(fields, "content")));
  const bool is_text = message.kind() == model::k_kind_text && api::is_utf8(message.content());
  message.set_digest(TRY(text_of(fields, "digest", is_text ? digest_of(message.content()) : "")));
  message.set_ext(TRY(bytes_of(fields, "ext")));
  message.set_flags(static_cast<uint32_t>(TRY(number_of(fields, "flags", 0, UINT32_MAX))));
  return message;
}

rpc::HttpResponse json_answer(int status, std::string body) {
  rpc::HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.for_browsers = false;
  response.fields.emplace_back("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}
rpc::HttpResponse error_answer(const Status& status) {
  const model::ErrorInfo& info = model::error_info(static_cast<uint32_t>(status.code()));
  const std::string text = status.detail().empty() ? std::string(info.text) : status.detail();
  return json_answer(http_status_of(info.code), fmt::format(R"({{"error":{{"code":{},"name":"{}","text":{}}}}})", info.code,
                                                            info.name, api::json_quoted(text)));
}

}  // namespace

int http_status_of(uint32_t code) {
  if (code >= 100) {
    switch (static_cast<ErrorCode>(code)) {
      case ErrorCode::not_friend:
      case ErrorCode::blocked:
      case ErrorCode::not_member:
      case ErrorCode::login_disabled: return 403;
      case ErrorCode::name_taken:
      case ErrorCode::client_msg_id_reused:
      case ErrorCode::group_full:
      case ErrorCode::contacts_full: return 409;
      default: return 400;
    }
  }
  switch (static_cast<Code>(code)) {
    case Code::ok: return 200;
    case Code::unauthenticated: return 401;
    case Code::forbidden: return 403;
    case Code::not_found: return 404;
    case Code::exists:
    case Code::conflict: return 409;
    case Code::too_large: return 413;
    case Code::rate_limited: return 429;
    case Code::deadline: return 504;
    case Code::no_space: return 507;
    case Code::cancelled:
    case Code::overloaded:
    case Code::unavailable:
    case Code::unknown_outcome:
    case Code::read_only: return 503;
    case Code::corrupt:
    case Code::internal:
    case Code::io: return 500;
    default: return 400;
  }
}

namespace {

// From this machine to this machine. A forwarded request is somebody else's, and a browser that was made to take this
// port for another site (DNS rebinding) names that site as the host.
bool is_direct(const rpc::HttpRequest& request) {
  for (const std::string_view field : {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}) {
    if (!request.field(field).empty()) return false;
  }
  const std::string_view host = request.field("host");
  const size_t colon = host.rfind(':');
  const bool port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  const std::string_view name = port ? host.substr(0, colon) : host;
  return name == "127.0.0.1" || name == "localhost" || name == "[::1]";
}

}  // namespace

IntegratorApi::IntegratorApi(Env& env, ServerPortDeps deps, ServerPortConfig config)
    : env_(env),
      deps_(std::move(deps)),
      config_(std::move(config)),
      requests_(env.counters().counter("hongyan_server_port_requests", "Integrator's commands answered")),
      refused_(env.counters().counter("hongyan_server_port_refused", "Requests without the secret")) {}

rpc::HttpResponse IntegratorApi::respond(const rpc::HttpRequest& request) {
  const std::string_view path = request.path();
  if (path == "/healthz") return json_answer(200, "{\"ok\":true}");
  constexpr std::string_view scheme = "Bearer ";
  const std::string_view shown = request.field("authorization");
  const bool secret = !deps_.secret.empty() && shown.starts_with(scheme) && equal_constant_time(shown.substr(scheme.size()), deps_.secret);
  if (deps_.pages && !path.starts_with("/api/") && is_direct(request)) return deps_.pages(request, secret);
  if (!secret) {
    refused_.add(1);
    rpc::HttpResponse response = error_answer({Code::unauthenticated, "the Authorization header does not have this server's secret"});
    response.fields.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  requests_.add(1);
  if (!path.starts_with(k_api)) return error_answer({Code::not_found, "no such path"});
  if (request.method != "POST") {
    rpc::HttpResponse response = error_answer({Code::invalid, "commands are POSTed"});
    response.status = 405;
    response.fields.emplace_back("Allow", "POST");
    return response;
  }
  Struct fields;
  Status parsed;
  env_.scheduler().run_on_thread_stack([&] { parsed = api::message_from_json(request.body, fields); });
  if (!parsed.ok()) return error_answer(parsed);
  Call call = deps_.self.background(config_.command_limit);
  call.priority.business = k_priority;
  const Result<std::string> answer = run(call, path.substr(k_api.size()), fields);
  return answer.ok() ? json_answer(200, *answer) : error_answer(answer.status());
}

Result<std::string> IntegratorApi::run(Call& call, std::string_view command, const Fields& fields) {
  if (command == "users") return make_user(call, fields);
  if (command == "tickets") return make_ticket(call, fields);
  if (command == "messages") return send(call, fields);
  if (command == "friends") return befriend(call, fields);
  return Status(Code::not_found, "commands are users, tickets, friends and messages");
}

Result<std::string> IntegratorApi::make_user(Call& call, const Fields& fields) {
  const std::string external_id = TRY(text_of(fields, "external_id"));
  if (external_id == k_system) return Status(Code::invalid, "external_id \"system\" would be mistaken for the system");
  internal::CreateAccountRequest create;
  create.set_name_space(std::string(k_external));
  create.set_name(external_id);
  create.set_nickname(TRY(text_of(fields, "nickname", external_id)));
  create.set_avatar_color(static_cast<uint32_t>(TRY(number_of(fields, "avatar_color", 0, 0xffffff))));
  create.set_type(static_cast<uint32_t>(TRY(number_of(fields, "type", k_type_person, k_type_official))));
  // Every request for one external id is the same attempt, so that repeating it finds the same account.
  unsigned char attempt[crypto_generichash_BYTES_MIN];
  static_assert(sizeof attempt == 16);
  crypto_generichash(attempt, sizeof attempt, reinterpret_cast<const unsigned char*>(external_id.data()), external_id.size(), nullptr, 0);
  create.set_attempt(attempt, sizeof attempt);
  const internal::CreateAccountResponse made = TRY(deps_.account.create(call, create));
  const client::Profile& profile = made.account().profile();
  return fmt::format(R"({{"uin":{},"external_id":{},"nickname":{},"avatar_color":{},"type":{},"existed":{}}})", made.uin(),
                     api::json_quoted(external_id), api::json_quoted(profile.nickname()), profile.avatar_color(),
                     profile.type(), made.existed());
}

Result<std::string> IntegratorApi::make_ticket(Call& call, const Fields& fields) {
  const bool by_uin = find(fields, "uin") != nullptr;
  const uint64_t uin = TRY(user_of(call, fields, by_uin ? "uin" : "external_id"));
  internal::MintTicketRequest mint;
  mint.set_uin(uin);
  mint.set_valid_ms(static_cast<uint32_t>(TRY(number_of(fields, "valid_ms", 0, UINT32_MAX))));
  const internal::MintTicketResponse minted = TRY(deps_.device.mint_ticket(call, mint));
  const std::string ticket = url_safe_base64(minted.ticket());
  return fmt::format(R"({{"uin":{},"ticket":"{}","url":{},"expires_ms":{}}})", uin, ticket,
                     api::json_quoted(deps_.web_url() + "/#ticket=" + ticket), minted.expires_ms());
}

Result<std::string> IntegratorApi::befriend(Call& call, const Fields& fields) {
  internal::BefriendRequest request;
  request.set_uin(TRY(user_of(call, fields, "a")));
  request.set_peer(TRY(user_of(call, fields, "b")));
  TRY(deps_.contact.befriend(call, request));
  return fmt::format(R"({{"a":{},"b":{}}})", request.uin(), request.peer());
}

Result<std::string> IntegratorApi::send(Call& call, const Fields& fields) {
  const Value* from = find(fields, "from");
  const bool system = from != nullptr && from->string_value() == k_system;
  const uint64_t sender = system ? model::k_system_uin : TRY(user_of(call, fields, "from"));
  client::Message message = TRY(message_of(fields));
  const Value* to = find(fields, "to");
  const uint64_t given = to == nullptr ? 0 : static_cast<uint64_t>(std::clamp(to->number_value(), 0.0, static_cast<double>(model::k_id_end)));
  const bool group = model::is_group(given) && given < model::k_id_end;
  if (group && system) return Status(Code::forbidden, "the system is in no group: send as a member");
  const uint64_t receiver = group ? given : TRY(user_of(call, fields, "to"));
  message.mutable_conversation()->set_type(group ? model::k_conversation_group : model::k_conversation_direct);
  message.mutable_conversation()->set_id(receiver);
  TRY(api::check_message(message));
  const client::Sent sent = TRY(group ? send_to_group(call, sender, message) : send_to_person(call, sender, message));
  return fmt::format(R"({{"from":{},"to":{},"client_msg_id":{},"key":"{}","server_time_ms":{}}})", sender, receiver,
                     api::json_quoted(message.client_msg_id()), to_hex(sent.key()), sent.server_time_ms());
}

Result<client::Sent> IntegratorApi::send_to_group(Call& call, uint64_t sender, const client::Message& message) {
  Call own = as_user(call, sender);
  client::SendRequest request;
  *request.add_messages() = message;
  const client::SendResponse answer = TRY(deps_.group_chat.send_to_group(own, request));
  ENSURE(answer.sent_size() == 1);
  if (answer.sent(0).code() != 0) return Status(static_cast<Code>(answer.sent(0).code()), "");
  return answer.sent(0);
}

// As logic/chat sends, but with a right that rests on the integrator's word. The system has no inbox of its own.
Result<client::Sent> IntegratorApi::send_to_person(Call& call, uint64_t sender, const client::Message& message) {
  const uint64_t receiver = message.conversation().id();
  Call own = as_user(call, sender);
  std::string right;
  if (receiver != sender) {
    internal::GrantWriteRequest grant;
    grant.set_uin(sender);
    grant.set_peer(receiver);
    right = TRY(deps_.contact.grant_write(call, grant)).grant();
  }
  client::Sent sent;
  sent.set_key(api::message_key(sender, message.client_msg_id()));
  sent.set_server_time_ms(env_.utc_ms());
  if (sender != model::k_system_uin) {
    internal::AppendRequest append;
    append.set_uin(sender);
    append.set_grant(right);
    *append.add_messages() = message;
    const internal::AppendResponse appended = TRY(deps_.inbox.append(own, append));
    ENSURE(appended.appended_size() == 1);
    if (appended.appended(0).code() != 0) return Status(static_cast<Code>(appended.appended(0).code()), "");
    sent.set_server_time_ms(appended.appended(0).server_time_ms());
  }
  if (receiver == sender) return sent;
  internal::AppendToPeerRequest to_peer;
  to_peer.set_uin(receiver);
  to_peer.set_actor(sender);
  to_peer.set_grant(right);
  client::Message& copy = *to_peer.add_messages();
  copy = message;
  copy.set_sender(sender);
  copy.set_key(sent.key());
  copy.set_server_time_ms(sent.server_time_ms());
  TRY(deps_.inbox.append_to_peer(own, to_peer));
  return sent;
}

Result<uint64_t> IntegratorApi::user_of(Call& call, const Fields& fields, std::string_view field) {
  const Value* value = find(fields, field);
  if (value == nullptr) return Status(Code::invalid, std::string(field) + " is missing");
  if (value->kind_case() == Value::kNumberValue) {
    const uint64_t uin = TRY(number_of(fields, field, 0, model::k_id_end));
    TRY(check_exists(call, uin));
    return uin;
  }
  internal::FindRequest find_user;
  find_user.set_name_space(std::string(k_external));
  find_user.set_name(TRY(text_of(fields, field)));
  if (find_user.name().size() > k_external_id_bytes_max) return Status(Code::too_large, std::string(field) + " is too long");
  const Result<internal::FindResponse> found = deps_.account.find(call, find_user);
  if (found.code() == Code::not_found) return Status(Code::not_found, std::string(field) + ": no user has this external_id");
  if (!found.ok()) return found.status();
  return found->profile().uin();
}

Status IntegratorApi::check_exists(Call& call, uint64_t uin) {
  internal::ProfilesRequest profiles;
  profiles.add_uins(uin);
  if (model::is_user(uin) && TRY(deps_.account.profiles(call, profiles)).profiles_size() == 1) return {};
  return Status(Code::not_found, fmt::format("no user has the uin {}", uin));
}

Call IntegratorApi::as_user(const Call& call, uint64_t uin) const {
  Call own = call;
  own.ticket = std::make_shared<const std::string>(rpc::make_call_ticket(
      deps_.audiences, {.uin = uin, .device = std::string(k_device), .epoch = 0, .feature_level = k_feature_level,
                        .expires_ms = env_.utc_ms() + rpc::k_call_ticket_ms_max},
      call.priority));
  return own;
}

}  // namespace hongyan::access
