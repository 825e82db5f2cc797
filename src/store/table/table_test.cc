#include "store/table/table.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "runtime/testing/test_env.h"
#include "store/engine/testing/log_store.h"

namespace hongyan::store {
namespace {

using google::protobuf::StringValue;

StringValue message(const std::string& text) {
  StringValue value;
  value.set_value(text);
  return value;
}

TEST(KeyBuilder, keys_sort_as_their_parts_do_whatever_bytes_a_text_has) {
  Random random(1);
  using Parts = std::tuple<std::string, uint64_t, std::string>;
  std::vector<std::pair<std::string, Parts>> keys;
  const auto text = [&] {
    std::string out(random.below(4), '\0');
    for (char& c : out) c = "\0\x01\xff" "a"[random.below(4)];
    return out;
  };
  for (int i = 0; i < 3000; ++i) {
    const Parts parts{text(), random.below(3) << 8 * random.below(8), text()};
    keys.emplace_back(KeyBuilder().text(std::get<0>(parts)).u64(std::get<1>(parts)).text(std::get<2>(parts)).take(), parts);
  }
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 1; i < keys.size(); ++i) {
    EXPECT_LE(keys[i - 1].second, keys[i].second);
    EXPECT_EQ(keys[i - 1].first == keys[i].first, keys[i - 1].second == keys[i].second);
  }
}

TEST(KeyBuilder, numbers_and_fixed_bytes_are_written_as_they_stand_on_disk) {
  EXPECT_EQ(KeyBuilder().u8(1).u16(2).u64(3).fixed("ab").text("c").take(),
            std::string("\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03"
                        "abc\x00\x00",
                        16));
}

class TableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    opened_ = open_log_store(env_, {{.id = 1, .name = "t"}});
  }
  void run(const std::function<void(Call&, Store&)>& body) {
    runtime::run_in_coroutine(env_, [&] {
      Call call = env_.call();
      body(call, opened_->shard());
    });
  }

  runtime::TestEnv env_;
  std::unique_ptr<OpenStore> opened_;
  const EntityId entity_{1, "e"};
};

TEST_F(TableTest, a_message_that_was_put_is_got_back_and_an_absent_one_is_none) {
  run([&](Call& call, Store& store) {
    ASSERT_TRUE(commit_or_conflict(call, store, {.entity = entity_, .mutations = {put("a", message("x")), add("n", 2), raise("n", 7)}}).ok());
    EXPECT_EQ((*get<StringValue>(call, store, entity_, "a"))->value(), "x");
    EXPECT_FALSE(get<StringValue>(call, store, entity_, "b")->has_value());
    EXPECT_FALSE(get<StringValue>(call, store, {1, "nobody"}, "a")->has_value());
    EXPECT_EQ(*number_of(**get_row(call, store, entity_, "n")), 7);
  });
}

TEST_F(TableTest, a_row_that_does_not_parse_is_corrupt) {
  run([&](Call& call, Store& store) {
    ASSERT_TRUE(commit_or_conflict(call, store, {.entity = entity_, .mutations = {put_bytes("a", "\xff\xff")}}).ok());
    EXPECT_EQ(get<StringValue>(call, store, entity_, "a").code(), Code::corrupt);
    EXPECT_EQ(scan<StringValue>(call, store, {.entity = entity_}).code(), Code::corrupt);
    EXPECT_EQ(number_of(**get_row(call, store, entity_, "a")).code(), Code::corrupt);
  });
}

TEST_F(TableTest, a_scan_gives_messages_in_order_with_their_keys_and_versions) {
  run([&](Call& call, Store& store) {
    for (const char* key : {"b", "a", "c"}) {
      ASSERT_TRUE(commit_or_conflict(call, store, {.entity = entity_, .mutations = {put(key, message(key))}}).ok());
    }
    const auto scanned = scan<StringValue>(call, store, {.entity = entity_, .rows_max = 2});
    ASSERT_TRUE(scanned.ok());
    ASSERT_EQ(scanned->rows.size(), 2u);
    EXPECT_TRUE(scanned->more);
    EXPECT_EQ(scanned->rows[0].first.key, "a");
    EXPECT_EQ(scanned->rows[0].first.version, 2u);
    EXPECT_EQ(scanned->rows[1].second.value(), "b");
    EXPECT_EQ(scanned->header.version, 3u);
  });
}

TEST_F(TableTest, a_failed_precondition_is_a_conflict) {
  run([&](Call& call, Store& store) {
    const auto commit = [&](Precondition precondition) {
      return commit_or_conflict(call, store, {.entity = entity_, .preconditions = {std::move(precondition)}, .mutations = {put("a", message("x")), add("n", 1)}}).code();
    };
    EXPECT_EQ(commit(absent("a")), Code::ok);
    EXPECT_EQ(commit(absent("a")), Code::conflict);
    EXPECT_EQ(commit(entity_at(1)), Code::ok);
    EXPECT_EQ(commit(entity_at(1)), Code::conflict);
    EXPECT_EQ(commit(row_at("a", 2)), Code::ok);
    EXPECT_EQ(commit(row_at("a", 2)), Code::conflict);
    EXPECT_EQ(commit(below("n", 4)), Code::ok);
    EXPECT_EQ(commit(below("n", 4)), Code::conflict);
  });
}

TEST_F(TableTest, a_new_request_id_is_taken_by_the_store_and_makes_a_retry_harmless) {
  run([&](Call& call, Store& store) {
    const Commit once{.entity = entity_, .request_id = new_request_id(env_), .mutations = {add("n", 1)}};
    EXPECT_NE(new_request_id(env_), once.request_id);
    EXPECT_FALSE(commit_or_conflict(call, store, once)->replayed);
    EXPECT_TRUE(commit_or_conflict(call, store, once)->replayed);
    EXPECT_EQ(*number_of(**get_row(call, store, entity_, "n")), 1);
  });
}

}  // namespace
}  // namespace hongyan::store
