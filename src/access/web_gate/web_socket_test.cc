// Goal: text messages pass whole however frames are cut; everything else ends the link with the documented code.
#include "access/web_gate/web_socket.h"

#include <gtest/gtest.h>

#include "access/web_gate/testing/web_socket_client.h"

namespace hongyan::access {
namespace {

using testing::client_frame;
using testing::close_code;

struct Heard {
  std::vector<std::string> texts;
  void feed(WebSocketCodec& codec, std::string_view bytes) {
    codec.feed(bytes, [this](std::string text) { texts.push_back(std::move(text)); });
  }
};

TEST(WebSocketCodec, hears_messages_split_at_every_byte) {
  const std::string bytes = client_frame(1, "hello") + client_frame(1, "鸿", false) + client_frame(9, "p") + client_frame(0, "雁");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    WebSocketCodec codec(1024);
    Heard heard;
    heard.feed(codec, std::string_view(bytes).substr(0, cut));
    heard.feed(codec, std::string_view(bytes).substr(cut));
    EXPECT_EQ(heard.texts, (std::vector<std::string>{"hello", "鸿雁"})) << cut;
    EXPECT_EQ(codec.take_output(), "\x8a\x01p");
  }
}

TEST(WebSocketCodec, speaks_unmasked_text) {
  WebSocketCodec codec(1024);
  codec.send_text("hi");
  EXPECT_EQ(codec.take_output(), "\x81\x02hi");
  codec.ping();
  EXPECT_EQ(codec.take_output(), std::string("\x89\x00", 2));
}

TEST(WebSocketCodec, closes_on_what_breaks_the_rules) {
  const auto code_after = [](const std::string& bytes) {
    WebSocketCodec codec(1024);
    Heard heard;
    heard.feed(codec, bytes);
    heard.feed(codec, client_frame(1, "late"));
    EXPECT_TRUE(codec.closed());
    EXPECT_TRUE(heard.texts.empty());
    return close_code(codec.take_output());
  };
  EXPECT_EQ(code_after("\x81\x02hi"), 1002);                               // Unmasked.
  EXPECT_EQ(code_after(client_frame(0, "x")), 1002);                       // A continuation of nothing.
  EXPECT_EQ(code_after(client_frame(3, "x")), 1002);                       // A reserved opcode.
  EXPECT_EQ(code_after("\xc1" + client_frame(1, "x").substr(1)), 1002);    // A reserved bit.
  EXPECT_EQ(code_after(client_frame(1, "x", false) + client_frame(1, "y")), 1002);
  EXPECT_EQ(code_after(std::string("\x81\xff\x80\0\0\0\0\0\0\0", 10)), 1002);  // A length of 2^63.
  EXPECT_EQ(code_after(client_frame(9, std::string(126, 'p'))), 1002);     // A ping that is too long.
  EXPECT_EQ(code_after(client_frame(1, "\xff")), 1007);
  EXPECT_EQ(code_after(client_frame(1, "\xe9\xb8")), 1007);                // A character cut short.
  EXPECT_EQ(code_after(client_frame(2, "x")), 1003);
  EXPECT_EQ(code_after(client_frame(1, std::string(1025, 'x'))), 1009);
  EXPECT_EQ(code_after(client_frame(1, std::string(1000, 'x'), false) + client_frame(0, std::string(25, 'x'))), 1009);
}

TEST(WebSocketCodec, refuses_a_length_of_two_to_the_63_without_allocating) {
  WebSocketCodec codec(1024);
  Heard heard;
  heard.feed(codec, std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" "mask!", 15));
  EXPECT_TRUE(codec.closed());
  EXPECT_EQ(codec.unfinished_bytes(), 0u);
}

TEST(WebSocketCodec, bounds_the_fragments_of_a_message) {
  WebSocketCodec codec(1024 * 1024);
  Heard heard;
  heard.feed(codec, client_frame(1, "", false));
  for (int i = 0; i < 2000 && !codec.closed(); ++i) heard.feed(codec, client_frame(0, "", false));
  EXPECT_EQ(close_code(codec.take_output()), 1008);
}

TEST(WebSocketCodec, answers_a_close_with_a_close) {
  WebSocketCodec codec(1024);
  Heard heard;
  heard.feed(codec, client_frame(8, "\x03\xe8" "bye"));
  EXPECT_TRUE(codec.close_received());
  EXPECT_EQ(close_code(codec.take_output()), 1000);
}

TEST(WebSocketCodec, says_goodbye_once) {
  WebSocketCodec codec(1024);
  codec.close(4001, "logged out");
  codec.close(1001, "again");
  codec.send_text("late");
  const std::string output = codec.take_output();
  EXPECT_EQ(close_code(output), 4001);
  EXPECT_EQ(output.size(), 2u + 2 + 10);
  Heard heard;
  heard.feed(codec, client_frame(8, "\x0f\xa1"));
  EXPECT_TRUE(codec.close_received());
}

TEST(WebSocketAccept, is_the_example_of_the_rfc) {
  EXPECT_EQ(*web_socket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_FALSE(web_socket_accept("").ok());
  EXPECT_FALSE(web_socket_accept("dGhlIHNhbXBsZSBub25jZQ").ok() && web_socket_accept("short").ok());
}

}  // namespace
}  // namespace hongyan::access
