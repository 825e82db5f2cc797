// Goal: only JSON reaches protobuf, and the mapping is the documented one. Method: cases of RFC 8259, then every cut
// of a good text.
#include "api/json/json.h"

#include <gtest/gtest.h>

#include "api/client/chat.pb.h"
#include "runtime/testing/test_env.h"

namespace hongyan::api {
namespace {

const std::string k_send =
    R"({"base":{"featureLevel":2,"deviceId":"cHBwcHBwcHBwcHBwcHBwcA=="},"messages":[{"conversation":{"type":1,"id":"10002"},)"
    R"("clientMsgId":"a","kind":1,"content":"aGk="}]})";

TEST(JsonScan, takes_what_json_is) {
  for (const char* text : {"{}", "[]", " {\"a\" : [1, -2.5e+3, 0, true, false, null, \"x\\u00e9\\n\"] } ", "\"\"", "0", "[[[]]]",
                           "{\"a\":{\"b\":{}}}", "[{},[],{}]"}) {
    EXPECT_TRUE(check_json(text).ok()) << text;
  }
}

TEST(JsonScan, refuses_what_it_is_not) {
  for (const char* text : {"", " ", "{", "}", "{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[,]", "{,}", "01", "1.", "-",
                           "+1", "1e", ".5", "nul", "truee", "'a'", "\"", "\"\\x\"", "\"\\u12g4\"", "{a:1}", "{} {}", "[1 2]",
                           "{\"a\" 1}", "{1:2}", "\"\t\"", "NaN", "Infinity", "// c", "[1]]", "{\"a\":1}}", "\"\\"}) {
    EXPECT_FALSE(check_json(text).ok()) << text;
  }
  EXPECT_FALSE(check_json(std::string("\"\xff\"")).ok());
  EXPECT_FALSE(check_json(std::string_view("\0{}", 3)).ok());
}

TEST(JsonScan, depth_is_bounded) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(check_json(nested(k_json_depth_max)).ok());
  EXPECT_FALSE(check_json(nested(k_json_depth_max + 1)).ok());
  EXPECT_FALSE(check_json(std::string(1024 * 1024, '[')).ok());
}

TEST(JsonScan, every_cut_of_a_good_text_is_refused) {
  for (size_t size = 0; size < k_send.size(); ++size) EXPECT_FALSE(check_json(std::string_view(k_send).substr(0, size)).ok()) << size;
  EXPECT_TRUE(check_json(k_send).ok());
}

TEST(JsonMembers, are_the_pieces_of_the_outer_object_only) {
  const std::string text = R"( {"id":"7", "path" : "sync","body":{"id":"8","x":[{"path":1}]} , "n":-1} )";
  const auto members = json_members(text);
  ASSERT_TRUE(members.ok());
  const JsonMembers expected = {{"id", R"("7")"}, {"path", R"("sync")"}, {"body", R"({"id":"8","x":[{"path":1}]})"}, {"n", "-1"}};
  EXPECT_EQ(*members, expected);
}

TEST(JsonMembers, refuse_doubles_and_crowds_and_what_is_no_object) {
  EXPECT_FALSE(json_members(R"({"id":"7","id":"8"})").ok());
  EXPECT_FALSE(json_members("[]").ok());
  EXPECT_FALSE(json_members("").ok());
  std::string crowd = "{";
  for (int i = 0; i < 100; ++i) crowd += "\"" + std::to_string(i) + "\":1,";
  EXPECT_FALSE(json_members(crowd + "\"x\":1}").ok());
}

TEST(JsonMembers, plain_strings_have_no_escapes) {
  EXPECT_EQ(*plain_string("\"abc\""), "abc");
  for (const char* value : {"7", "\"", "\"a\\n\"", "null", ""}) EXPECT_FALSE(plain_string(value).ok()) << value;
}

TEST(JsonMessage, is_the_protobuf_mapping) {
  client::SendRequest request;
  ASSERT_TRUE(message_from_json(k_send, request).ok());
  EXPECT_EQ(request.base().device_id(), std::string(16, 'p'));
  EXPECT_EQ(request.messages(0).content(), "hi");
  EXPECT_EQ(request.messages(0).conversation().id(), 10'002u);
  EXPECT_EQ(*json_from_message(request), k_send);
}

TEST(JsonMessage, takes_original_names_and_plain_numbers_and_ignores_the_unknown) {
  client::SendRequest request;
  ASSERT_TRUE(message_from_json(R"({"base":{"feature_level":2,"news":{"a":[1]}},"messages":[{"client_msg_id":"x",
      "conversation":{"id":10002}}],"later":true})", request).ok());
  EXPECT_EQ(request.base().feature_level(), 2u);
  EXPECT_EQ(request.messages(0).client_msg_id(), "x");
  EXPECT_EQ(request.messages(0).conversation().id(), 10'002u);
}

TEST(JsonMessage, refuses_wrong_types_and_ranges) {
  for (const char* text : {"[]", "7", "null", R"({"base":7})", R"({"base":{"deviceId":7}})",
                           R"({"base":{"featureLevel":-1}})", R"({"base":{"featureLevel":"x"}})",
                           R"({"base":{"featureLevel":4294967296}})", R"({"base":{"deviceId":"*"}})", R"({"base":{"locale":"\ud800"}})"}) {
    client::SendRequest request;
    const Status status = message_from_json(text, request);
    if (std::string_view(text).find("ud800") != std::string_view::npos) {
      // A lone surrogate is refused or replaced; what must not happen is a string that is not UTF-8.
      if (status.ok()) {
        EXPECT_TRUE(check_json(*json_from_message(request)).ok());
      }
      continue;
    }
    EXPECT_FALSE(status.ok()) << text;
  }
}

TEST(JsonScan, number_of_values_is_bounded) {
  const auto list = [](size_t count) {
    std::string text = "[1";
    for (size_t i = 1; i < count; ++i) text += ",1";
    return text + "]";
  };
  EXPECT_TRUE(check_json(list(k_json_values_max - 1)).ok());
  EXPECT_FALSE(check_json(list(k_json_values_max)).ok());
}

TEST(JsonMessage, largest_text_is_parsed_on_the_big_stack) {
  runtime::TestEnv env;
  std::string text = R"({"messages":[)";
  for (size_t i = 0; i < k_json_values_max - 3; ++i) text += "{},";
  text += R"({"digest":")" + std::string(900'000, 'x') + R"("}]})";
  runtime::run_in_coroutine(env, [&] {
    client::SendRequest request;
    env.scheduler().run_on_thread_stack([&] { EXPECT_FALSE(message_from_json(text, request).ok()); });
    text.replace(text.find("{},{},{},"), 9, "");
    env.scheduler().run_on_thread_stack([&] { EXPECT_TRUE(message_from_json(text, request).ok()); });
    EXPECT_EQ(request.messages_size(), static_cast<int>(k_json_values_max) - 5);
  });
}

TEST(JsonQuoted, escapes_what_must_be) {
  EXPECT_EQ(json_quoted("a\"b\\c\n鸿"), "\"a\\\"b\\\\c\\u000a鸿\"");
  EXPECT_TRUE(check_json(json_quoted(std::string("\0\x1f", 2))).ok());
}

}  // namespace
}  // namespace hongyan::api
