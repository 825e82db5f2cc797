// Goal: targets are understood, files and names are asked again and only then. Method: a disk and a
// directory in memory, virtual time.
#include "rpc/routing/resolver.h"

#include <gtest/gtest.h>

#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;

void write_file(Env& env, const std::string& path, const std::string& text) {
  auto file = env.disk().open(path + ".new", runtime::OpenMode::create).value();
  ASSERT_TRUE(file->append(text).ok());
  ASSERT_TRUE(env.disk().rename(path + ".new", path).ok());
}

TEST(Resolver, targets_are_understood_or_refused) {
  runtime::TestEnv env;
  const HostLookup lookup = [](const std::string&) { return std::vector<std::string>{}; };
  for (const char* good : {"list://a:1,b:2", "a:1", "file:///etc/x", "dns://inbox.internal:7000"}) {
    EXPECT_TRUE(make_resolver(env, good, lookup).ok()) << good;
  }
  for (const char* wrong : {"", "list://", "list://a", "file://x", "file://", "dns://a",
                            "dns://a:1,b:1", "http://a:1", "a:1:", "etcd://x"}) {
    EXPECT_EQ(make_resolver(env, wrong, lookup).code(), Code::invalid) << wrong;
  }
  EXPECT_EQ(make_resolver(env, "dns://a:1").code(), Code::unsupported);
}

TEST(Resolver, a_file_is_read_again_when_it_changed) {
  runtime::TestEnv env;
  runtime::run_in_coroutine(env, [&] {
    FileResolver resolver(env, "/list");
    Call call = env.call();
    EXPECT_EQ(resolver.resolve(call).code(), Code::not_found);
    write_file(env, "/list", "a:1\n");
    EXPECT_TRUE(resolver.changed(call).ok());
    EXPECT_EQ(resolver.resolve(call)->size(), 1u);
    Call unchanged = runtime::background_call(env, 20s);
    EXPECT_EQ(resolver.changed(unchanged).code(), Code::deadline);
    write_file(env, "/list", "a:1\nb:2 zone=x\n");
    const runtime::Time before = env.now();
    EXPECT_TRUE(resolver.changed(call).ok());
    EXPECT_LE(env.now() - before, FileResolver::k_period);
    EXPECT_EQ(resolver.resolve(call)->size(), 2u);
    write_file(env, "/list", "a:1\nnonsense\n");
    EXPECT_TRUE(resolver.changed(call).ok());
    const auto wrong = resolver.resolve(call);
    EXPECT_EQ(wrong.code(), Code::invalid);
    EXPECT_TRUE(wrong.status().detail().starts_with("/list: line 2: "));
    Call again = runtime::background_call(env, 20s);
    EXPECT_EQ(resolver.changed(again).code(), Code::deadline);  // The mistake is told once.
    write_file(env, "/list", std::string(k_instances_text_bytes_max + 1, '#'));
    EXPECT_EQ(resolver.resolve(call).code(), Code::too_large);
  });
}

TEST(Resolver, every_address_of_a_host_is_an_instance) {
  runtime::TestEnv env;
  Result<std::vector<std::string>> answer =
      std::vector<std::string>{"10.0.0.2", "fd00::1", "10.0.0.2"};
  runtime::run_in_coroutine(env, [&] {
    DnsResolver resolver(
        env,
        [&](const std::string& host) {
          EXPECT_EQ(host, "inbox");
          return answer;
        },
        "inbox", "7000");
    Call call = env.call();
    const auto instances = resolver.resolve(call);
    ASSERT_TRUE(instances.ok()) << instances.status().detail();
    ASSERT_EQ(instances->size(), 2u);
    EXPECT_EQ((*instances)[0].address, "10.0.0.2:7000");
    EXPECT_EQ((*instances)[1].address, "[fd00::1]:7000");
    const runtime::Time before = env.now();
    EXPECT_TRUE(resolver.changed(call).ok());
    EXPECT_EQ(env.now() - before, DnsResolver::k_period);
    answer = std::vector<std::string>{"10.0.0.1,10.9.9.9:1 weight=9"};
    EXPECT_EQ(resolver.resolve(call).code(), Code::invalid);
    answer = Status(Code::unavailable, "no such host");
    EXPECT_EQ(resolver.resolve(call).code(), Code::unavailable);
    answer = std::vector<std::string>();
    for (int i = 0; i < 257; ++i) answer->push_back("10.0.0." + std::to_string(i));
    EXPECT_EQ(resolver.resolve(call).code(), Code::too_large);
  });
}

}  // namespace
}  // namespace hongyan::rpc
