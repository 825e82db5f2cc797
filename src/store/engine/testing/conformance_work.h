// The conformance suite, third part: work marks, many commits, waiting, opening again. See conformance.h.
#pragma once

#include <algorithm>

#include "store/engine/testing/conformance.h"

namespace hongyan::store::conformance {

// --- work marks ----------------------------------------------------------------------------------------------------

TEST_P(Conformance, a_mark_names_the_entity_and_the_version_until_work_up_to_it_is_done) {
  run([&] {
    const EntityId e = entity("e");
    const auto done = [&](uint64_t up_to) {
      committed({.entity = e, .visibility = Visibility::silent, .work_done = WorkDone{.tag = 7, .done_up_to = up_to}});
    };
    committed({.entity = e, .mark_work = 7});
    committed({.entity = e, .mark_work = 8});
    EXPECT_EQ(marked(7), (Strings{"e@1"}));
    EXPECT_EQ(marked(8), (Strings{"e@2"}));
    EXPECT_EQ(marked(9), Strings{});
    committed({.entity = e, .mark_work = 7});  // Again, after a worker took version 1.
    done(1);
    EXPECT_EQ(marked(7), (Strings{"e@3"}));
    done(3);
    EXPECT_EQ(marked(7), Strings{});
    EXPECT_EQ(marked(8), (Strings{"e@2"}));
    done(3);  // Harmless.
  });
}

TEST_P(Conformance, a_commit_may_clear_the_old_mark_and_set_a_new_one) {
  run([&] {
    committed({.entity = entity("e"), .mark_work = 7});
    committed({.entity = entity("e"), .mark_work = 7, .work_done = WorkDone{.tag = 7, .done_up_to = 1}});
    EXPECT_EQ(marked(7), (Strings{"e@2"}));
    committed({.entity = entity("e"), .mark_work = 8, .work_done = WorkDone{.tag = 7, .done_up_to = 2}});
    EXPECT_EQ(marked(7), Strings{});
    EXPECT_EQ(marked(8), (Strings{"e@3"}));
  });
}

TEST_P(Conformance, marks_and_what_they_stand_for_are_one_atomic_write_and_survive_reopening) {
  run([&] {
    committed({.entity = entity("a"), .mutations = {put("k", "v")}, .mark_work = 7});
    committed({.entity = entity("b"), .mark_work = 7});
    committed({.entity = entity("b"), .work_done = WorkDone{.tag = 7, .done_up_to = 1}});
  });
  reopen();
  run([&] {
    EXPECT_EQ(marked(7), (Strings{"a@1"}));
    EXPECT_EQ(value(entity("a"), "k"), "v");
    // Whoever has seen nothing yet does not wait for marks that stand already.
    EXPECT_TRUE(store().wait_work(call_, 7, 0).ok());
  });
}

TEST_P(Conformance, scanning_marks_by_pages_finds_each_once_in_one_order) {
  run([&] {
    for (size_t i = 0; i < 57; ++i) {
      committed({.entity = entity(digits(i), i % 2 == 0 ? k_plain : k_tracked), .mark_work = 7});
    }
    std::vector<EntityId> seen;
    for (;;) {
      const auto page = store().scan_work(call_, 7, seen.empty() ? nullptr : &seen.back(), 10);
      ASSERT_TRUE(page.ok());
      EXPECT_LE(page->size(), 10u);
      if (page->empty()) break;
      for (const Work& work : *page) seen.push_back(work.entity);
    }
    EXPECT_EQ(seen.size(), 57u);
    const auto all = store().scan_work(call_, 7, nullptr, 1000);
    ASSERT_EQ(all->size(), 57u);
    for (size_t i = 0; i < 57; ++i) EXPECT_EQ((*all)[i].entity, seen[i]);
    EXPECT_EQ(std::set<EntityId>(seen.begin(), seen.end()).size(), 57u);
    EXPECT_TRUE(store().scan_work(call_, 7, nullptr, 0)->empty());
  });
}

TEST_P(Conformance, waiting_for_work_ends_with_the_next_mark_of_that_tag) {
  run([&] {
    runtime::Nursery nursery(env().scheduler());
    const uint64_t seen = [&] {
      committed({.entity = entity("e"), .mark_work = 7});
      return *store().wait_work(call_, 7, 0);
    }();
    bool woken = false;
    nursery.spawn("waiter", [&] {
      Call call = env().call();
      const auto marks = store().wait_work(call, 7, seen);
      EXPECT_TRUE(marks.ok());
      EXPECT_GT(marks.ok() ? *marks : 0, seen);
      woken = true;
    });
    committed({.entity = entity("e"), .mark_work = 8});
    committed({.entity = entity("e")});
    EXPECT_FALSE(woken);
    committed({.entity = entity("e"), .mark_work = 7});
    EXPECT_TRUE(nursery.join(call_).ok());
    EXPECT_TRUE(woken);
  });
}

TEST_P(Conformance, waiting_for_work_ends_with_the_deadline) {
  run([&] {
    Call call = runtime::background_call(env(), runtime::Duration(std::chrono::seconds(5)));
    const runtime::Time begun = env().now();
    EXPECT_EQ(store().wait_work(call, 7, 0).code(), Code::deadline);
    EXPECT_GE(env().now() - begun, std::chrono::seconds(5));
  });
}

// --- many commits --------------------------------------------------------------------------------------------------

TEST_P(Conformance, commits_of_any_order_stand_alone) {
  run([&] {
    committed({.entity = entity("b"), .mutations = {put("k", "old")}});
    const auto replies = store().commit_many(call_,
                                             {{.entity = entity("a"), .mutations = {put("k", "1")}},
                                              {.entity = entity("b"), .preconditions = {absent("k")}, .mutations = {put("k", "2")}},
                                              {.entity = entity("c", 99)},
                                              {.entity = entity("d"), .mutations = {put("k", "4")}}},
                                             Order::any);
    ASSERT_EQ(replies.size(), 4u);
    EXPECT_TRUE(replies[0]->committed);
    EXPECT_FALSE(replies[1]->committed);
    EXPECT_EQ(replies[1]->present->value, "old");
    EXPECT_EQ(replies[2].code(), Code::invalid);
    EXPECT_TRUE(replies[3]->committed);
    EXPECT_EQ(value(entity("d"), "k"), "4");
    EXPECT_TRUE(store().commit_many(call_, {}, Order::any).empty());
  });
}

TEST_P(Conformance, in_order_stops_at_the_first_that_is_not_committed_and_the_rest_is_cancelled) {
  run([&] {
    const auto refused = store().commit_many(call_,
                                             {{.entity = entity("a"), .mutations = {put("k", "1")}},
                                              {.entity = entity("a"), .preconditions = {absent("k")}},
                                              {.entity = entity("b"), .mutations = {put("k", "2")}}},
                                             Order::in_order);
    EXPECT_TRUE(refused[0]->committed);
    EXPECT_FALSE(refused[1]->committed);
    EXPECT_EQ(refused[2].code(), Code::cancelled);
    EXPECT_EQ(header(entity("b")).incarnation, 0u);
    const auto failed = store().commit_many(call_,
                                            {{.entity = entity("c"), .mutations = {put("k", "1")}},
                                             {.entity = entity("d", 99)},
                                             {.entity = entity("b"), .mutations = {put("k", "2")}}},
                                            Order::in_order);
    EXPECT_TRUE(failed[0]->committed);
    EXPECT_EQ(failed[1].code(), Code::invalid);
    EXPECT_EQ(failed[2].code(), Code::cancelled);
    EXPECT_EQ(header(entity("b")).incarnation, 0u);
  });
}

TEST_P(Conformance, together_means_all_or_none) {
  run([&] {
    const EntityId a = entity("a"), b = entity("b", k_tracked);
    const auto passed = store().commit_many(call_,
                                            {{.entity = a, .mutations = {put("k", "1"), add("n", 1)}, .mark_work = 7},
                                             {.entity = b, .mutations = {put("k", "1")}},
                                             {.entity = a, .preconditions = {row_at("k", 1)}, .mutations = {add("n", 1)}}},
                                            Order::together);
    for (const auto& reply : passed) ASSERT_TRUE(reply.ok() && reply->committed);
    EXPECT_EQ(passed[2]->numbers, (std::vector<int64_t>{2}));
    const Header before = header(a);
    const auto refused = store().commit_many(call_,
                                             {{.entity = a, .mutations = {put("k", "2"), put("l", "2"), add("n", 1)}, .mark_work = 8},
                                              {.entity = entity("c"), .mutations = {put("k", "2")}},
                                              {.entity = b, .preconditions = {absent("k")}, .mutations = {put("l", "2")}},
                                              {.entity = b, .mutations = {put("m", "2")}}},
                                             Order::together);
    EXPECT_EQ(refused[0].code(), Code::cancelled);
    EXPECT_EQ(refused[1].code(), Code::cancelled);
    ASSERT_TRUE(refused[2].ok());
    EXPECT_FALSE(refused[2]->committed);
    EXPECT_EQ(refused[2]->present->value, "1");
    EXPECT_EQ(refused[3].code(), Code::cancelled);
    const auto failed = store().commit_many(call_,
                                            {{.entity = a, .mutations = {erase("k")}}, {.entity = entity("d", 99)}}, Order::together);
    EXPECT_EQ(failed[0].code(), Code::cancelled);
    EXPECT_EQ(failed[1].code(), Code::invalid);
    EXPECT_EQ(header(a).position, before.position);
    EXPECT_EQ(value(a, "k"), "1");
    EXPECT_EQ(value(a, "l"), "(absent)");
    EXPECT_EQ(header(entity("c")).incarnation, 0u);
    EXPECT_EQ(changes(b, 0), (Strings{"k@1"}));
    EXPECT_TRUE(store().scan_work(call_, 8, nullptr, 10)->empty());
  });
}

// What a refused group would have written is gone for those behind it in the same batch, and what stood there is back.
TEST_P(Conformance, a_group_that_does_not_pass_leaves_its_batch_as_it_was) {
  run([&] {
    const EntityId e = entity("e");
    runtime::Nursery nursery(env().scheduler());
    std::vector<std::vector<Result<CommitReply>>> replies(3);
    const auto spawn = [&](size_t i, std::vector<Commit> commits, Order order) {
      nursery.spawn("commits", [&, i, commits = std::move(commits), order] {
        Call call = env().call();
        replies[i] = store().commit_many(call, commits, order);
      });
    };
    spawn(0, {{.entity = e, .mutations = {put("k", "first"), add("n", 1)}}}, Order::any);
    spawn(1, {{.entity = e, .mutations = {put("k", "never"), put("l", "never"), add("n", 10)}},
              {.entity = e, .preconditions = {absent("k")}}}, Order::together);
    spawn(2, {{.entity = e, .preconditions = {absent("l")}, .mutations = {add("n", 1)}}}, Order::any);
    ASSERT_TRUE(nursery.join(call_).ok());
    ASSERT_TRUE(replies[2][0].ok() && replies[2][0]->committed);
    EXPECT_EQ(replies[2][0]->numbers, (std::vector<int64_t>{2}));
    EXPECT_EQ(replies[2][0]->header.version, 2u);
    EXPECT_EQ(value(e, "k"), "first");
  });
}

TEST_P(Conformance, commits_to_one_entity_see_those_before_them) {
  run([&] {
    const EntityId e = entity("e", k_tracked);
    const RequestId id = request_id();
    const auto replies = store().commit_many(call_,
                                             {{.entity = e, .mutations = {put("a", "1"), add("n", 1)}, .mark_work = 7},
                                              {.entity = e, .request_id = id, .preconditions = {at_version(1), row_at("a", 1)},
                                               .mutations = {erase("a"), add("n", 1)}},
                                              {.entity = e, .request_id = id, .mutations = {add("n", 1)}},
                                              {.entity = e, .preconditions = {absent("a")}, .mutations = {put("a", "2"), add("n", 1)},
                                               .work_done = WorkDone{.tag = 7, .done_up_to = 1}}},
                                             Order::in_order);
    for (const auto& reply : replies) ASSERT_TRUE(reply.ok() && reply->committed);
    EXPECT_EQ(replies[1]->numbers, (std::vector<int64_t>{2}));
    EXPECT_TRUE(replies[2]->replayed);
    EXPECT_EQ(replies[3]->header.version, 3u);
    EXPECT_EQ(replies[3]->numbers, (std::vector<int64_t>{3}));
    EXPECT_EQ(changes(e, 0), (Strings{"a@3", "n@3"}));
    EXPECT_EQ(marked(7), Strings{});
  });
}

TEST_P(Conformance, what_is_more_than_one_call_may_bring_is_refused) {
  run([&] {
    std::vector<Commit> commits(1001, Commit{.entity = entity("e")});
    const auto replies = store().commit_many(call_, commits, Order::any);
    ASSERT_EQ(replies.size(), 1001u);
    EXPECT_EQ(replies[0].code(), Code::too_large);
    EXPECT_EQ(header(entity("e")).incarnation, 0u);
    const std::vector<Read> reads(1001, Read{.entity = entity("e")});
    const auto answers = store().read_many(call_, reads);
    ASSERT_EQ(answers.size(), 1001u);
    EXPECT_EQ(answers[0].code(), Code::too_large);
  });
}

// --- waiting -------------------------------------------------------------------------------------------------------

TEST_P(Conformance, appends_of_many_senders_all_pass_each_with_its_own_version) {
  run([&] {
    constexpr size_t k_senders = 50;
    constexpr size_t k_each = 20;
    std::set<uint64_t> versions;
    {
      runtime::Nursery nursery(env().scheduler());
      for (size_t sender = 0; sender < k_senders; ++sender) {
        nursery.spawn("sender", [&, sender] {
          uint64_t last = 0;
          for (size_t i = 0; i < k_each; ++i) {
            Call call = env().call();
            const auto reply = store().commit(
                call, {.entity = entity("e"), .mutations = {put("log", std::to_string(sender), Mutation::Stamp::key), add("n", 1)}});
            ASSERT_TRUE(reply.ok() && reply->committed);
            EXPECT_TRUE(versions.insert(reply->header.version).second);
            EXPECT_EQ(reply->numbers, (std::vector<int64_t>{static_cast<int64_t>(reply->header.version)}));
            EXPECT_GT(reply->header.version, last);
            last = reply->header.version;
            // What was answered is seen by whoever reads from now on.
            const auto seen = store().read(call, {.entity = entity("e"), .from = "log" + number(last), .rows_max = 1});
            ASSERT_TRUE(seen.ok());
            EXPECT_EQ(seen->rows.at(0).value, std::to_string(sender));
          }
        });
      }
      ASSERT_TRUE(nursery.join(call_).ok());
    }
    EXPECT_EQ(versions.size(), k_senders * k_each);
    EXPECT_EQ(*versions.rbegin(), k_senders * k_each);
  });
}

TEST_P(Conformance, of_many_that_decide_on_one_version_exactly_one_passes) {
  run([&] {
    for (int round = 0; round < 5; ++round) {
      int passed = 0;
      runtime::Nursery nursery(env().scheduler());
      const auto version = static_cast<int64_t>(header(entity("e")).version);
      for (int i = 0; i < 20; ++i) {
        nursery.spawn("decider", [&] {
          Call call = env().call();
          const auto reply = store().commit(call, {.entity = entity("e"), .preconditions = {at_version(version)}});
          ASSERT_TRUE(reply.ok());
          passed += reply->committed ? 1 : 0;
        });
      }
      ASSERT_TRUE(nursery.join(call_).ok());
      EXPECT_EQ(passed, 1);
    }
  });
}

TEST_P(Conformance, a_call_whose_deadline_has_passed_does_nothing) {
  run([&] {
    Call late = call_;
    late.deadline = env().now();
    EXPECT_EQ(store().commit(late, {.entity = entity("e")}).code(), Code::deadline);
    EXPECT_EQ(store().read(late, {.entity = entity("e")}).code(), Code::deadline);
    EXPECT_EQ(store().changes(late, entity("e", k_tracked), 0, 1).code(), Code::deadline);
    EXPECT_EQ(header(entity("e")).incarnation, 0u);
  });
}

TEST_P(Conformance, a_caller_that_is_cancelled_gets_an_answer_and_the_others_are_not_disturbed) {
  run([&] {
    runtime::Nursery doomed(env().scheduler());
    runtime::Nursery others(env().scheduler());
    size_t good = 0;
    for (size_t i = 0; i < 20; ++i) {
      const auto body = [&, i] {
        Call call = env().call();
        const auto reply = store().commit(call, {.entity = entity(digits(i)), .mutations = {put("k", "v")}});
        if (i % 2 == 0) {
          ASSERT_TRUE(reply.ok());
          ++good;
        } else {
          EXPECT_TRUE(reply.ok() || reply.code() == Code::cancelled);
        }
      };
      (i % 2 == 0 ? others : doomed).spawn("caller", body);
    }
    env().scheduler().yield();
    doomed.cancel_and_join();
    ASSERT_TRUE(others.join(call_).ok());
    EXPECT_EQ(good, 10u);
    for (size_t i = 0; i < 20; i += 2) EXPECT_EQ(value(entity(digits(i)), "k"), "v");
  });
}

TEST_P(Conformance, a_queue_that_is_full_refuses_and_what_it_took_is_done) {
  run([&] {
    size_t done = 0, refused = 0;
    runtime::Nursery nursery(env().scheduler());
    for (size_t i = 0; i < 40; ++i) {
      nursery.spawn("caller", [&] {
        Call call = env().call();
        const std::vector<Commit> commits(1000, Commit{.entity = entity("e"), .mutations = {add("n", 1)}});
        const auto replies = store().commit_many(call, commits, Order::any);
        ASSERT_EQ(replies.size(), 1000u);
        for (const auto& reply : replies) {
          EXPECT_TRUE(reply.ok() || reply.code() == Code::overloaded);
          ++(reply.ok() ? done : refused);
        }
      });
    }
    ASSERT_TRUE(nursery.join(call_).ok());
    EXPECT_GT(done, 0u);
    // A server gives the engine its turn after each slice of calls: behind one the queue need not fill.
    const bool behind_a_server = GetParam().name.starts_with("remote");
    EXPECT_GE(refused, behind_a_server ? 0u : 1u);
    EXPECT_EQ(done + refused, 40'000u);
    EXPECT_EQ(value(entity("e"), "n"), number(done));
  });
}

// --- durability ----------------------------------------------------------------------------------------------------

TEST_P(Conformance, what_was_answered_is_there_after_reopening_and_the_incarnation_stays) {
  Header before;
  std::vector<Row> rows;
  for (int round = 0; round < 3; ++round) {
    run([&] {
      for (size_t i = 0; i < 50; ++i) {
        committed({.entity = entity("e", k_tracked), .mutations = {put(digits(i), std::to_string(round)), erase(digits(i + 1))}});
      }
      before = header(entity("e", k_tracked));
      rows = read({.entity = entity("e", k_tracked)}).rows;
    });
    reopen();
    run([&] {
      const ReadReply after = read({.entity = entity("e", k_tracked)});
      EXPECT_EQ(after.header.incarnation, before.incarnation);
      EXPECT_EQ(after.header.version, before.version);
      EXPECT_EQ(after.header.position, before.position);
      ASSERT_EQ(after.rows.size(), rows.size());
      for (size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(after.rows[i].key, rows[i].key);
        EXPECT_EQ(after.rows[i].value, rows[i].value);
        EXPECT_EQ(after.rows[i].version, rows[i].version);
      }
    });
  }
}

}  // namespace hongyan::store::conformance
