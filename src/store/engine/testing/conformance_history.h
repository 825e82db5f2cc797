// The conformance suite, second part: floors, changes, request ids. See conformance.h.
#pragma once

#include "store/engine/testing/conformance.h"

namespace hongyan::store::conformance {

// --- silent commits and the floor ----------------------------------------------------------------------------------

TEST_P(Conformance, the_floor_rises_by_silent_commits_never_falls_and_stays_at_or_below_the_version) {
  run([&] {
    const EntityId e = entity("e");
    for (int i = 0; i < 5; ++i) committed({.entity = e});
    const auto floor_after = [&](uint64_t floor) {
      return committed({.entity = e, .visibility = Visibility::silent, .raise_floor = floor}).header.floor;
    };
    EXPECT_EQ(floor_after(3), 3u);
    EXPECT_EQ(floor_after(2), 3u);
    EXPECT_EQ(floor_after(99), 5u);
    EXPECT_EQ(header(e).version, 5u);
    EXPECT_EQ(header(e).floor, 5u);
  });
}

TEST_P(Conformance, changes_lists_each_row_once_at_its_last_change_with_what_was_erased) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    committed({.entity = e, .mutations = {put("a", "1"), put("b", "1"), put("c", "1")}});
    committed({.entity = e, .mutations = {put("b", "2")}});
    committed({.entity = e, .mutations = {erase("c"), erase("never")}});
    EXPECT_EQ(changes(e, 1), (Strings{"b@2", "-c@3"}));
    EXPECT_EQ(changes(e, 2), (Strings{"-c@3"}));
    EXPECT_EQ(changes(e, 3), Strings{});
    committed({.entity = e, .mutations = {put("c", "back"), erase("a")}});
    EXPECT_EQ(changes(e, 1), (Strings{"b@2", "-a@4", "c@4"}));
    committed({.entity = e, .mutations = {put("a", "x"), erase("a"), put("d", "y"), put("d", "z")}});
    EXPECT_EQ(changes(e, 1), (Strings{"b@2", "c@4", "-a@5", "d@5"}));
    const auto reply = store().changes(call_, e, 4, 10);
    ASSERT_EQ(reply->changes.size(), 2u);
    EXPECT_EQ(reply->changes[1].row.value, "z");
    EXPECT_EQ(reply->header.version, 5u);
  });
}

TEST_P(Conformance, changes_from_0_are_the_rows_that_are_there_whatever_the_floor) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    committed({.entity = e, .mutations = {put("a", "1"), put("b", "1")}});
    committed({.entity = e, .mutations = {erase("b")}});
    EXPECT_EQ(changes(e, 0), (Strings{"a@1"}));
    committed({.entity = e, .visibility = Visibility::silent, .raise_floor = 2});
    EXPECT_EQ(changes(e, 0), (Strings{"a@1"}));
    EXPECT_EQ(changes(entity("nobody", k_tracked), 0), Strings{});
  });
}

TEST_P(Conformance, changes_below_the_floor_or_ahead_of_the_version_are_not_found) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    for (int i = 0; i < 4; ++i) committed({.entity = e, .mutations = {put(digits(static_cast<size_t>(i)), "v"), erase("x")}});
    committed({.entity = e, .mutations = {erase(digits(0))}});
    committed({.entity = e, .visibility = Visibility::silent, .raise_floor = 3});
    EXPECT_EQ(store().changes(call_, e, 2, 10).code(), Code::not_found);
    EXPECT_EQ(changes(e, 3), (Strings{"000003@4", "-000000@5"}));
    EXPECT_EQ(store().changes(call_, e, 6, 10).code(), Code::not_found);
    EXPECT_EQ(store().changes(call_, entity("nobody", k_tracked), 1, 10).code(), Code::not_found);
    EXPECT_EQ(store().changes(call_, entity("e", k_plain), 0, 10).code(), Code::invalid);
  });
}

TEST_P(Conformance, a_row_that_comes_back_after_its_tombstone_was_purged_is_a_change_again) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    committed({.entity = e, .mutations = {put("a", "1"), put("b", "1")}});
    committed({.entity = e, .mutations = {erase("a")}});
    committed({.entity = e, .visibility = Visibility::silent, .raise_floor = 2});
    committed({.entity = e, .mutations = {put("a", "again")}});
    committed({.entity = e, .mutations = {put("b", "2")}});
    EXPECT_EQ(changes(e, 2), (Strings{"a@3", "b@4"}));
    EXPECT_EQ(changes(e, 0), (Strings{"a@3", "b@4"}));
    committed({.entity = e, .mutations = {erase("b")}, .visibility = Visibility::silent, .raise_floor = 4});
    EXPECT_EQ(changes(e, 0), (Strings{"a@3"}));
  });
}

TEST_P(Conformance, changes_are_cut_between_versions_and_go_on_from_the_last) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    for (size_t version = 0; version < 30; ++version) {
      Commit rows{.entity = e};
      for (size_t i = 0; i <= version % 5; ++i) rows.mutations.push_back(put(digits(version * 10 + i), "v"));
      committed(rows);
    }
    uint64_t since = 0;
    std::set<std::string> seen;
    for (;;) {
      const auto page = store().changes(call_, e, since, 4);
      ASSERT_TRUE(page.ok());
      for (const Change& change : page->changes) EXPECT_TRUE(seen.insert(change.row.key).second);
      if (!page->more) break;
      ASSERT_FALSE(page->changes.empty());
      EXPECT_GT(page->changes.back().row.version, since);
      since = page->changes.back().row.version;
    }
    EXPECT_EQ(seen.size(), 90u);
  });
}

TEST_P(Conformance, an_answer_of_changes_is_bounded_in_bytes) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    for (size_t i = 0; i < 20; ++i) committed({.entity = e, .mutations = {put(digits(i), std::string(200'000, 'v'))}});
    const auto page = store().changes(call_, e, 0, 1000);
    ASSERT_TRUE(page.ok());
    EXPECT_LT(page->changes.size(), 8u);
    EXPECT_TRUE(page->more);
  });
}

// --- request ids ---------------------------------------------------------------------------------------------------

TEST_P(Conformance, a_request_id_runs_once_and_answers_what_it_answered) {
  const EntityId e = entity("e");
  Commit once{.entity = e};
  CommitReply first;
  run([&] {
    once.request_id = request_id();
    once.mutations = {add("n", 5), put("log", "x", Mutation::Stamp::key)};
    first = committed(once);
    committed({.entity = e, .mutations = {add("n", 100)}});
    const CommitReply again = committed(once);
    EXPECT_TRUE(again.replayed);
    EXPECT_FALSE(first.replayed);
    EXPECT_EQ(again.header.version, first.header.version);
    EXPECT_EQ(again.header.position, first.header.position);
    EXPECT_EQ(again.header.incarnation, first.header.incarnation);
    EXPECT_EQ(again.numbers, first.numbers);
    // Even when its preconditions would not hold any more.
    Commit guarded{.entity = e, .request_id = request_id(), .preconditions = {at_version(2)}};
    committed(guarded);
    EXPECT_TRUE(committed(guarded).replayed);
    EXPECT_EQ(value(e, "n"), number(105));
    EXPECT_EQ(header(e).version, 3u);
  });
  reopen();
  run([&] {
    EXPECT_TRUE(committed(once).replayed);
    EXPECT_EQ(header(e).version, 3u);
    // Of this entity only.
    once.entity = entity("other");
    EXPECT_FALSE(committed(once).replayed);
  });
}

TEST_P(Conformance, a_request_that_was_refused_is_evaluated_again) {
  run([&] {
    const EntityId e = entity("e");
    const Commit wants{.entity = e, .request_id = request_id(), .preconditions = {row_at("gate", 1)}, .mutations = {put("a", "1")}};
    EXPECT_FALSE(commit(wants)->committed);
    committed({.entity = e, .mutations = {put("gate", "open")}});
    EXPECT_FALSE(committed(wants).replayed);
    EXPECT_TRUE(committed(wants).replayed);
  });
}

TEST_P(Conformance, a_request_id_that_is_older_than_a_minute_is_refused_also_when_it_was_never_seen) {
  run([&] {
    Commit once{.entity = entity("e"), .request_id = request_id()};
    EXPECT_EQ(commit({.entity = entity("e"), .request_id = request_id(k_request_id_age_ms_max + 1)}).code(), Code::invalid);
    EXPECT_EQ(commit({.entity = entity("e"), .request_id = request_id(-k_request_id_age_ms_max - 1)}).code(), Code::invalid);
    committed(once);
    env().jump_utc_ms(k_request_id_age_ms_max);
    EXPECT_TRUE(committed(once).replayed);
    env().jump_utc_ms(1);
    EXPECT_EQ(commit(once).code(), Code::invalid);
    EXPECT_EQ(header(entity("e")).version, 1u);
  });
}

TEST_P(Conformance, at_the_cap_of_request_ids_the_entity_sheds_load_until_they_are_old) {
  run([&] {
    const EntityId e = entity("e");
    std::vector<Commit> commits;
    for (size_t i = 0; i < k_request_ids_max; ++i) {
      commits.push_back({.entity = e, .request_id = request_id()});
      if (commits.size() < 512) continue;
      for (const auto& reply : store().commit_many(call_, std::exchange(commits, {}), Order::any)) ASSERT_TRUE(reply.ok());
    }
    EXPECT_EQ(commit({.entity = e, .request_id = request_id()}).code(), Code::overloaded);
    committed({.entity = e});                                        // Without an id there is nothing to remember.
    committed({.entity = entity("f"), .request_id = request_id()});  // Others are not touched.
    env().jump_utc_ms(k_request_id_age_ms_max + 10'000);
    for (size_t i = 0; i < 50; ++i) committed({.entity = e, .request_id = request_id()});
    EXPECT_EQ(header(e).version, k_request_ids_max + 51);
  });
}

TEST_P(Conformance, ids_of_a_clock_that_jumps_are_kept_and_trimmed_all_the_same) {
  run([&] {
    const EntityId e = entity("e");
    const Commit before{.entity = e, .request_id = request_id()};
    committed(before);
    env().jump_utc_ms(3'600'000);
    for (size_t i = 0; i < 20; ++i) committed({.entity = e, .request_id = request_id()});
    env().jump_utc_ms(-3'600'000);
    const Commit after{.entity = e, .request_id = request_id()};
    EXPECT_FALSE(committed(after).replayed);
    EXPECT_TRUE(committed(after).replayed);
    env().jump_utc_ms(7'200'000);
    for (size_t i = 0; i < 20; ++i) committed({.entity = e, .request_id = request_id()});
    EXPECT_EQ(header(e).version, 42u);
  });
}

}  // namespace hongyan::store::conformance
