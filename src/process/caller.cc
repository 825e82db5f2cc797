#include "process/caller.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "api/json/json.h"
#include "base/bytes.h"
#include "process/secrets.h"
#include "rpc/routing/routed_channel.h"
#include "rpc/ticket.h"
#include "runtime/coro/run.h"
#include "runtime/os/host_lookup.h"

namespace hongyan::process {

namespace {

using google::protobuf::FieldDescriptor;

constexpr auto k_call_limit = std::chrono::seconds(10);

Status bad(const std::string& text) { return Status(Code::invalid, text); }

// "AppendToPeer" and "append_to_peer" are one name.
std::string plain(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c != '_' && c != '-') out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string policy_text(const rpc::MethodInfo& method) {
  std::string out;
  const auto add = [&out](const std::string& what) { out += (out.empty() ? "" : " or ") + what; };
  if (method.policy.owner != nullptr) add("owner");
  if (!method.policy.grant_right.empty()) add(fmt::format("grant {} of {}", method.policy.grant_right, method.policy.grant_issuer));
  for (std::string_view service : method.policy.services) add(std::string(service));
  if (method.policy.is_public) add("public");
  if (method.command_id != 0) add(fmt::format("command {}{}", method.command_path, method.command_anonymous ? " (anonymous)" : ""));
  return out;
}

const rpc::MethodFlags* flags_of(const Endpoint& endpoint, const rpc::MethodInfo& method) {
  const auto found = std::ranges::find(endpoint.flags, method.id, &rpc::MethodFlags::method);
  return found == endpoint.flags.end() ? nullptr : &*found;
}

template <typename Number>
std::optional<Number> number_from(const std::string& text) {
  Number value{};
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || stop != text.data() + text.size()) return {};
  return value;
}

// One way to put a word into a field, single or repeated.
template <typename Value>
void put(rpc::Message& message, const FieldDescriptor& field, Value value,
         void (google::protobuf::Reflection::*set)(rpc::Message*, const FieldDescriptor*, Value) const,
         void (google::protobuf::Reflection::*add)(rpc::Message*, const FieldDescriptor*, Value) const) {
  (message.GetReflection()->*(field.is_repeated() ? add : set))(&message, &field, std::move(value));
}

template <typename Value>
bool put_number(rpc::Message& message, const FieldDescriptor& field, const std::string& text,
                void (google::protobuf::Reflection::*set)(rpc::Message*, const FieldDescriptor*, Value) const,
                void (google::protobuf::Reflection::*add)(rpc::Message*, const FieldDescriptor*, Value) const) {
  const auto value = number_from<Value>(text);
  if (value) put(message, field, *value, set, add);
  return value.has_value();
}

bool put_text(rpc::Message& message, const FieldDescriptor& field, const std::string& word) {
  std::string value = word;
  if (field.type() == FieldDescriptor::TYPE_BYTES && word.starts_with("0x")) {
    auto bytes = from_hex(std::string_view(word).substr(2));
    if (!bytes) return false;
    value = std::move(*bytes);
  }
  const auto* reflection = message.GetReflection();
  if (field.is_repeated()) reflection->AddString(&message, &field, std::move(value));
  else reflection->SetString(&message, &field, std::move(value));
  return true;
}

bool put_word(rpc::Message& message, const FieldDescriptor& field, const std::string& word) {
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return put_number<int32_t>(message, field, word, &R::SetInt32, &R::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64: return put_number<int64_t>(message, field, word, &R::SetInt64, &R::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32: return put_number<uint32_t>(message, field, word, &R::SetUInt32, &R::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64: return put_number<uint64_t>(message, field, word, &R::SetUInt64, &R::AddUInt64);
    case FieldDescriptor::CPPTYPE_FLOAT: return put_number<float>(message, field, word, &R::SetFloat, &R::AddFloat);
    case FieldDescriptor::CPPTYPE_DOUBLE: return put_number<double>(message, field, word, &R::SetDouble, &R::AddDouble);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (word != "true" && word != "false") return false;
      put(message, field, word == "true", &R::SetBool, &R::AddBool);
      return true;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = field.enum_type()->FindValueByName(word);
      if (value == nullptr) return false;
      put(message, field, value, &R::SetEnum, &R::AddEnum);
      return true;
    }
    case FieldDescriptor::CPPTYPE_STRING: return put_text(message, field, word);
    case FieldDescriptor::CPPTYPE_MESSAGE: return false;
  }
  return false;
}

// Who calls: taken out of the words.
struct Caller {
  std::string service;
  std::optional<uint64_t> uin;
  std::string device = std::string(16, '\0');
};

Result<Caller> take_caller(std::vector<std::string>& words) {
  Caller caller;
  for (size_t i = 0; i < words.size();) {
    if (words[i] != "--as" && words[i] != "--uin" && words[i] != "--device") {
      ++i;
      continue;
    }
    const std::string flag = words[i];
    if (i + 1 == words.size()) return bad(flag + " wants a value");
    const std::string value = words[i + 1];
    // A request may have a field of that name; who calls comes first.
    const bool taken = flag == "--as" ? !caller.service.empty() : flag == "--uin" && caller.uin.has_value();
    if (taken) {
      i += 2;
      continue;
    }
    if (flag == "--as") caller.service = value;
    if (flag == "--uin") {
      caller.uin = number_from<uint64_t>(value);
      if (!caller.uin) return bad("--uin wants a number");
    }
    if (flag == "--device") {
      const auto bytes = from_hex(value);
      if (!bytes || bytes->size() != 16) return bad("--device wants 32 hex digits");
      caller.device = *bytes;
    }
    words.erase(words.begin() + static_cast<ptrdiff_t>(i), words.begin() + static_cast<ptrdiff_t>(i) + 2);
  }
  return caller;
}

Result<std::shared_ptr<const std::string>> ticket_of(Env& env, const CallerOptions& options, const Endpoint& endpoint,
                                                      const Caller& caller) {
  if (caller.service.empty() && !caller.uin) return std::shared_ptr<const std::string>();
  if (options.keys_file.empty()) return bad("a ticket needs a key file: --keys");
  const Secrets secrets = TRY(Secrets::read(env, options.keys_file));
  rpc::AudienceKeys keys;
  if (endpoint.audience == "store") {
    const std::string purpose = "store." + caller.service;
    if (secrets.has(purpose)) keys.emplace("store", secrets.ring(purpose));
  } else {
    // A service without rows passes the ticket on to those that have some.
    for (const Endpoint& other : endpoints()) {
      const std::string purpose = "audience." + std::string(other.audience);
      const bool wanted = !other.audience.empty() && (endpoint.audience.empty() || other.audience == endpoint.audience);
      if (wanted && secrets.has(purpose)) keys.emplace(other.audience, secrets.ring(purpose));
    }
  }
  if (keys.empty()) return bad(options.keys_file + " has no key for " + std::string(endpoint.name));
  const int64_t expires_ms = env.utc_ms() + rpc::k_call_ticket_ms_max;
  if (!caller.service.empty()) return std::make_shared<const std::string>(rpc::make_service_ticket(keys, caller.service, expires_ms));
  const rpc::Identity identity{.uin = *caller.uin, .device = caller.device, .epoch = UINT32_MAX, .feature_level = 2, .expires_ms = expires_ms};
  return std::make_shared<const std::string>(rpc::make_call_ticket(keys, identity));
}

int wrong(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  return 2;
}

void print(const std::string& text) { std::fputs((text + "\n").c_str(), stdout); }

}  // namespace

std::string describe_methods(const Endpoint& endpoint) {
  std::string out;
  for (const rpc::MethodInfo& method : endpoint.methods) {
    const rpc::MethodFlags* flags = flags_of(endpoint, method);
    out += fmt::format("{}{:<40}  {}", out.empty() ? "" : "\n", fmt::format("{}.{}", method.service, method.name), policy_text(method));
    if (flags != nullptr && !flags->help.empty()) out += fmt::format("\n    {}", flags->help);
  }
  return out;
}

std::string describe_method(const Endpoint& endpoint, const rpc::MethodInfo& method) {
  std::string out = fmt::format("{}.{}: for {}", method.service, method.name, policy_text(method));
  const rpc::MethodFlags* flags = flags_of(endpoint, method);
  if (flags == nullptr) return out;
  if (!flags->help.empty()) out += fmt::format("\n  {}", flags->help);
  for (const rpc::Flag& flag : flags->flags) {
    const std::string name = flag.scalar ? fmt::format("--{}", flag.name) : fmt::format("{{\"{}\": ...}}", flag.name);
    out += fmt::format("\n  {:<32} {}{}{}{}", name, flag.repeated ? "repeated " : "", flag.type, flag.help.empty() ? "" : "  ", flag.help);
  }
  return out;
}

const rpc::MethodInfo* find_method(const Endpoint& endpoint, std::string_view name) {
  const auto found = std::ranges::find(endpoint.methods, plain(name), [](const rpc::MethodInfo& method) { return plain(method.name); });
  return found == endpoint.methods.end() ? nullptr : &*found;
}

Result<std::unique_ptr<rpc::Message>> build_request(const rpc::MethodInfo& method, std::span<const std::string> words) {
  std::unique_ptr<rpc::Message> request(method.request()->New());
  const auto* type = request->GetDescriptor();
  // JSON first, whatever its place: flags are laid over it.
  std::vector<std::pair<std::string, std::string>> flags;
  bool json = false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      if (json) return bad("there is one JSON text: '" + words[i] + "'");
      json = true;
      Status parsed = api::message_from_json(words[i], *request);
      if (!parsed.ok()) return bad("'" + words[i] + "' is no JSON of " + type->full_name() + ": " + parsed.detail());
      continue;
    }
    const size_t equals = words[i].find('=');
    std::string name = words[i].substr(2, equals == std::string::npos ? equals : equals - 2);
    std::ranges::replace(name, '-', '_');
    if (equals == std::string::npos && i + 1 == words.size()) return bad(words[i] + " wants a value");
    flags.emplace_back(std::move(name), equals == std::string::npos ? words[++i] : words[i].substr(equals + 1));
  }
  for (const auto& [name, value] : flags) {
    const auto* field = type->FindFieldByName(name);
    if (field == nullptr) return bad(type->full_name() + " has no field '" + name + "'");
    if (!put_word(*request, *field, value)) {
      return bad(fmt::format("--{}: '{}' is no {}", name, value,
                             field->message_type() != nullptr ? "scalar; give the field in JSON" : field->type_name()));
    }
  }
  return request;
}

int call_from_words(Env& env, const CallerOptions& options, const Endpoint& endpoint, std::vector<std::string> words) {
  if (words.empty()) return wrong("which method? one of:\n" + describe_methods(endpoint));
  const rpc::MethodInfo* method = find_method(endpoint, words.front());
  if (method == nullptr) return wrong("there is no method '" + words.front() + "'; there are:\n" + describe_methods(endpoint));
  words.erase(words.begin());
  if (std::ranges::find(words, "--help") != words.end()) {
    print(describe_method(endpoint, *method));
    return 0;
  }
  const auto caller = take_caller(words);
  if (!caller.ok()) return wrong(caller.status().detail());
  // A person's own uin is what most requests begin with.
  const auto* uin = method->request()->GetDescriptor()->FindFieldByName("uin");
  if (caller->uin && uin != nullptr) words.insert(words.begin(), {"--uin", std::to_string(*caller->uin)});
  const auto request = build_request(*method, words);
  if (!request.ok()) return wrong(request.status().detail());
  const auto ticket = ticket_of(env, options, endpoint, *caller);
  if (!ticket.ok()) return wrong(ticket.status().detail());

  const std::unique_ptr<rpc::Message> response(method->response()->New());
  Status status;
  auto resolver = rpc::make_resolver(env, options.address, runtime::look_up_host);
  if (!resolver.ok()) return wrong(resolver.status().detail());
  runtime::run_to_end(env.scheduler(), "call", [&] {
    rpc::RoutedChannel channel(env, "call", std::move(*resolver), {.call_time = k_call_limit, .tls = options.tls});
    channel.start();
    Call call = runtime::background_call(env, k_call_limit);
    call.ticket = *ticket;
    status = channel.call(call, *method, **request, *response);
    channel.close();
  });
  if (!status.ok()) {
    std::fputs(fmt::format("code {}: {}\n", static_cast<uint32_t>(status.code()), status.detail()).c_str(), stderr);
    return 1;
  }
  const auto json = api::json_from_message(*response);
  if (!json.ok()) return wrong(json.status().detail());
  print(*json);
  return 0;
}

}  // namespace hongyan::process
