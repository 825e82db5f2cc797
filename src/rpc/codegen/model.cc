#include "rpc/codegen/model.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "rpc/options.pb.h"

namespace hongyan::rpc::codegen {

namespace pb = google::protobuf;

namespace {

Status bad(const pb::MethodDescriptor& method, std::string_view what) {
  return Status(Code::invalid, fmt::format("{}: service {}, method {}: {}", method.file()->name(),
                                           method.service()->name(), method.name(), what));
}

// A word of C++, and so no name for a function.
bool is_keyword(const std::string& word) {
  static constexpr const char* words[] = {
      "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch",
      "char", "char8_t", "char16_t", "char32_t", "class", "compl", "concept", "const", "consteval", "constexpr",
      "constinit", "const_cast", "continue", "co_await", "co_return", "co_yield", "decltype", "default", "delete",
      "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false", "float", "for",
      "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq",
      "nullptr", "NULL", "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast",
      "requires", "return", "short", "signed", "sizeof", "static", "static_assert", "static_cast", "struct", "switch",
      "template", "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "union", "unsigned",
      "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq"};
  for (const char* known : words) {
    if (word == known) return true;
  }
  return false;
}

std::string function_name(const pb::MethodDescriptor& method) {
  const std::string name = snake_case(method.name());
  const bool taken = is_keyword(name) || name == "methods" || name == "handle";  // Members of rpc::Service.
  return taken ? name + "_" : name;
}

std::string cpp_namespace(const std::string& package) {
  std::string out;
  for (char c : package) out += c == '.' ? std::string("::") : std::string(1, c);
  return out;
}

std::string cpp_type(const pb::Descriptor& message) {  // Nested messages are Outer_Inner at namespace level.
  std::string name = message.name();
  for (const auto* outer = message.containing_type(); outer != nullptr; outer = outer->containing_type()) {
    name = outer->name() + "_" + name;
  }
  const std::string& package = message.file()->package();
  return package.empty() ? "::" + name : "::" + cpp_namespace(package) + "::" + name;
}

enum class Want { number, bytes };

std::string spelled(const pb::FieldDescriptor& field) {
  const std::string& name = field.lowercase_name();
  return is_keyword(name) ? name + "_" : name;
}

// The accessor of a request field that a policy names.
Result<std::string> accessor(const pb::MethodDescriptor& method, std::string_view option, const std::string& name,
                             Want want) {
  const auto* field = method.input_type()->FindFieldByName(name);
  if (field == nullptr) {
    return bad(method, fmt::format("policy {} names field '{}', which {} does not have", option, name,
                                   method.input_type()->full_name()));
  }
  const bool right_type = want == Want::number
                              ? field->type() == pb::FieldDescriptor::TYPE_UINT64 ||
                                    field->type() == pb::FieldDescriptor::TYPE_FIXED64
                              : field->type() == pb::FieldDescriptor::TYPE_BYTES;
  if (field->is_repeated() || !right_type) {
    return bad(method, fmt::format("policy {} needs a single {} field; {}.{} is not one", option,
                                   want == Want::number ? "uint64" : "bytes", method.input_type()->full_name(), name));
  }
  return spelled(*field);
}

// A method's own key, else its service's. A service that is keyed has no method that forgot it.
Status read_key(const pb::MethodDescriptor& method, MethodModel& out) {
  const bool own = method.options().HasExtension(key);
  const std::string name = own ? method.options().GetExtension(key) : method.service()->options().GetExtension(keyed_by);
  if (name.empty()) return {};
  const auto* field = method.input_type()->FindFieldByName(name);
  if (field == nullptr) {
    return bad(method, fmt::format("the key is field '{}', which {} does not have{}", name, method.input_type()->full_name(),
                                   own ? "" : ": declare the method's own, or \"\" for none"));
  }
  const auto type = field->type();
  const bool number = type == pb::FieldDescriptor::TYPE_UINT64 || type == pb::FieldDescriptor::TYPE_FIXED64;
  const bool text = type == pb::FieldDescriptor::TYPE_STRING || type == pb::FieldDescriptor::TYPE_BYTES;
  if (field->is_repeated() || (!number && !text)) {
    return bad(method, fmt::format("a key is a single uint64, string or bytes field; {}.{} is not one",
                                   method.input_type()->full_name(), name));
  }
  out.key_field = spelled(*field);
  out.key_is_text = text;
  return {};
}

Status read_policy(const pb::MethodDescriptor& method, const Policy& declared, MethodModel& out) {
  const bool grants = declared.has_grant();
  if (declared.owner().empty() && !grants && declared.service().empty() && !declared.public_()) {
    return bad(method, "the policy is empty: declare owner, grant, service or public");
  }
  if (!declared.owner().empty()) {
    out.owner_field = TRY(accessor(method, "owner", declared.owner(), Want::number));
  }
  if (!declared.device().empty()) {
    if (declared.owner().empty()) return bad(method, "policy device stands beside owner only");
    out.device_field = TRY(accessor(method, "device", declared.device(), Want::bytes));
  }
  if (grants) {
    const GrantPolicy& grant = declared.grant();
    if (grant.right().empty() || grant.issuer().empty()) return bad(method, "policy grant needs a right and an issuer");
    out.grant_right = grant.right();
    out.grant_issuer = grant.issuer();
    out.grant_object_field = TRY(accessor(method, "grant.object", grant.object(), Want::number));
    out.grant_field = TRY(accessor(method, "grant.field", grant.field(), Want::bytes));
  }
  for (const std::string& service : declared.service()) {
    if (service.empty()) return bad(method, "policy service has an empty name");
    out.services.push_back(service);
  }
  out.is_public = declared.public_();
  out.all = declared.all();
  if (out.all && (out.owner_field.empty() || !grants || !out.services.empty() || out.is_public)) {
    return bad(method, "policy all stands beside owner and grant, and nothing else");
  }
  return {};
}

Result<MethodModel> describe_method(const pb::MethodDescriptor& method) {
  MethodModel out;
  out.name = method.name();
  out.function = function_name(method);
  out.full_name = method.full_name();
  out.id = method_id(method.full_name());
  out.request = cpp_type(*method.input_type());
  out.response = cpp_type(*method.output_type());
  if (method.client_streaming() || method.server_streaming()) return bad(method, "streams are not supported");

  const pb::MethodOptions& options = method.options();
  const bool has_policy = options.HasExtension(policy);
  const bool has_command = options.HasExtension(command);
  if (!has_policy && !has_command) return bad(method, "declares neither a policy nor a command");
  if (has_policy) TRY(read_policy(method, options.GetExtension(policy), out));
  if (has_command) {
    const Command& declared = options.GetExtension(command);
    if (declared.id() == 0 || declared.path().empty()) return bad(method, "a command needs an id and a path");
    out.command_id = declared.id();
    out.command_path = declared.path();
    out.command_anonymous = declared.anonymous();
  }
  out.priority = options.GetExtension(priority);
  if (out.priority > 255) return bad(method, "priority is above 255");
  out.idempotent = options.GetExtension(idempotent);
  TRY(read_key(method, out));
  return out;
}

// What may occur once in a file, and who has it.
class Unique {
 public:
  Status take(const pb::MethodDescriptor& method, const std::string& what, const std::string& value) {
    const auto [at, fresh] = taken_.emplace(std::make_pair(what, value), method.full_name());
    if (fresh) return {};
    return bad(method, fmt::format("{} {} is already taken by {}", what, value, at->second));
  }

 private:
  std::map<std::pair<std::string, std::string>, std::string> taken_;
};

}  // namespace

std::string snake_case(std::string_view name) {
  const auto upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool after_lower = i > 0 && !upper(name[i - 1]);
    const bool before_lower = i + 1 < name.size() && !upper(name[i + 1]) && name[i + 1] != '_';
    if (upper(name[i]) && i > 0 && name[i - 1] != '_' && (after_lower || before_lower)) out += '_';
    out += upper(name[i]) ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  }
  return out;
}

uint32_t method_id(std::string_view full_name) { return static_cast<uint32_t>(stable_hash(full_name) >> 32); }

Result<FileModel> describe(const pb::FileDescriptor& file) {
  FileModel out;
  out.path = file.name();
  out.stem = file.name().substr(0, file.name().rfind(".proto"));
  out.name_space = cpp_namespace(file.package());
  Unique unique;
  for (int s = 0; s < file.service_count(); ++s) {
    const pb::ServiceDescriptor& service = *file.service(s);
    ServiceModel model{.name = service.name(), .prefix = snake_case(service.name()), .methods = {}};
    for (int m = 0; m < service.method_count(); ++m) {
      const pb::MethodDescriptor& method = *service.method(m);
      MethodModel described = TRY(describe_method(method));
      TRY(unique.take(method, "method id", fmt::format("{:#010x}", described.id)));
      TRY(unique.take(method, "function name in " + service.name(), described.function));
      if (described.command_id != 0) {
        TRY(unique.take(method, "command id", std::to_string(described.command_id)));
        TRY(unique.take(method, "command path", described.command_path));
      }
      model.methods.push_back(std::move(described));
    }
    out.services.push_back(std::move(model));
  }
  return out;
}

}  // namespace hongyan::rpc::codegen
