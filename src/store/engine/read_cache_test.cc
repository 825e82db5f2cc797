// Goal: the cache answers only what it holds, as the store would, and never goes back. Method: values, no store.
#include "store/engine/read_cache.h"

#include <gtest/gtest.h>

#include "store/engine/limits.h"

namespace hongyan::store {
namespace {

const EntityId k_ann{1, "ann"};

Header at(uint64_t position) {
  return {.format = 1, .incarnation = 7, .version = position, .floor = 0, .position = position};
}

ReadReply reply(uint64_t position, const std::vector<std::string>& keys) {
  ReadReply out{.header = at(position), .rows = {}};
  for (const std::string& key : keys) out.rows.push_back({.key = key, .value = "v" + key, .version = position});
  return out;
}

Read range(std::string from, std::string to, size_t rows_max = 100) {
  return {.entity = k_ann, .from = std::move(from), .to = std::move(to), .rows_max = rows_max};
}

// What a commit of one row writes.
std::vector<Write> written(uint64_t position, const std::string& key, std::optional<std::string> value) {
  if (value) value = encode_row(position, *value);
  return {{Space::rows, row_key(k_ann, Kind::header, ""), encode_header({.header = at(position)})},
          {Space::rows, row_key(k_ann, Kind::row, key), value}};
}

std::string keys(const std::optional<ReadReply>& found) {
  if (!found) return "(not here)";
  std::string out;
  for (const Row& row : found->rows) out += row.key + "@" + std::to_string(row.version) + " ";
  return out + (found->more ? "more" : "");
}

TEST(ReadCache, answers_what_lies_in_a_range_that_was_read_and_nothing_else) {
  ReadCache cache(0);
  EXPECT_FALSE(cache.find(range("b", "y")));
  cache.keep(range("b", "y"), reply(3, {"c", "d", "f"}), cache.batches());
  EXPECT_EQ(keys(cache.find(range("b", "y"))), "c@3 d@3 f@3 ");
  EXPECT_EQ(keys(cache.find(range("d", "e"))), "d@3 ");
  EXPECT_EQ(keys(cache.find(range("g", "h"))), "");
  EXPECT_EQ(keys(cache.find(range("b", "y", 2))), "c@3 d@3 more");
  EXPECT_EQ(keys(cache.find(range("b", "y", 3))), "c@3 d@3 f@3 ");
  EXPECT_EQ(keys(cache.find(range("a", "y"))), "(not here)");
  EXPECT_EQ(keys(cache.find(range("b", "z"))), "(not here)");
  EXPECT_EQ(keys(cache.find(range("b", ""))), "(not here)");
  Read backward = range("b", "y");
  backward.direction = Direction::backward;
  EXPECT_FALSE(cache.find(backward));
  Read other = range("b", "y");
  other.entity.id = "bob";
  EXPECT_FALSE(cache.find(other));
  EXPECT_EQ(cache.find(range("", "", 0))->header.position, 3u);
}

TEST(ReadCache, a_read_that_was_cut_is_not_kept_but_its_header_is) {
  ReadCache cache(0);
  ReadReply cut = reply(3, {"c"});
  cut.more = true;
  cache.keep(range("b", "y", 1), cut, cache.batches());
  EXPECT_FALSE(cache.find(range("b", "y", 1)));
  EXPECT_EQ(cache.header(k_ann)->version, 3u);
}

TEST(ReadCache, follows_what_is_written) {
  ReadCache cache(0);
  cache.keep(range("b", "y"), reply(3, {"c", "d"}), cache.batches());
  cache.keep(range("x", "x1"), reply(3, {}), cache.batches());
  cache.apply(written(4, "x", "new"));
  cache.apply(written(5, "c", std::nullopt));
  cache.apply(written(6, "d", "again"));
  cache.apply(written(7, "z", "elsewhere"));
  const auto found = cache.find(range("b", "y"));
  EXPECT_EQ(keys(found), "d@6 x@4 ");
  EXPECT_EQ(found->rows[0].value, "again");
  EXPECT_EQ(found->header.position, 7u);
  EXPECT_EQ(keys(cache.find(range("x", "x1"))), "x@4 ");
}

TEST(ReadCache, what_is_older_than_a_later_answer_goes_and_an_older_answer_does_not_come) {
  ReadCache cache(0);
  cache.keep(range("b", "y"), reply(3, {"c"}), cache.batches());
  cache.note(k_ann, at(4), cache.batches());  // Somebody saw the batch that is being answered.
  EXPECT_FALSE(cache.find(range("b", "y")));
  EXPECT_EQ(cache.header(k_ann)->position, 4u);
  cache.keep(range("b", "y"), reply(3, {"c"}), cache.batches());
  EXPECT_FALSE(cache.find(range("b", "y")));
  cache.keep(range("b", "y"), reply(4, {"c", "d"}), cache.batches());
  cache.apply(written(4, "d", "vd"));  // The batch it had seen.
  EXPECT_EQ(keys(cache.find(range("b", "y"))), "c@4 d@4 ");
}

// A read from the disk takes a while; meanwhile a batch of which the cache holds nothing becomes durable.
TEST(ReadCache, an_answer_that_a_batch_overtook_is_not_kept) {
  ReadCache cache(0);
  const uint64_t asked = cache.batches();
  cache.apply(written(4, "d", "vd"));
  cache.keep(range("b", "y"), reply(3, {"c"}), asked);
  EXPECT_FALSE(cache.find(range("b", "y")));
  EXPECT_FALSE(cache.header(k_ann));
  cache.note(k_ann, at(3), asked);
  EXPECT_FALSE(cache.header(k_ann));
  // It had seen the batch that is being answered: what is here is older.
  cache.keep(range("b", "y"), reply(4, {"c", "d"}), cache.batches());
  cache.keep(range("b", "c"), reply(5, {}), asked);
  EXPECT_FALSE(cache.find(range("b", "y")));
}

TEST(ReadCache, a_range_that_grows_too_long_forgets_its_beginning) {
  ReadCache cache(0);
  cache.keep(range("a", "z"), reply(1, {}), cache.batches());
  uint64_t position = 1;
  const auto key = [](uint64_t i) { return "k" + std::to_string(100 + i); };
  while (cache.find(range("a", "z"))) {
    ++position;
    cache.apply(written(position, key(position), std::string(500, 'v')));
    ASSERT_LT(position, 40u);
  }
  EXPECT_GT(position * 500, k_cached_range_bytes_max / 2);
  EXPECT_EQ(cache.find(range(key(position), "z"))->rows.size(), 1u);
}

TEST(ReadCache, holds_a_bounded_number_of_ranges_and_nothing_after_clear) {
  ReadCache cache(0);
  for (char c = 'a'; c < 'z'; ++c) {
    const std::string one(1, c);
    cache.keep(range(one, one + "1"), reply(1, {}), cache.batches());
  }
  EXPECT_FALSE(cache.find(range("b", "b1")));
  EXPECT_TRUE(cache.find(range("y", "y1")));
  cache.clear();
  EXPECT_FALSE(cache.find(range("y", "y1")));
  EXPECT_FALSE(cache.header(k_ann));
}

}  // namespace
}  // namespace hongyan::store
