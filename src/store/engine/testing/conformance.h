// What every Store must do: one test for each promise of store/entity/store.h, run on every engine. An engine's test
// file includes this header and says `INSTANTIATE_TEST_SUITE_P(Log, Conformance, ::testing::Values(...))`.
//
// Time and chance are a TestEnv's, so nothing sleeps and a failure repeats. conformance_model.h adds random commits
// against a model.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"
#include "store/entity/store.h"

namespace hongyan::store::conformance {

inline constexpr TableId k_plain = 1;
inline constexpr TableId k_tracked = 2;
inline constexpr TableId k_value = 3;

inline std::vector<TableSpec> tables() {
  return {{.id = k_plain, .name = "plain"},
          {.id = k_tracked, .name = "tracked", .tracked = true},
          {.id = k_value, .name = "value", .table_class = TableClass::value}};
}

// A store with tables() that can be closed and opened again. Called outside coroutines.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual runtime::TestEnv& env() = 0;
  virtual Store& store() = 0;
  virtual void reopen() = 0;
};

struct EngineParam {
  std::string name;
  std::function<std::unique_ptr<Engine>()> make;
};
inline void PrintTo(const EngineParam& param, std::ostream* out) { *out << param.name; }

inline Mutation put(std::string key, std::string value, Mutation::Stamp stamp = Mutation::Stamp::none) {
  return {.kind = Mutation::Kind::put, .key = std::move(key), .value = std::move(value), .stamp = stamp};
}
inline Mutation erase(std::string key) { return {.kind = Mutation::Kind::erase, .key = std::move(key)}; }
inline Mutation add(std::string key, int64_t number) {
  return {.kind = Mutation::Kind::add, .key = std::move(key), .number = number};
}
inline Mutation maximum(std::string key, int64_t number) {
  return {.kind = Mutation::Kind::max, .key = std::move(key), .number = number};
}
inline Precondition at_version(int64_t version) {
  return {.kind = Precondition::Kind::entity_version, .value = version};
}
inline Precondition absent(std::string key) { return {.kind = Precondition::Kind::row_absent, .key = std::move(key)}; }
inline Precondition row_at(std::string key, int64_t version) {
  return {.kind = Precondition::Kind::row_version, .key = std::move(key), .value = version};
}
inline Precondition below(std::string key, int64_t bound) {
  return {.kind = Precondition::Kind::number_below, .key = std::move(key), .value = bound};
}
inline std::string number(uint64_t value) {
  std::string out;
  put_u64(out, value);
  return out;
}

inline std::string digits(size_t value) {
  std::string text = std::to_string(value);
  return std::string(6 - text.size(), '0') + text;
}

class Conformance : public ::testing::TestWithParam<EngineParam> {
 protected:
  void SetUp() override { engine_ = GetParam().make(); }

  runtime::TestEnv& env() { return engine_->env(); }
  Store& store() { return engine_->store(); }
  void reopen() { engine_->reopen(); }
  // Runs the body of a test, or a part of it, as a coroutine.
  void run(const std::function<void()>& body) {
    runtime::run_in_coroutine(env(), [&] {
      call_ = env().call();
      body();
    });
  }

  Result<CommitReply> commit(Commit commit) { return store().commit(call_, std::move(commit)); }
  // One that must pass.
  CommitReply committed(Commit commit) {
    const auto reply = store().commit(call_, std::move(commit));
    EXPECT_TRUE(reply.ok()) << reply.status().detail();
    if (!reply.ok()) return {};
    EXPECT_TRUE(reply->committed) << "precondition " << reply->failed_precondition;
    return *reply;
  }
  ReadReply read(Read read) {
    const auto reply = store().read(call_, read);
    EXPECT_TRUE(reply.ok()) << reply.status().detail();
    return reply.ok() ? *reply : ReadReply{};
  }
  Header header(const EntityId& entity) { return read({.entity = entity, .rows_max = 1}).header; }
  std::string value(const EntityId& entity, const std::string& key) {
    const ReadReply reply = read({.entity = entity, .from = key, .to = key + '\0'});
    return reply.rows.empty() ? "(absent)" : reply.rows.front().value;
  }
  std::vector<std::string> keys(Read wanted) {
    std::vector<std::string> found;
    for (const Row& row : read(std::move(wanted)).rows) found.push_back(row.key);
    return found;
  }
  // "key@version", erased ones with a minus before them.
  std::vector<std::string> changes(const EntityId& entity, uint64_t since) {
    const auto reply = store().changes(call_, entity, since, 1000);
    EXPECT_TRUE(reply.ok()) << reply.status().detail();
    std::vector<std::string> found;
    if (!reply.ok()) return found;
    for (const Change& change : reply->changes) {
      found.push_back((change.erased ? "-" : "") + change.row.key + "@" + std::to_string(change.row.version));
    }
    return found;
  }
  std::vector<std::string> marked(WorkTag tag) {
    const auto work = store().scan_work(call_, tag, nullptr, 1000);
    EXPECT_TRUE(work.ok());
    std::vector<std::string> found;
    for (const Work& one : *work) found.push_back(one.entity.id + "@" + std::to_string(one.marked_at));
    return found;
  }
  RequestId request_id(int64_t age_ms = 0) {
    std::string time = number(static_cast<uint64_t>(env().utc_ms() - age_ms));
    return time.substr(2) + env().random_bytes(10);
  }

  std::unique_ptr<Engine> engine_;
  Call call_;
};

inline EntityId entity(std::string id, TableId table = k_plain) { return {.table = table, .id = std::move(id)}; }

using Strings = std::vector<std::string>;

// --- entities, versions --------------------------------------------------------------------------------------------

TEST_P(Conformance, an_entity_that_was_never_written_has_incarnation_0_and_no_rows) {
  run([&] {
    const ReadReply reply = read({.entity = entity("nobody")});
    EXPECT_EQ(reply.header.incarnation, 0u);
    EXPECT_EQ(reply.header.version, 0u);
    EXPECT_TRUE(reply.rows.empty());
    EXPECT_FALSE(reply.more);
  });
}

TEST_P(Conformance, the_first_commit_creates_the_entity_with_an_incarnation_of_its_own) {
  run([&] {
    std::set<uint64_t> incarnations;
    for (size_t i = 0; i < 100; ++i) {
      const Header made = committed({.entity = entity(digits(i)), .mutations = {put("a", "1")}}).header;
      EXPECT_NE(made.incarnation, 0u);
      EXPECT_EQ(made.version, 1u);
      EXPECT_EQ(made.position, 1u);
      EXPECT_EQ(made.floor, 0u);
      incarnations.insert(made.incarnation);
      EXPECT_EQ(header(entity(digits(i))).incarnation, made.incarnation);
    }
    EXPECT_EQ(incarnations.size(), 100u);
  });
}

TEST_P(Conformance, a_visible_commit_adds_one_to_version_and_position_a_silent_one_to_the_position_only) {
  run([&] {
    committed({.entity = entity("e"), .mutations = {put("a", "1")}});
    Header now = committed({.entity = entity("e"), .mutations = {put("b", "2")}, .visibility = Visibility::silent}).header;
    EXPECT_EQ(now.version, 1u);
    EXPECT_EQ(now.position, 2u);
    now = committed({.entity = entity("e")}).header;  // No rows at all.
    EXPECT_EQ(now.version, 2u);
    EXPECT_EQ(now.position, 3u);
    EXPECT_EQ(header(entity("e")).position, 3u);
  });
}

TEST_P(Conformance, a_row_carries_the_version_that_wrote_it_and_after_a_silent_commit_the_one_before) {
  run([&] {
    committed({.entity = entity("e"), .mutations = {put("a", "1"), put("b", "1")}});
    committed({.entity = entity("e"), .mutations = {put("b", "2")}});
    committed({.entity = entity("e"), .mutations = {put("c", "3")}, .visibility = Visibility::silent});
    const ReadReply reply = read({.entity = entity("e")});
    ASSERT_EQ(reply.rows.size(), 3u);
    EXPECT_EQ(reply.rows[0].version, 1u);
    EXPECT_EQ(reply.rows[1].version, 2u);
    EXPECT_EQ(reply.rows[1].value, "2");
    EXPECT_EQ(reply.rows[2].version, 2u);
  });
}

TEST_P(Conformance, an_entity_that_only_silent_commits_touched_exists_at_version_0) {
  run([&] {
    const Header made = committed({.entity = entity("e"), .mutations = {put("a", "1")}, .visibility = Visibility::silent}).header;
    EXPECT_NE(made.incarnation, 0u);
    EXPECT_EQ(made.version, 0u);
    EXPECT_EQ(made.position, 1u);
    // Read, decide, commit with the version that was read passes: otherwise it never could.
    EXPECT_EQ(committed({.entity = entity("e"), .preconditions = {at_version(0)}}).header.version, 1u);
  });
}

TEST_P(Conformance, entities_do_not_mix_even_when_one_id_begins_another) {
  run([&] {
    const std::vector<EntityId> all = {entity("a"),          entity("ab"),
                                       entity("a", k_tracked), entity(std::string("a\0", 2)),
                                       entity("\xff"),       entity("\xff\xff"),
                                       entity(std::string(255, 'x'))};
    for (size_t i = 0; i < all.size(); ++i) committed({.entity = all[i], .mutations = {put("k", std::to_string(i))}});
    for (size_t i = 0; i < all.size(); ++i) {
      const ReadReply reply = read({.entity = all[i]});
      ASSERT_EQ(reply.rows.size(), 1u) << i;
      EXPECT_EQ(reply.rows[0].value, std::to_string(i));
    }
  });
}

// --- mutations -----------------------------------------------------------------------------------------------------

TEST_P(Conformance, put_replaces_and_erase_removes_and_erasing_what_is_absent_is_no_error) {
  run([&] {
    committed({.entity = entity("e"), .mutations = {put("a", "1"), put("", "empty key"), put("b", "")}});
    EXPECT_EQ(value(entity("e"), "a"), "1");
    EXPECT_EQ(value(entity("e"), ""), "empty key");
    EXPECT_EQ(value(entity("e"), "b"), "");
    committed({.entity = entity("e"), .mutations = {put("a", "2"), erase("b"), erase("never")}});
    EXPECT_EQ(keys({.entity = entity("e")}), (Strings{"", "a"}));
    EXPECT_EQ(value(entity("e"), "a"), "2");
  });
}

TEST_P(Conformance, mutations_apply_in_order_and_see_each_other) {
  run([&] {
    const CommitReply reply = committed({.entity = entity("e"),
                                         .mutations = {put("a", "1"), put("a", "2"), put("b", "x"), erase("b"),
                                                       erase("c"), put("c", "y"), add("n", 5), add("n", -7),
                                                       maximum("n", 3), erase("n"), add("n", 1)}});
    EXPECT_EQ(keys({.entity = entity("e")}), (Strings{"a", "c", "n"}));
    EXPECT_EQ(value(entity("e"), "a"), "2");
    EXPECT_EQ(reply.numbers, (std::vector<int64_t>{5, -2, 3, 1}));
  });
}

TEST_P(Conformance, a_stamp_appends_the_new_version_to_the_key_or_the_value) {
  run([&] {
    committed({.entity = entity("e")});
    committed({.entity = entity("e"),
               .mutations = {put("log", "text", Mutation::Stamp::key), put("last", "v", Mutation::Stamp::value)}});
    EXPECT_EQ(value(entity("e"), "log" + number(2)), "text");
    EXPECT_EQ(value(entity("e"), "last"), "v" + number(2));
  });
}

TEST_P(Conformance, numbers_are_8_big_endian_bytes_and_absent_counts_as_0) {
  run([&] {
    EXPECT_EQ(committed({.entity = entity("e"), .mutations = {add("n", -1), maximum("m", 7)}}).numbers,
              (std::vector<int64_t>{-1, 7}));
    EXPECT_EQ(value(entity("e"), "n"), std::string(8, '\xff'));
    EXPECT_EQ(value(entity("e"), "m"), number(7));
    EXPECT_EQ(committed({.entity = entity("e"), .mutations = {maximum("m", 6), maximum("m", 9), maximum("x", -5)}}).numbers,
              (std::vector<int64_t>{7, 9, 0}));
  });
}

TEST_P(Conformance, a_maximum_that_changes_nothing_leaves_the_row_as_it_is) {
  run([&] {
    committed({.entity = entity("e", k_tracked), .mutations = {maximum("m", 7)}});
    committed({.entity = entity("e", k_tracked), .mutations = {maximum("m", 7)}});
    EXPECT_EQ(read({.entity = entity("e", k_tracked)}).rows.at(0).version, 1u);
    EXPECT_EQ(changes(entity("e", k_tracked), 1), Strings{});
  });
}

TEST_P(Conformance, a_commit_that_fails_half_way_leaves_no_trace) {
  run([&] {
    committed({.entity = entity("e"), .mutations = {put("text", "no number"), add("n", INT64_MAX)}});
    EXPECT_EQ(commit({.entity = entity("e"), .mutations = {put("a", "1"), add("text", 1)}}).code(), Code::invalid);
    EXPECT_EQ(commit({.entity = entity("e"), .mutations = {put("a", "1"), add("n", 1)}}).code(), Code::invalid);
    EXPECT_EQ(commit({.entity = entity("f"), .mutations = {put("a", "1"), add("a", 1)}}).code(), Code::invalid);
    EXPECT_EQ(keys({.entity = entity("e")}), (Strings{"n", "text"}));
    EXPECT_EQ(header(entity("e")).position, 1u);
    EXPECT_EQ(header(entity("f")).incarnation, 0u);
  });
}

// --- preconditions -------------------------------------------------------------------------------------------------

TEST_P(Conformance, entity_version_0_means_the_entity_does_not_exist) {
  run([&] {
    committed({.entity = entity("e"), .preconditions = {at_version(0)}});
    const auto again = commit({.entity = entity("e"), .preconditions = {at_version(0)}, .mutations = {put("a", "1")}});
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->committed);
    EXPECT_EQ(again->header.version, 1u);
    committed({.entity = entity("e"), .preconditions = {at_version(1)}});
    EXPECT_TRUE(keys({.entity = entity("e")}).empty());
  });
}

TEST_P(Conformance, a_failed_precondition_is_named_and_shows_the_row_that_is_there) {
  run([&] {
    committed({.entity = entity("e"), .mutations = {put("a", "old"), add("n", 10)}});
    const auto taken = commit({.entity = entity("e"),
                               .preconditions = {at_version(1), row_at("a", 1), row_at("b", 0), below("n", 11), absent("a")},
                               .mutations = {put("a", "new")}});
    ASSERT_TRUE(taken.ok());
    EXPECT_FALSE(taken->committed);
    EXPECT_EQ(taken->failed_precondition, 4u);
    ASSERT_TRUE(taken->present.has_value());
    EXPECT_EQ(taken->present->key, "a");
    EXPECT_EQ(taken->present->value, "old");
    EXPECT_EQ(taken->present->version, 1u);
    const auto moved = commit({.entity = entity("e"), .preconditions = {row_at("a", 2)}});
    EXPECT_EQ(moved->present->value, "old");
    const auto gone = commit({.entity = entity("e"), .preconditions = {row_at("b", 1)}});
    EXPECT_FALSE(gone->committed);
    EXPECT_FALSE(gone->present.has_value());
    EXPECT_FALSE(commit({.entity = entity("e"), .preconditions = {below("n", 10)}})->committed);
    EXPECT_FALSE(commit({.entity = entity("e"), .preconditions = {below("none", 0)}})->committed);
    committed({.entity = entity("e"), .preconditions = {below("none", 1)}});
  });
}

TEST_P(Conformance, a_failed_precondition_changes_nothing_and_reports_the_header_as_it_is) {
  run([&] {
    const Header before = committed({.entity = entity("e"), .mutations = {put("a", "1")}}).header;
    const auto refused = commit({.entity = entity("e"), .preconditions = {absent("a")}, .mutations = {erase("a")},
                                 .mark_work = 7});
    ASSERT_TRUE(refused.ok());
    EXPECT_EQ(refused->header.position, before.position);
    EXPECT_EQ(refused->header.incarnation, before.incarnation);
    EXPECT_EQ(value(entity("e"), "a"), "1");
    EXPECT_TRUE(marked(7).empty());
    const auto nobody = commit({.entity = entity("nobody"), .preconditions = {row_at("a", 5)}});
    EXPECT_EQ(nobody->header.incarnation, 0u);
    EXPECT_EQ(header(entity("nobody")).incarnation, 0u);
  });
}

TEST_P(Conformance, preconditions_are_evaluated_before_the_mutations) {
  run([&] {
    committed({.entity = entity("e"), .preconditions = {absent("a")}, .mutations = {put("a", "1"), erase("a"), put("a", "2")}});
    EXPECT_EQ(value(entity("e"), "a"), "2");
  });
}

// --- limits --------------------------------------------------------------------------------------------------------

TEST_P(Conformance, what_is_over_a_limit_is_refused_whole_and_what_is_at_it_passes) {
  run([&] {
    const EntityId e = entity("e");
    const auto code = [&](Commit one) { return commit(std::move(one)).code(); };
    EXPECT_EQ(code({.entity = e, .mutations = {put(std::string(512, 'k'), "v")}}), Code::ok);
    EXPECT_EQ(code({.entity = e, .mutations = {put(std::string(513, 'k'), "v")}}), Code::too_large);
    EXPECT_EQ(code({.entity = e, .mutations = {put(std::string(504, 'k'), "v", Mutation::Stamp::key)}}), Code::ok);
    EXPECT_EQ(code({.entity = e, .mutations = {put(std::string(505, 'k'), "v", Mutation::Stamp::key)}}), Code::too_large);
    EXPECT_EQ(code({.entity = e, .preconditions = {absent(std::string(513, 'k'))}}), Code::too_large);
    const std::string row(k_row_bytes_max, 'r');
    EXPECT_EQ(code({.entity = e, .mutations = {put("r", row)}}), Code::ok);
    EXPECT_EQ(code({.entity = e, .mutations = {put("r", row + "r")}}), Code::too_large);
    EXPECT_EQ(code({.entity = e, .mutations = {put("r", row.substr(8), Mutation::Stamp::value)}}), Code::ok);
    EXPECT_EQ(code({.entity = e, .mutations = {put("r", row, Mutation::Stamp::value)}}), Code::too_large);
    Commit many{.entity = e};
    for (size_t i = 0; i < k_operation_rows_max; ++i) many.mutations.push_back(put(digits(i), "v"));
    EXPECT_EQ(code(many), Code::ok);
    many.mutations.push_back(put("one more", "v"));
    EXPECT_EQ(code(many), Code::too_large);
    Commit big{.entity = e};
    for (size_t i = 0; i < 5; ++i) big.mutations.push_back(put(digits(i), row));
    EXPECT_EQ(code(big), Code::too_large);
    big.mutations.resize(3);
    EXPECT_EQ(code(big), Code::ok);
    EXPECT_EQ(header(e).position, 6u);
    EXPECT_EQ(value(e, "one more"), "(absent)");
  });
}

TEST_P(Conformance, what_can_never_pass_is_invalid) {
  run([&] {
    const EntityId e = entity("e");
    const auto code = [&](Commit one) { return commit(std::move(one)).code(); };
    EXPECT_EQ(code({.entity = entity("e", 99)}), Code::invalid);
    EXPECT_EQ(code({.entity = entity("")}), Code::invalid);
    EXPECT_EQ(code({.entity = entity(std::string(256, 'x'))}), Code::invalid);
    EXPECT_EQ(code({.entity = e, .request_id = "short"}), Code::invalid);
    EXPECT_EQ(code({.entity = e, .raise_floor = 1}), Code::invalid);
    EXPECT_EQ(code({.entity = e, .mutations = {put("a", "v", Mutation::Stamp::key)}, .visibility = Visibility::silent}),
              Code::invalid);
    Mutation odd = add("n", 1);
    odd.stamp = Mutation::Stamp::key;
    EXPECT_EQ(code({.entity = e, .mutations = {odd}}), Code::invalid);
    odd = put("a", "v");
    odd.kind = static_cast<Mutation::Kind>(9);
    EXPECT_EQ(code({.entity = e, .mutations = {odd}}), Code::invalid);
    Precondition strange = absent("a");
    strange.kind = static_cast<Precondition::Kind>(9);
    EXPECT_EQ(code({.entity = e, .preconditions = {strange}}), Code::invalid);
    EXPECT_EQ(header(e).incarnation, 0u);
    EXPECT_EQ(store().read(call_, {.entity = entity("e", 99)}).code(), Code::invalid);
    EXPECT_EQ(store().read(call_, {.entity = entity("")}).code(), Code::invalid);
    EXPECT_EQ(store().read(call_, {.entity = entity(std::string(256, 'x'))}).code(), Code::invalid);
    EXPECT_EQ(store().changes(call_, entity("e", 99), 0, 10).code(), Code::invalid);
  });
}

TEST_P(Conformance, a_value_table_has_one_row_of_at_most_4_KiB) {
  run([&] {
    const EntityId e = entity("e", k_value);
    const auto code = [&](Mutation one) { return commit({.entity = e, .mutations = {std::move(one)}}).code(); };
    EXPECT_EQ(code(put("", std::string(4096, 'v'))), Code::ok);
    EXPECT_EQ(code(put("", std::string(4097, 'v'))), Code::invalid);
    EXPECT_EQ(code(put("", std::string(4089, 'v'), Mutation::Stamp::value)), Code::invalid);
    EXPECT_EQ(code(put("key", "v")), Code::invalid);
    EXPECT_EQ(value(e, ""), std::string(4096, 'v'));
  });
}

// --- reads ---------------------------------------------------------------------------------------------------------

TEST_P(Conformance, a_range_is_inclusive_below_exclusive_above_and_can_be_read_backward) {
  run([&] {
    const EntityId e = entity("e");
    committed({.entity = e, .mutations = {put("a", "1"), put("b", "2"), put("ba", "3"), put("c", "4"), put("\xff\xff", "5")}});
    EXPECT_EQ(keys({.entity = e}), (Strings{"a", "b", "ba", "c", "\xff\xff"}));
    EXPECT_EQ(keys({.entity = e, .from = "b"}), (Strings{"b", "ba", "c", "\xff\xff"}));
    EXPECT_EQ(keys({.entity = e, .from = "b", .to = "c"}), (Strings{"b", "ba"}));
    EXPECT_EQ(keys({.entity = e, .to = "b"}), (Strings{"a"}));
    const auto back = Direction::backward;
    EXPECT_EQ(keys({.entity = e, .direction = back}), (Strings{"\xff\xff", "c", "ba", "b", "a"}));
    EXPECT_EQ(keys({.entity = e, .from = "b", .to = "c", .direction = back}), (Strings{"ba", "b"}));
    EXPECT_EQ(keys({.entity = e, .from = "b", .direction = back, .rows_max = 2}), (Strings{"\xff\xff", "c"}));
    EXPECT_EQ(keys({.entity = e, .from = "x", .to = "y"}), Strings{});
    EXPECT_EQ(keys({.entity = e, .from = "c", .to = "a"}), Strings{});
    EXPECT_EQ(keys({.entity = e, .from = "c", .to = "a", .direction = back}), Strings{});
    EXPECT_EQ(keys({.entity = e, .from = "b", .to = "b"}), Strings{});
  });
}

TEST_P(Conformance, an_answer_cut_by_rows_or_bytes_goes_on_after_its_last_key) {
  run([&] {
    const EntityId e = entity("e");
    Commit rows{.entity = e};
    for (size_t i = 0; i < 250; ++i) rows.mutations.push_back(put(digits(i), std::string(100 + i, 'v')));
    committed(rows);
    for (const auto direction : {Direction::forward, Direction::backward}) {
      for (const Read& limits : {Read{.entity = e, .rows_max = 7}, Read{.entity = e, .bytes_max = 1000}, Read{.entity = e, .bytes_max = 1}}) {
        Read page = limits;
        page.direction = direction;
        std::set<std::string> seen;
        for (;;) {
          const ReadReply reply = read(page);
          ASSERT_FALSE(reply.rows.empty());
          EXPECT_LE(reply.rows.size(), page.rows_max);
          for (const Row& row : reply.rows) EXPECT_TRUE(seen.insert(row.key).second);
          if (!reply.more) break;
          (direction == Direction::forward ? page.from : page.to) =
              reply.rows.back().key + (direction == Direction::forward ? std::string(1, '\0') : std::string());
        }
        EXPECT_EQ(seen.size(), 250u);
      }
    }
    EXPECT_FALSE(read({.entity = e, .rows_max = 250}).more);
    EXPECT_TRUE(read({.entity = e, .rows_max = 249}).more);
    const ReadReply none = read({.entity = e, .rows_max = 0});
    EXPECT_TRUE(none.rows.empty());
    EXPECT_FALSE(none.more);  // The header was all that was asked for.
    EXPECT_EQ(none.header.version, 1u);
  });
}

TEST_P(Conformance, an_answer_has_at_most_1000_rows_and_1_MiB_whatever_was_asked) {
  run([&] {
    const EntityId e = entity("e");
    for (size_t batch = 0; batch < 3; ++batch) {
      Commit rows{.entity = e};
      for (size_t i = 0; i < 500; ++i) rows.mutations.push_back(put(digits(batch * 500 + i), "v"));
      committed(rows);
    }
    const ReadReply many = read({.entity = e, .rows_max = 1'000'000, .bytes_max = size_t{1} << 40});
    EXPECT_EQ(many.rows.size(), k_operation_rows_max);
    EXPECT_TRUE(many.more);
    const EntityId f = entity("f");
    for (size_t i = 0; i < 6; ++i) committed({.entity = f, .mutations = {put(digits(i), std::string(200'000, 'v'))}});
    const ReadReply big = read({.entity = f, .bytes_max = size_t{1} << 40});
    EXPECT_EQ(big.rows.size(), 5u);
    EXPECT_TRUE(big.more);
  });
}

// {1: number, 2: text} as protobuf writes it: defaults are left out.
inline std::string message(uint64_t number, const std::string& text) {
  std::string out;
  if (number != 0) put_varint(out, 1 << 3), put_varint(out, number);
  if (!text.empty()) put_varint(out, 2 << 3 | 2), put_sized(out, text);
  return out;
}

TEST_P(Conformance, filters_keep_rows_whose_fields_are_equal_and_projections_keep_fields) {
  run([&] {
    const EntityId e = entity("e");
    committed({.entity = e, .mutations = {put("a", message(1, "x")), put("b", message(2, "x")), put("c", message(1, "")),
                                          put("d", message(0, "x")), put("e", "\xff\xff not a message")}});
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 1, .number = 1}}}), (Strings{"a", "c"}));
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 2, .bytes = "x"}}}), (Strings{"a", "b", "d"}));
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 1, .number = 1}, {.field = 2, .bytes = "x"}}}), (Strings{"a"}));
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 1, .number = 0}}}), (Strings{"d"}));
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 2, .bytes = ""}}}), (Strings{"c"}));
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 3, .number = 1}}}), Strings{});
    const ReadReply projected = read({.entity = e, .to = "b", .projection = {2}});
    ASSERT_EQ(projected.rows.size(), 1u);
    EXPECT_EQ(projected.rows[0].value, message(0, "x"));
    EXPECT_EQ(store().read(call_, {.entity = e, .filters = {{.field = 1}}}).code(), Code::invalid);
  });
}

TEST_P(Conformance, a_filter_finds_its_row_however_many_do_not_match) {
  run([&] {
    const EntityId e = entity("e");
    for (size_t batch = 0; batch < 12; ++batch) {
      Commit rows{.entity = e};
      for (size_t i = 0; i < 1000; ++i) rows.mutations.push_back(put(digits(batch * 1000 + i), message(1, "no")));
      committed(rows);
    }
    committed({.entity = e, .mutations = {put("z", message(2, "yes"))}});
    EXPECT_EQ(keys({.entity = e, .filters = {{.field = 1, .number = 2}}}), (Strings{"z"}));
  });
}

TEST_P(Conformance, read_many_answers_each_read_in_its_place) {
  run([&] {
    committed({.entity = entity("a"), .mutations = {put("k", "1")}});
    committed({.entity = entity("b"), .mutations = {put("k", "2")}});
    const std::vector<Read> reads = {{.entity = entity("b")}, {.entity = entity("x", 99)}, {.entity = entity("none")}, {.entity = entity("a")}};
    const auto replies = store().read_many(call_, reads);
    ASSERT_EQ(replies.size(), 4u);
    EXPECT_EQ(replies[0]->rows.at(0).value, "2");
    EXPECT_EQ(replies[1].code(), Code::invalid);
    EXPECT_EQ(replies[2]->header.incarnation, 0u);
    EXPECT_EQ(replies[3]->rows.at(0).value, "1");
    EXPECT_TRUE(store().read_many(call_, {}).empty());
  });
}

}  // namespace hongyan::store::conformance
