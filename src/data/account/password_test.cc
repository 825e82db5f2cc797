// Hashing and the failure limit alone, with the least cost libsodium takes.
#include "data/account/password.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "runtime/testing/test_env.h"

namespace hongyan::account {
namespace {

using runtime::TestEnv;
using runtime::run_in_coroutine;

TEST(Password, hash_is_phc_text_and_verifies_only_its_password) {
  TestEnv env;
  run_in_coroutine(env, [&] {
    PasswordHasher hasher(env, k_password_cost_least);
    Call call = env.call();
    const Result<std::string> encoded = hasher.hash(call, "correct horse");
    ASSERT_TRUE(encoded.ok());
    EXPECT_TRUE(encoded->starts_with("$argon2id$v=19$m=8,t=1,p=1$")) << *encoded;
    EXPECT_TRUE(*hasher.verify(call, "correct horse", *encoded));
    EXPECT_FALSE(*hasher.verify(call, "correct horsf", *encoded));
    EXPECT_NE(*encoded, *hasher.hash(call, "correct horse")) << "the salt is new each time";
  });
}

TEST(Password, hash_of_a_lower_cost_stays_valid) {
  TestEnv env;
  run_in_coroutine(env, [&] {
    PasswordHasher old_hasher(env, k_password_cost_least);
    PasswordHasher new_hasher(env, {.memory_bytes = 64 * 1024, .passes = 2});
    Call call = env.call();
    const std::string encoded = *old_hasher.hash(call, "correct horse");
    EXPECT_TRUE(*new_hasher.verify(call, "correct horse", encoded));
  });
}

TEST(Password, encoding_is_what_libsodium_itself_reads) {
  TestEnv env;
  run_in_coroutine(env, [&] {
    PasswordHasher hasher(env, k_password_cost_least);
    Call call = env.call();
    std::string encoded = *hasher.hash(call, "password");
    EXPECT_LT(encoded.size(), crypto_pwhash_STRBYTES);
    encoded.resize(crypto_pwhash_STRBYTES, '\0');
    EXPECT_EQ(crypto_pwhash_str_verify(encoded.c_str(), "password", 8), 0);
    EXPECT_NE(crypto_pwhash_str_verify(encoded.c_str(), "passwore", 8), 0);
  });
}

TEST(Password, damaged_encoding_is_corrupt_and_takes_no_memory) {
  TestEnv env;
  run_in_coroutine(env, [&] {
    PasswordHasher hasher(env, k_password_cost_least);
    Call call = env.call();
    const std::string good = *hasher.hash(call, "correct horse");
    std::string huge = good;
    huge.replace(huge.find("m=8,"), 4, "m=999999999999,");
    const std::string damaged[] = {"", "x", good.substr(0, good.size() - 4), "$argon2i" + good.substr(9), huge,
                                   good.substr(0, 30)};
    for (const std::string& encoded : damaged) {
      EXPECT_EQ(hasher.verify(call, "correct horse", encoded).code(), Code::corrupt) << encoded;
    }
  });
}

TEST(FailureLimiter, ten_failures_fill_a_window_and_its_end_empties_it) {
  FailureLimiter limiter;
  const runtime::Time start{};
  for (int i = 0; i < k_failures_max; ++i) {
    EXPECT_FALSE(limiter.full("a", start));
    limiter.add("a", start);
  }
  EXPECT_TRUE(limiter.full("a", start));
  EXPECT_FALSE(limiter.full("b", start));
  EXPECT_TRUE(limiter.full("a", start + k_failure_window - 1ns));
  EXPECT_FALSE(limiter.full("a", start + k_failure_window));
  limiter.take_back("a");
  EXPECT_FALSE(limiter.full("a", start));
  limiter.forget("a");
  EXPECT_EQ(limiter.size(), 0u);
}

TEST(FailureLimiter, memory_is_bounded_and_the_oldest_goes_first) {
  FailureLimiter limiter;
  const runtime::Time start{};
  for (int i = 0; i < k_failures_max; ++i) limiter.add("oldest", start);
  for (size_t i = 0; i + 1 < k_failure_keys_max; ++i) limiter.add("n" + std::to_string(i), start + 1s);
  EXPECT_EQ(limiter.size(), k_failure_keys_max);
  EXPECT_TRUE(limiter.full("oldest", start + 1s));
  limiter.add("n0", start + 1s);  // Known: nothing has to go.
  EXPECT_TRUE(limiter.full("oldest", start + 1s));
  limiter.add("one more", start + 1s);
  EXPECT_EQ(limiter.size(), k_failure_keys_max);
  EXPECT_FALSE(limiter.full("oldest", start + 1s));
  limiter.add("later", start + 1s + k_failure_window);
  EXPECT_EQ(limiter.size(), 1u) << "expired windows are dropped";
}

}  // namespace
}  // namespace hongyan::account
