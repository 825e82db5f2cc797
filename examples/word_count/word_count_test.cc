#include <gtest/gtest.h>

#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "runtime/testing/test_env.h"
#include "word_count_service.h"

namespace example {
namespace {

using hongyan::Code;

CountRequest about(const std::string& text) {
  CountRequest request;
  request.set_text(text);
  return request;
}

TEST(WordCount, counts_words_and_finds_the_longest) {
  hongyan::runtime::TestEnv env;
  WordCounter counter;
  auto call = env.call();
  const auto reply = counter.count(call, about("  wild geese\tcarry letters\n"));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->words(), 4u);
  EXPECT_EQ(reply->longest(), "letters");
}

TEST(WordCount, refuses_texts_without_words_and_ones_that_are_too_long) {
  hongyan::runtime::TestEnv env;
  WordCounter counter;
  auto call = env.call();
  EXPECT_EQ(counter.count(call, about(" \n")).code(), Code::invalid);
  EXPECT_TRUE(counter.count(call, about(std::string(64 * 1024, 'a'))).ok());
  EXPECT_EQ(counter.count(call, about(std::string(64 * 1024 + 1, 'a'))).code(), Code::too_large);
}

TEST(WordCount, answers_over_a_connection) {
  hongyan::runtime::TestEnv env;
  WordCounter counter;
  run_in_coroutine(env, [&] {
    auto call = env.call();
    hongyan::rpc::Server server(env, "127.0.0.1:0", {{.service = &counter}});
    ASSERT_TRUE(server.start().ok());
    hongyan::rpc::TcpChannel channel(env, server.address());
    WordCountClient client(channel);
    const auto reply = client.count(call, about("one two"));
    EXPECT_TRUE(reply.ok() && reply->words() == 2) << reply.status().detail();
    EXPECT_EQ(client.count(call, about("")).code(), Code::invalid);
    channel.close();
    server.close(call);
  });
}

}  // namespace
}  // namespace example
