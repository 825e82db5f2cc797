// Goal: names of this host and numbers are understood without a directory service; nonsense is not.
#include "runtime/os/host_lookup.h"

#include <gtest/gtest.h>

namespace hongyan::runtime {
namespace {

TEST(HostLookup, numbers_are_their_own_address) {
  EXPECT_EQ(look_up_host("127.0.0.1").value(), std::vector<std::string>{"127.0.0.1"});
}

TEST(HostLookup, localhost_is_this_host) {
  const auto addresses = look_up_host("localhost");
  ASSERT_TRUE(addresses.ok()) << addresses.status().detail();
  for (const std::string& one : *addresses) EXPECT_TRUE(one == "127.0.0.1" || one == "::1") << one;
}

TEST(HostLookup, what_is_no_name_has_no_address) {
  EXPECT_FALSE(look_up_host("256.256.256.256.").ok());
  EXPECT_FALSE(look_up_host("two words").ok());
}

}  // namespace
}  // namespace hongyan::runtime
