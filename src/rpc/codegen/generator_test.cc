// Goal: what the generator accepts, what it refuses, and that a refusal names file, service and method. Method: small
// .proto texts, parsed in memory.
#include "rpc/codegen/generator.h"

#include <gmock/gmock.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>
#include <memory>

#include "base/hash.h"
#include "rpc/codegen/model.h"
#include "rpc/options.pb.h"

namespace hongyan::rpc::codegen {
namespace {

namespace pb = google::protobuf;
using ::testing::HasSubstr;
using ::testing::Not;

class MemoryFiles : public pb::compiler::GeneratorContext {
 public:
  pb::io::ZeroCopyOutputStream* Open(const std::string& name) override {
    return new pb::io::StringOutputStream(&files[name]);
  }
  std::map<std::string, std::string> files;
};

struct Generated {
  bool ok = false;
  std::string error;
  std::map<std::string, std::string> files;
};

pb::FileDescriptorProto parse(const std::string& text) {
  pb::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  pb::io::Tokenizer tokenizer(&input, nullptr);
  pb::compiler::Parser parser;
  pb::FileDescriptorProto parsed;
  EXPECT_TRUE(parser.Parse(&tokenizer, &parsed)) << text;
  parsed.set_name("api/x.proto");
  return parsed;
}

Generated generate(const std::string& services) {
  const std::string text =
      "syntax = 'proto3'; package hongyan.x; import 'rpc/options.proto';"
      "message Req { uint64 uin = 1; bytes grant = 2; string name = 3; repeated uint64 many = 4; bytes device = 5;"
      "  message Inner { uint64 class = 1; } }"
      "message Resp {}" + services;
  // As through protoc: options are interpreted in one pool, then travel as bytes.
  pb::DescriptorPool first(pb::DescriptorPool::generated_pool());
  const auto* raw = first.BuildFile(parse(text));
  EXPECT_NE(raw, nullptr) << text;
  pb::FileDescriptorProto copy;
  raw->CopyTo(&copy);
  pb::FileDescriptorProto received;
  EXPECT_TRUE(received.ParseFromString(copy.SerializeAsString()));
  pb::DescriptorPool second(pb::DescriptorPool::generated_pool());
  const auto* file = second.BuildFile(received);
  EXPECT_NE(file, nullptr);

  Generated out;
  MemoryFiles context;
  out.ok = Generator().Generate(file, "", &context, &out.error);
  out.files = context.files;
  return out;
}

Generated with_policy(const std::string& policy) {
  return generate("service S { rpc Do(Req) returns (Resp) { option (hongyan.rpc.policy) = {" + policy + "}; } }");
}

TEST(Generator, writes_server_client_fake_and_table_into_the_files_package) {
  const Generated out = with_policy("owner: 'uin' device: 'device'");
  ASSERT_TRUE(out.ok) << out.error;
  ASSERT_EQ(out.files.size(), 4u);
  const std::string& header = out.files.at("api/x.rpc.pb.h");
  for (const char* part : {"namespace hongyan::x {", "class SService : public ::hongyan::rpc::Service",
                           "class SClient {", "class SFake : public SService", "s_methods()",
                           "virtual ::hongyan::Result<::hongyan::x::Resp> do_(::hongyan::Call& call, "
                           "const ::hongyan::x::Req& request) = 0;"}) {
    EXPECT_THAT(header, HasSubstr(part));
  }
  const std::string& source = out.files.at("api/x.rpc.pb.cc");
  EXPECT_THAT(source, HasSubstr(".owner = [](const ::hongyan::rpc::Message& m) -> uint64_t { return static_cast<const "
                                "::hongyan::x::Req&>(m).uin(); }"));
  EXPECT_THAT(source, HasSubstr(".device = "));
}

TEST(Generator, a_file_without_services_still_gives_all_files) {
  const Generated out = generate("");
  ASSERT_TRUE(out.ok);
  EXPECT_EQ(out.files.size(), 4u);
}

TEST(Generator, flags_name_every_field_of_the_request_and_what_can_be_a_word) {
  const Generated out = with_policy("owner: 'uin'");
  ASSERT_TRUE(out.ok) << out.error;
  EXPECT_THAT(out.files.at("api/x.flags.pb.h"), HasSubstr("std::span<const ::hongyan::rpc::MethodFlags> s_flags();"));
  const std::string& source = out.files.at("api/x.flags.pb.cc");
  EXPECT_THAT(source, HasSubstr(R"({"uin", "uint64", true, false, ""})"));
  EXPECT_THAT(source, HasSubstr(R"({"grant", "bytes", true, false, ""})"));
  EXPECT_THAT(source, HasSubstr(R"({"many", "uint64", true, true, ""})"));
}

TEST(Generator, a_method_without_policy_and_command_does_not_compile) {
  const Generated out = generate("service S { rpc Naked(Req) returns (Resp); }");
  EXPECT_FALSE(out.ok);
  EXPECT_EQ(out.error, "api/x.proto: service S, method Naked: declares neither a policy nor a command");
  EXPECT_TRUE(out.files.empty());
}

TEST(Generator, a_policy_must_name_fields_that_exist_and_have_the_right_type) {
  const std::vector<std::pair<const char*, const char*>> wrong = {
      {"", "the policy is empty"},
      {"public: false", "the policy is empty"},
      {"owner: 'nobody'", "field 'nobody', which hongyan.x.Req does not have"},
      {"owner: 'name'", "needs a single uint64 field; hongyan.x.Req.name"},
      {"owner: 'many'", "needs a single uint64 field; hongyan.x.Req.many"},
      {"device: 'device' public: true", "device stands beside owner only"},
      {"owner: 'uin' all: true", "all stands beside owner and grant, and nothing else"},
      {"owner: 'uin' service: 's' all: true", "all stands beside owner and grant, and nothing else"},
      {"owner: 'uin' device: 'name'", "needs a single bytes field; hongyan.x.Req.name"},
      {"grant: {right: 'w' object: 'uin' field: 'grant'}", "needs a right and an issuer"},
      {"grant: {object: 'uin' field: 'grant' issuer: 'i'}", "needs a right and an issuer"},
      {"grant: {right: 'w' object: 'grant' field: 'grant' issuer: 'i'}", "policy grant.object needs a single uint64"},
      {"grant: {right: 'w' object: 'uin' field: 'uin' issuer: 'i'}", "policy grant.field needs a single bytes"},
      {"grant: {right: 'w' field: 'grant' issuer: 'i'}", "policy grant.object names field ''"},
      {"service: ''", "an empty name"},
  };
  for (const auto& [policy, why] : wrong) {
    const Generated out = with_policy(policy);
    EXPECT_FALSE(out.ok) << policy;
    EXPECT_THAT(out.error, HasSubstr("api/x.proto: service S, method Do: "));
    EXPECT_THAT(out.error, HasSubstr(why)) << policy;
  }
}

TEST(Generator, right_policies_pass) {
  for (const char* policy : {"owner: 'uin'", "owner: 'uin' device: 'device'", "service: 'a' service: 'b'", "public: true",
                             "grant: {right: 'w' object: 'uin' field: 'grant' issuer: 'i'}"}) {
    const Generated out = with_policy(policy);
    EXPECT_TRUE(out.ok) << policy << ": " << out.error;
  }
}

TEST(Generator, a_key_is_the_methods_own_or_its_services) {
  const auto keyed = [](const char* service, const char* method) {
    return generate(std::string("service S { ") + service + " rpc Do(Req) returns (Resp) { option (hongyan.rpc.policy) = "
                    "{public: true}; " + method + " } }");
  };
  const char* by_uin = "option (hongyan.rpc.keyed_by) = 'uin';";
  const std::string number = ".routing_key = [](const ::hongyan::rpc::Message& m) -> uint64_t { return static_cast<const "
                             "::hongyan::x::Req&>(m).uin(); }";
  const auto source = [](const Generated& out) { return out.files.at("api/x.rpc.pb.cc"); };
  EXPECT_THAT(source(keyed(by_uin, "")), HasSubstr(number));
  EXPECT_THAT(source(keyed("", "option (hongyan.rpc.key) = 'uin';")), HasSubstr(number));
  EXPECT_THAT(source(keyed(by_uin, "option (hongyan.rpc.key) = 'name';")),
              HasSubstr("return ::hongyan::stable_hash(static_cast<const ::hongyan::x::Req&>(m).name()); }"));
  EXPECT_THAT(source(keyed(by_uin, "option (hongyan.rpc.key) = '';")), Not(HasSubstr(".routing_key")));
  EXPECT_THAT(source(keyed("", "")), Not(HasSubstr(".routing_key")));
  EXPECT_THAT(keyed("option (hongyan.rpc.keyed_by) = 'group';", "").error,
              HasSubstr("service S, method Do: the key is field 'group', which hongyan.x.Req does not have: declare"));
  EXPECT_THAT(keyed(by_uin, "option (hongyan.rpc.key) = 'many';").error, HasSubstr("hongyan.x.Req.many is not one"));
}

TEST(Generator, commands_of_one_file_share_neither_id_nor_path) {
  const auto two = [](const char* first, const char* second) {
    return generate(std::string("service A { rpc One(Req) returns (Resp) { option (hongyan.rpc.command) = {") + first +
                    "}; } } service B { rpc Two(Req) returns (Resp) { option (hongyan.rpc.command) = {" + second + "}; } }");
  };
  EXPECT_TRUE(two("id: 1 path: '/a'", "id: 2 path: '/b'").ok);
  EXPECT_THAT(two("id: 1 path: '/a'", "id: 1 path: '/b'").error,
              HasSubstr("service B, method Two: command id 1 is already taken by hongyan.x.A.One"));
  EXPECT_THAT(two("id: 1 path: '/a'", "id: 2 path: '/a'").error, HasSubstr("command path /a is already taken"));
  EXPECT_THAT(two("path: '/a'", "id: 2 path: '/b'").error, HasSubstr("a command needs an id and a path"));
  EXPECT_THAT(two("id: 1", "id: 2 path: '/b'").error, HasSubstr("a command needs an id and a path"));
}

TEST(Generator, refuses_streams_large_priorities_and_names_that_collide) {
  const std::string open = "{ option (hongyan.rpc.policy) = {public: true}; ";
  EXPECT_THAT(generate("service S { rpc Do(stream Req) returns (Resp) " + open + "} }").error, HasSubstr("streams"));
  EXPECT_THAT(generate("service S { rpc Do(Req) returns (Resp) " + open + "option (hongyan.rpc.priority) = 256; } }").error,
              HasSubstr("priority is above 255"));
  EXPECT_THAT(generate("service S { rpc GetIt(Req) returns (Resp) " + open + "} rpc Get_it(Req) returns (Resp) " + open +
                       "} }").error,
              HasSubstr("method Get_it: function name in S get_it is already taken by hongyan.x.S.GetIt"));
}

TEST(Generator, names_that_are_words_of_cpp_get_an_underscore) {
  const Generated out = generate(
      "service S { rpc Delete(Req.Inner) returns (Resp) { option (hongyan.rpc.policy) = {owner: 'class'}; }"
      "rpc Handle(Req) returns (Resp) { option (hongyan.rpc.policy) = {public: true}; } }");
  ASSERT_TRUE(out.ok) << out.error;
  EXPECT_THAT(out.files.at("api/x.rpc.pb.h"), HasSubstr("delete_(::hongyan::Call& call, const ::hongyan::x::Req_Inner& request)"));
  EXPECT_THAT(out.files.at("api/x.rpc.pb.h"), HasSubstr(" handle_(::hongyan::Call& call, "));
  EXPECT_THAT(out.files.at("api/x.rpc.pb.cc"), HasSubstr(".class_()"));
}

TEST(Generator, snake_case_keeps_words_together) {
  EXPECT_EQ(snake_case("AppendToPeer"), "append_to_peer");
  EXPECT_EQ(snake_case("FindByURL"), "find_by_url");
  EXPECT_EQ(snake_case("URLOf"), "url_of");
  EXPECT_EQ(snake_case("Get2Rows"), "get2_rows");
  EXPECT_EQ(snake_case("already_snake"), "already_snake");
}

TEST(Generator, a_method_id_is_the_hash_of_its_full_name_and_never_changes) {
  EXPECT_EQ(method_id("hongyan.x.S.Do"), static_cast<uint32_t>(stable_hash("hongyan.x.S.Do") >> 32));
  EXPECT_EQ(method_id("hongyan.rpc.testing.Echo.Own"), 0x088c6d34u);
}

}  // namespace
}  // namespace hongyan::rpc::codegen
