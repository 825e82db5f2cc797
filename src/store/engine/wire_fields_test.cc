#include "store/engine/wire_fields.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/random.h"

namespace hongyan::store {
namespace {

// 1: varint 300, 2: "text", 3: fixed64, 4: fixed32, 2: "again".
std::string sample() {
  std::string out;
  put_varint(out, 1 << 3), put_varint(out, 300);
  put_varint(out, 2 << 3 | 2), put_sized(out, "text");
  put_varint(out, 3 << 3 | 1), out.append(8, 'f');
  put_varint(out, 4 << 3 | 5), out.append(4, 'f');
  put_varint(out, 2 << 3 | 2), put_sized(out, "again");
  return out;
}

TEST(WireFields, the_last_of_a_repeated_field_counts_as_in_protobuf) {
  EXPECT_TRUE(matches(sample(), {{.field = 2, .bytes = "again"}}));
  EXPECT_FALSE(matches(sample(), {{.field = 2, .bytes = "text"}}));
  EXPECT_TRUE(matches(sample(), {{.field = 1, .number = 300}, {.field = 2, .bytes = "again"}}));
  EXPECT_FALSE(matches(sample(), {{.field = 1, .number = 300}, {.field = 2, .bytes = "x"}}));
}

TEST(WireFields, an_absent_field_has_its_default) {
  EXPECT_TRUE(matches(sample(), {{.field = 9, .number = 0}}));
  EXPECT_TRUE(matches("", {{.field = 1, .bytes = ""}}));
  EXPECT_FALSE(matches(sample(), {{.field = 9, .number = 1}}));
}

TEST(WireFields, a_projection_keeps_the_fields_byte_for_byte_in_their_order) {
  EXPECT_EQ(project(sample(), {1, 2, 3, 4}), sample());
  EXPECT_EQ(project(sample(), {2}), sample().substr(3, 6) + sample().substr(23));
  EXPECT_EQ(project(sample(), {9}), "");
}

TEST(WireFields, every_truncation_that_breaks_a_field_matches_nothing) {
  const std::string whole = sample();
  size_t broken = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    const bool ends_with_a_field = project(whole.substr(0, size), {1, 2, 3, 4}).size() == size;
    if (ends_with_a_field) continue;
    ++broken;
    EXPECT_FALSE(matches(whole.substr(0, size), {{.field = 9, .number = 0}})) << size;
    EXPECT_EQ(project(whole.substr(0, size), {1}), "") << size;
  }
  EXPECT_EQ(broken, whole.size() - 5);
}

TEST(WireFields, random_bytes_do_no_harm) {
  Random random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes(random.below(40), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    const std::string kept = project(bytes, {1, 2, 3});
    EXPECT_LE(kept.size(), bytes.size());
    (void)matches(bytes, {{.field = 1, .number = 1}});
  }
}

}  // namespace
}  // namespace hongyan::store
