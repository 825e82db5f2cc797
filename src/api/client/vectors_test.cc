// Goal: every command of the contract reads and writes the bytes and the JSON of src/api/vectors, which never change.
// Method: each vector is read both ways by today's messages; nothing of it may be unknown, and both must say the same.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/client/chat.rpc.pb.h"
#include "api/client/friend.rpc.pb.h"
#include "api/client/group.rpc.pb.h"
#include "api/client/login.rpc.pb.h"
#include "api/client/sync.rpc.pb.h"
#include "base/bytes.h"
#include "rpc/json/json.h"

namespace hongyan::api {
namespace {

using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

std::vector<rpc::MethodInfo> commands() {
  std::vector<rpc::MethodInfo> found;
  client::LoginFake login;
  client::FriendFake friends;
  client::ChatFake chat;
  client::MessageSyncFake sync;
  client::LinkFake link;
  client::GroupChatFake group;
  for (const rpc::Service* service :
       std::initializer_list<const rpc::Service*>{&login, &friends, &chat, &sync, &link, &group}) {
    for (const rpc::MethodInfo& method : service->methods()) {
      if (method.command_id != 0) found.push_back(method);
    }
  }
  return found;
}

std::string file_of(const rpc::MethodInfo& method) {
  std::string path(method.command_path);
  std::replace(path.begin(), path.end(), '/', '-');
  return std::string(HONGYAN_VECTORS) + "/" + std::to_string(method.command_id) + "-" + path + ".json";
}

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string member(const rpc::JsonMembers& members, std::string_view name) {
  for (const auto& [key, value] : members) {
    if (key == name) return std::string(value);
  }
  ADD_FAILURE() << "no member " << name;
  return "null";
}

bool knows_all(const Message& message) {
  const auto* reflection = message.GetReflection();
  if (!reflection->GetUnknownFields(message).empty()) return false;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (!knows_all(reflection->GetMessage(message, field))) return false;
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      if (!knows_all(reflection->GetRepeatedMessage(message, field, i))) return false;
    }
  }
  return true;
}

void expect_same(const Message& type, const std::string& hex, const std::string& json) {
  const auto bytes = from_hex(hex.substr(1, hex.size() - 2));
  ASSERT_TRUE(bytes);
  const std::unique_ptr<Message> binary(type.New()), text(type.New());
  ASSERT_TRUE(binary->ParseFromString(*bytes));
  EXPECT_TRUE(knows_all(*binary));
  EXPECT_EQ(binary->SerializeAsString(), *bytes);
  ASSERT_TRUE(rpc::message_from_json(json, *text).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(*binary, *text));
}

TEST(Vectors, every_command_reads_and_writes_its_vector) {
  std::set<uint32_t> seen;
  for (const rpc::MethodInfo& method : commands()) {
    SCOPED_TRACE(file_of(method));
    EXPECT_TRUE(seen.insert(method.command_id).second);
    const std::string text = text_of(file_of(method));
    ASSERT_FALSE(text.empty()) << "no vector; tools/docs/vectors.py writes it";
    const auto members = rpc::json_members(text);
    ASSERT_TRUE(members.ok());
    EXPECT_EQ(member(*members, "path"), "\"" + std::string(method.command_path) + "\"");
    EXPECT_EQ(member(*members, "cmdid"), std::to_string(method.command_id));
    expect_same(*method.request(), member(*members, "request_hex"), member(*members, "request"));
    expect_same(*method.response(), member(*members, "response_hex"), member(*members, "response"));
  }
  EXPECT_GE(seen.size(), 31u);
}

}  // namespace
}  // namespace hongyan::api
