// Goal: a list means what it says or is refused with the place of the mistake. Method: texts.
#include "rpc/routing/instance.h"

#include <gtest/gtest.h>

namespace hongyan::rpc {
namespace {

TEST(Instances, a_line_gives_all_attributes) {
  const auto all = parse_instances(
      "# inbox\n"
      "b:2  weight=3 zone=east-1 segments=1000-1999,7 version=5-7 state=draining # old\n"
      "\r\n"
      "[fd00::1]:7000\n"
      "a:1");
  ASSERT_TRUE(all.ok()) << all.status().detail();
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[0].address, "[fd00::1]:7000");
  EXPECT_EQ((*all)[1], Instance{.address = "a:1"});
  EXPECT_EQ((*all)[2], (Instance{.address = "b:2",
                                 .weight = 3,
                                 .zone = "east-1",
                                 .segments = {{1000, 1999}, {7, 7}},
                                 .versions = {{5, 7}},
                                 .state = InstanceState::draining}));
  EXPECT_TRUE(parse_instances("")->empty());
}

TEST(Instances, mistakes_are_refused_and_their_line_named) {
  for (const char* wrong : {"a",
                            "a:0",
                            "a:65536",
                            ":1",
                            "a:1 weight",
                            "a:1 weight=0",
                            "a:1 weight=101",
                            "a:1 weight=-1",
                            "a:1 zone=",
                            "a:1 zone=A b",
                            "a:1 segments=",
                            "a:1 segments=2-1",
                            "a:1 segments=1-",
                            "a:1 segments=1-2-3",
                            "a:1 version=x",
                            "a:1 state=off",
                            "a:1 stat=down",
                            "a:1 weight=1 weight=2",
                            "a/b:1",
                            "a:1 segments=18446744073709551616"}) {
    const auto parsed = parse_instances("\nz:9\n" + std::string(wrong));
    ASSERT_EQ(parsed.code(), Code::invalid) << wrong;
    EXPECT_TRUE(parsed.status().detail().starts_with("line 3: ")) << parsed.status().detail();
  }
  EXPECT_EQ(parse_instances("a:1\na:1 zone=x").code(), Code::invalid);
  EXPECT_EQ(parse_instances(std::string(k_instances_text_bytes_max + 1, '\n')).code(),
            Code::too_large);
  std::string many;
  for (size_t i = 0; i <= k_instances_max; ++i) many += "h" + std::to_string(i) + ":1\n";
  EXPECT_EQ(parse_instances(many).code(), Code::too_large);
  std::string ranges = "a:1 segments=";
  for (size_t i = 0; i <= k_segments_max; ++i) ranges += "1,";
  EXPECT_EQ(parse_instances(ranges).code(), Code::invalid);
}

TEST(Instances, an_address_list_is_sorted_and_checked) {
  EXPECT_EQ(parse_address_list("b:2,a:1")->front().address, "a:1");
  EXPECT_EQ(parse_address_list("b:2,b").code(), Code::invalid);
  EXPECT_EQ(parse_address_list("b:2,b:2").code(), Code::invalid);
}

}  // namespace
}  // namespace hongyan::rpc
