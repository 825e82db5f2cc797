#include "process/foreign_caller.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <charconv>
#include <cstdio>

#include "rpc/options.pb.h"
#include "rpc/reflection.h"
#include "runtime/coro/run.h"

namespace hongyan::process {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;

constexpr size_t k_answer_bytes_max = 32 * 1024 * 1024;  // What a frame's body may have, and some more for JSON.
constexpr int k_failed = 1, k_usage = 2, k_unreachable = 3;

struct Answer {
  int status = 0;
  std::string body;
};

// One request on a connection of its own, which ends with the answer.
Result<Answer> ask(Env& env, const ForeignOptions& options, const std::string& request) {
  Call call = runtime::background_call(env, options.time);
  auto stream = TRY(env.network().connect(call, options.address));
  if (options.tls != nullptr) {
    auto secured = TRY(options.tls->wrap(std::move(stream)));
    TRY(secured->handshake(call));
    stream = std::move(secured);
  }
  TRY(stream->write(call, request));
  std::string all;
  for (char buffer[16 * 1024];;) {
    const size_t count = TRY(stream->read(call, buffer));
    if (count == 0) break;
    all.append(buffer, count);
    if (all.size() > k_answer_bytes_max) return Status(Code::too_large, "the answer is too large");
  }
  const size_t end = all.find("\r\n\r\n");
  Answer answer;
  if (!all.starts_with("HTTP/1.1 ") || end == all.npos ||
      std::from_chars(all.data() + 9, all.data() + end, answer.status).ec != std::errc()) {
    return Status(Code::unsupported, "what answers there does not speak HTTP");
  }
  answer.body = all.substr(end + 4);
  const size_t at = all.find("Content-Length: ");
  size_t length = 0;
  if (at < end) std::from_chars(all.data() + at + 16, all.data() + end, length);
  if (answer.body.size() != length) return Status(Code::unknown_outcome, "the answer ends early");
  return answer;
}

Result<Answer> ask_in_coroutine(Env& env, const ForeignOptions& options, const std::string& request) {
  Result<Answer> answer = Status(Code::internal, "not asked");
  runtime::run_to_end(env.scheduler(), "call", [&] { answer = ask(env, options, request); });
  return answer;
}

struct Method {
  std::string service;  // "example.WordCount"
  MethodDescriptorProto proto;
};

struct Served {
  DescriptorPool pool;
  std::vector<Method> methods;
};

Result<std::unique_ptr<Served>> served_at(Env& env, const ForeignOptions& options) {
  const auto answer = TRY(ask_in_coroutine(
      env, options, fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", rpc::k_descriptors_path, options.address)));
  FileDescriptorSet set;
  if (answer.status != 200 || !set.ParseFromString(answer.body)) {
    return Status(Code::unsupported, "what answers there does not say what it serves");
  }
  auto served = std::make_unique<Served>();
  for (const auto& file : set.file()) {
    if (served->pool.BuildFile(file) == nullptr) return Status(Code::unsupported, "its description of " + file.name() + " is not complete");
    for (const auto& service : file.service()) {
      for (const auto& method : service.method()) {
        served->methods.push_back({(file.package().empty() ? "" : file.package() + ".") + service.name(), method});
      }
    }
  }
  return served;
}

std::string policy_text(const MethodDescriptorProto& method) {
  const auto& options = method.options();
  const rpc::Policy& policy = options.GetExtension(rpc::policy);
  std::string out;
  const auto add = [&](const std::string& what) { out += (out.empty() ? "" : policy.all() ? " and " : " or ") + what; };
  if (!policy.owner().empty()) add(policy.device().empty() ? "owner" : "owner on their device");
  if (!policy.grant().right().empty()) add(fmt::format("grant {} of {}", policy.grant().right(), policy.grant().issuer()));
  for (const std::string& service : policy.service()) add(service);
  if (policy.public_()) add("public");
  const rpc::Command& command = options.GetExtension(rpc::command);
  if (command.id() != 0) add(fmt::format("command {}{}", command.path(), command.anonymous() ? " (anonymous)" : ""));
  if (options.GetExtension(rpc::idempotent)) out += ", idempotent";
  if (const auto priority = options.GetExtension(rpc::priority); priority != 0) out += fmt::format(", priority {}", priority);
  return out;
}

// "  text  string": the fields of a request, as JSON has them.
std::string fields_text(const Descriptor& message) {
  std::string out;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string type = field.message_type() != nullptr ? field.message_type()->full_name()
                             : field.enum_type() != nullptr  ? field.enum_type()->full_name()
                                                             : field.type_name();
    out += fmt::format("    {:<30}  {}{}\n", field.json_name(), field.is_repeated() ? "repeated " : "", type);
  }
  return out;
}

const Descriptor* input_of(const Served& served, const Method& method) {
  const auto* found = served.pool.FindMethodByName(method.service + "." + method.proto.name());
  return found == nullptr ? nullptr : found->input_type();
}

std::string describe(const Served& served, const Method& method, bool fields) {
  std::string out = fmt::format("{:<40}  {}\n", method.service + "." + method.proto.name(), policy_text(method.proto));
  const Descriptor* input = input_of(served, method);
  return fields && input != nullptr ? out + fields_text(*input) : out;
}

// "example.WordCount.Count", "WordCount.Count" or "Count".
std::vector<const Method*> find(const Served& served, const std::string& name) {
  std::vector<const Method*> found;
  for (const Method& method : served.methods) {
    const std::string full = "." + method.service + "." + method.proto.name();
    if (full.ends_with("." + name)) found.push_back(&method);
  }
  return found;
}

int fail(const std::string& text, int status) {
  std::fputs((text + "\n").c_str(), stderr);
  return status;
}

int fail(const ForeignOptions& options, const Status& status) {
  const bool nobody = status.code() == Code::unavailable || status.code() == Code::deadline;
  return fail(fmt::format("code {}: {}: {}", static_cast<uint32_t>(status.code()), options.address, status.detail()),
              nobody ? k_unreachable : k_failed);
}

int call_method(Env& env, const ForeignOptions& options, const Method& method, const std::string& json) {
  std::string fields;
  if (!options.ticket.empty()) fields += "Hongyan-Ticket: " + options.ticket + "\r\n";
  if (options.routing_key) fields += fmt::format("Hongyan-Routing-Key: {}\r\n", *options.routing_key);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(options.time).count();
  const auto answer = ask_in_coroutine(
      env, options,
      fmt::format("POST /{}/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  "Hongyan-Timeout-Ms: {}\r\n{}Content-Length: {}\r\n\r\n{}",
                  method.service, method.proto.name(), options.address, milliseconds, fields, json.size(), json));
  if (!answer.ok()) return fail(options, answer.status());
  std::string body = answer->body;
  while (body.ends_with('\n')) body.pop_back();
  if (answer->status != 200) return fail(body, k_failed);
  std::fputs((body + "\n").c_str(), stdout);
  return 0;
}

}  // namespace

int call_foreign(Env& env, const ForeignOptions& options, const std::vector<std::string>& words) {
  const auto asked = served_at(env, options);
  if (!asked.ok()) return fail(options, asked.status());
  const Served& served = **asked;
  std::string list;
  for (const Method& method : served.methods) list += describe(served, method, words.empty());
  if (words.empty()) {
    std::fputs(list.c_str(), stdout);
    return 0;
  }
  const auto found = find(served, words[0]);
  if (found.empty()) return fail("there is no method '" + words[0] + "'; there are:\n" + list, k_usage);
  if (found.size() > 1) return fail("'" + words[0] + "' can be one of several; there are:\n" + list, k_usage);
  if (words.size() == 2 && words[1] == "--help") {
    std::fputs(describe(served, *found[0], true).c_str(), stdout);
    return 0;
  }
  if (words.size() > 2 || (words.size() == 2 && words[1].starts_with("--"))) {
    return fail("behind the method there may be one JSON text or --help", k_usage);
  }
  return call_method(env, options, *found[0], words.size() == 2 ? words[1] : "{}");
}

}  // namespace hongyan::process
