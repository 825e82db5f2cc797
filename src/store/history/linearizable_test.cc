// Goal: the checker accepts every history that a single copy can have had, and no other. Method: small ones by hand, in pairs
// that differ in one answer or one moment; many made by a single copy that is interleaved at random, and the same with one
// answer changed, judged by trying all orders as well.
#include "store/history/linearizable.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/random.h"
#include "store/history/models.h"

namespace hongyan::store::history {
namespace {

using Op = Operation<RowModel>;
using Kind = RowModel::Call::Kind;

Op put(int64_t called, std::optional<int64_t> returned, std::string value, uint64_t version) {
  return {.called = called, .returned = returned, .call = {.kind = Kind::put, .value = std::move(value)},
          .result = returned ? std::optional(RowModel::Return{.version = version}) : std::nullopt};
}
Op put_if(int64_t called, int64_t returned, uint64_t expected, std::string value, bool committed, uint64_t version) {
  return {.called = called, .returned = returned, .call = {.kind = Kind::put_if, .value = std::move(value), .version = expected},
          .result = RowModel::Return{.committed = committed, .version = version}};
}
Op read(int64_t called, int64_t returned, std::string value, uint64_t version) {
  return {.called = called, .returned = returned, .call = {.kind = Kind::read},
          .result = RowModel::Return{.version = version, .value = std::move(value)}};
}
Op of(std::string entity, Op operation) {
  operation.entity = std::move(entity);
  return operation;
}
Verdict judge(const std::vector<Op>& operations) { return check<RowModel>(operations).verdict; }

TEST(Linearizable, nothing_is_and_one_operation_is_when_its_answer_is_right) {
  EXPECT_EQ(judge({}), Verdict::linearizable);
  EXPECT_EQ(judge({read(0, 1, "", 0)}), Verdict::linearizable);
  EXPECT_EQ(judge({read(0, 1, "x", 1)}), Verdict::not_linearizable);
}

TEST(Linearizable, a_read_after_a_write_has_returned_must_see_it_and_one_beside_it_may) {
  EXPECT_EQ(judge({put(0, 10, "x", 1), read(11, 12, "x", 1)}), Verdict::linearizable);
  EXPECT_EQ(judge({put(0, 10, "x", 1), read(11, 12, "", 0)}), Verdict::not_linearizable);
  EXPECT_EQ(judge({put(0, 10, "x", 1), read(5, 12, "", 0)}), Verdict::linearizable);
  EXPECT_EQ(judge({put(0, 10, "x", 1), read(5, 12, "x", 1)}), Verdict::linearizable);
}

TEST(Linearizable, what_one_read_has_seen_a_later_one_sees) {
  const Op write = put(0, 100, "x", 1);
  EXPECT_EQ(judge({write, read(1, 2, "", 0), read(3, 4, "x", 1)}), Verdict::linearizable);
  EXPECT_EQ(judge({write, read(1, 2, "x", 1), read(3, 4, "", 0)}), Verdict::not_linearizable);
}

TEST(Linearizable, a_lost_update_is_found) {
  EXPECT_EQ(judge({put_if(0, 10, 0, "x", true, 1), put_if(1, 11, 0, "y", false, 1)}), Verdict::linearizable);
  EXPECT_EQ(judge({put_if(0, 10, 0, "x", true, 1), put_if(1, 11, 0, "y", true, 1)}), Verdict::not_linearizable);
  EXPECT_EQ(judge({put(0, 10, "x", 1), put(1, 11, "y", 2), read(12, 13, "x", 1)}), Verdict::not_linearizable);
}

TEST(Linearizable, two_halves_that_both_take_writes_are_found) {
  EXPECT_EQ(judge({put(0, 1, "a", 1), put(2, 3, "b", 2), read(4, 5, "a", 1), read(4, 5, "b", 2)}), Verdict::not_linearizable);
  EXPECT_EQ(judge({put(0, 1, "a", 1), put(2, 3, "b", 1)}), Verdict::not_linearizable);
}

TEST(Linearizable, an_unknown_outcome_may_happen_at_any_time_later_or_never_and_only_once) {
  const Op unknown = put(0, {}, "x", 0);
  EXPECT_EQ(judge({unknown, read(5, 6, "", 0), read(7, 8, "", 0)}), Verdict::linearizable);
  EXPECT_EQ(judge({unknown, read(5, 6, "", 0), read(7, 8, "x", 1)}), Verdict::linearizable);
  EXPECT_EQ(judge({unknown, read(5, 6, "x", 1), read(7, 8, "", 0)}), Verdict::not_linearizable);
  EXPECT_EQ(judge({read(0, 1, "x", 1), put(2, {}, "x", 0)}), Verdict::not_linearizable);  // Not before its call.
  EXPECT_EQ(judge({unknown, read(5, 6, "x", 1), put(7, 8, "y", 2), read(9, 10, "x", 3)}), Verdict::not_linearizable);
  // One that returned without an answer, as after a lost connection, is the same.
  Op lost = put(0, 3, "x", 0);
  lost.result.reset();
  EXPECT_EQ(judge({lost, read(5, 6, "", 0), read(7, 8, "x", 1)}), Verdict::linearizable);
}

TEST(Linearizable, entities_are_judged_apart_and_the_one_that_is_wrong_is_named) {
  const std::vector<Op> good = {of("a", put(0, 1, "x", 1)), of("b", read(2, 3, "", 0)), of("a", read(4, 5, "x", 1))};
  EXPECT_EQ(check_entities<RowModel>(good).verdict, Verdict::linearizable);
  std::vector<Op> bad = good;
  bad.push_back(of("b", read(6, 7, "x", 1)));
  const Judgement judgement = check_entities<RowModel>(bad);
  EXPECT_EQ(judgement.verdict, Verdict::not_linearizable);
  EXPECT_EQ(judgement.entity, "b");
  EXPECT_EQ(judgement.stuck_at, 1u);
}

TEST(Linearizable, a_search_that_takes_too_long_is_undecided) {
  std::vector<Op> operations;
  for (int i = 0; i < 20; ++i) operations.push_back(put(i, {}, std::string(1, static_cast<char>('a' + i)), 0));
  operations.push_back(read(30, 31, "nobody wrote this", 10));
  EXPECT_EQ(check<RowModel>(operations, 1000).verdict, Verdict::undecided);
}

// All orders, one by one.
bool linearizable_by_trying(const std::vector<Op>& operations) {
  std::vector<size_t> order(operations.size());
  std::iota(order.begin(), order.end(), size_t{0});
  do {
    bool possible = true;
    for (size_t i = 0; possible && i < order.size(); ++i) {
      for (size_t j = i + 1; possible && j < order.size(); ++j) possible = *operations[order[j]].returned >= operations[order[i]].called;
    }
    RowModel::State state;
    for (size_t i = 0; possible && i < order.size(); ++i) {
      possible = RowModel::step(state, operations[order[i]].call, &*operations[order[i]].result);
    }
    if (possible) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST(Linearizable, agrees_with_trying_all_orders_on_random_histories_good_and_bad) {
  int good = 0, bad = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    std::vector<Op> operations;
    RowModel::State state;
    const size_t count = 2 + random.below(5);
    for (size_t i = 0; i < count; ++i) {  // Each happens at moment 10 * i and lasts a while around it.
      RowModel::Call call{.kind = static_cast<Kind>(random.below(3)), .value = std::string(1, static_cast<char>('a' + i)),
                          .version = random.below(3)};
      RowModel::Return result;
      result.committed = call.kind != Kind::put_if || state.version == call.version;
      EXPECT_TRUE(RowModel::step(state, call, nullptr));
      result.version = state.version;
      if (call.kind == Kind::read) result.value = state.value;
      const auto moment = static_cast<int64_t>(i) * 10 + 100;
      operations.push_back({.entity = {}, .called = moment - static_cast<int64_t>(random.below(40)),
                            .returned = moment + 1 + static_cast<int64_t>(random.below(40)), .call = call, .result = result});
    }
    EXPECT_EQ(judge(operations), Verdict::linearizable) << "seed " << seed;
    RowModel::Return& changed = *operations[random.below(count)].result;
    if (random.one_in(2)) changed.version = random.below(count + 1);
    else changed.committed = !changed.committed;
    const bool still = linearizable_by_trying(operations);
    ++(still ? good : bad);
    EXPECT_EQ(judge(operations), still ? Verdict::linearizable : Verdict::not_linearizable) << "seed " << seed;
  }
  EXPECT_GT(good, 100);
  EXPECT_GT(bad, 1000);
}

TEST(Linearizable, ten_thousand_operations_of_ten_callers_are_judged) {
  Random random(7);
  std::vector<Operation<ListModel>> operations;
  ListModel::State state;
  std::vector<int64_t> free_at(10, -1);
  for (int64_t i = 0; i < 10'000; ++i) {
    if (i % 50 == 0) state = {};
    const int64_t moment = i * 10;
    size_t caller = random.below(10);
    while (free_at[caller] >= moment) caller = (caller + 1) % 10;
    const ListModel::Call call{.kind = random.one_in(3) ? ListModel::Call::Kind::read : ListModel::Call::Kind::append,
                               .item = std::string(1, static_cast<char>('a' + random.below(26)))};
    (void)ListModel::step(state, call, nullptr);
    const int64_t called = std::max(free_at[caller] + 1, moment - static_cast<int64_t>(random.below(60)));
    free_at[caller] = moment + static_cast<int64_t>(random.below(60));
    operations.push_back({.entity = std::to_string(i / 50), .called = called, .returned = free_at[caller], .call = call,
                          .result = ListModel::Return{.items = state.items}});
  }
  EXPECT_EQ(check_entities<ListModel>(operations).verdict, Verdict::linearizable);
  operations[5'000].result->items += "!";
  const Judgement judgement = check_entities<ListModel>(operations);
  EXPECT_EQ(judgement.verdict, Verdict::not_linearizable);
  EXPECT_EQ(judgement.entity, "100");
}

}  // namespace
}  // namespace hongyan::store::history
