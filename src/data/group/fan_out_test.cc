// The fan-out: whatever fails, and whenever the process dies, each member's inbox ends with every row the member may see,
// once, in seq order.
#include "data/group/fan_out.h"

#include "api/client/group.rpc.pb.h"
#include "base/random.h"
#include "data/group/limits.h"
#include "model/priority.h"
#include "data/group/testing/world.h"

namespace hongyan::group {
namespace {

using namespace std::chrono_literals;

// What others wrote there, by the group's own log.
int64_t unread_of(World& w, uint64_t group, uint64_t uin, const std::vector<uint64_t>& visible) {
  Call call = w.env.call();
  int64_t unread = 0;
  for (uint64_t seq : visible) {
    const auto row = store::get_row(call, w.store.below(), group_entity(group), log_key(seq));
    EXPECT_TRUE(row.ok() && row->has_value());
    const client::Message message = message_of(group, **row).value();
    unread += message.sender() != uin && message.kind() == model::k_kind_text ? 1 : 0;
  }
  return unread;
}

void expect_served(World& w, uint64_t group, const std::vector<uint64_t>& uins) {
  const Loaded loaded = w.loaded(group);
  EXPECT_EQ(loaded.cursor, loaded.header.version);
  EXPECT_TRUE(loaded.behind.empty());
  EXPECT_TRUE(loaded.waiting.empty());
  for (uint64_t uin : uins) {
    const World::Inbox& inbox = w.inboxes[uin];
    const std::vector<uint64_t> visible = w.visible(loaded, uin);
    if (inbox.markers.empty()) {
      EXPECT_EQ(w.brought(uin), visible) << uin;
      continue;
    }
    // Each row came, or a marker stands for it; never both.
    std::vector<uint64_t> all = w.brought(uin);
    for (const World::MarkerTaken& taken : inbox.markers) {
      for (uint64_t seq : visible) {
        if (seq > taken.from && seq <= taken.marker.up_to()) all.push_back(seq);
      }
    }
    std::ranges::sort(all);
    EXPECT_EQ(all, visible) << uin;
    EXPECT_EQ(inbox.unread, unread_of(w, group, uin, visible)) << uin;
  }
}

TEST(FanOut, brings_every_row_to_every_member_once_in_order) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    ASSERT_EQ(w.send(k_bob, group, "a", "words"), Code::ok);
    ASSERT_TRUE(w.rename(k_ada, group, "new name").ok());
    ASSERT_TRUE(w.add(k_ada, group, {k_eve}).ok());
    w.drain();
    expect_served(w, group, {k_ada, k_bob, k_eve});
    EXPECT_EQ(w.brought(k_eve), std::vector<uint64_t>{4});
    const auto& rows = w.inboxes[k_ada].rows;
    ASSERT_EQ(rows.size(), 7u) << "three changes are a message and an event each";
    EXPECT_EQ(rows[2].message().content(), "words");
    EXPECT_EQ(rows[2].message().conversation().id(), group);
    EXPECT_EQ(rows[4].group().seq(), 3u);
    EXPECT_EQ(rows[4].group().state().name(), "new name");
    // While the workers wait, a new message goes out by itself.
    ASSERT_EQ(w.send(k_eve, group, "b"), Code::ok);
    w.sleep(10ms);
    EXPECT_FALSE(w.has_work());
    expect_served(w, group, {k_ada, k_bob, k_eve});
  });
}

TEST(FanOut, rows_that_are_brought_twice_cost_no_second_commit) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.drain();
    const int commits = w.store.commits;
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.sleep(1s);
    EXPECT_EQ(w.store.commits, commits + 2) << "the message and the cursor";
  });
}

// A death at any write of the group's store or of any inbox, before it or after it, then a new process.
TEST(FanOut, a_death_at_any_write_loses_and_doubles_nothing) {
  const std::vector<uint64_t> people{k_ada, k_bob, k_eve};
  for (const bool lost_answer : {false, true}) {
    int deaths = 0;
    for (int at = 1; at < 100; ++at) {
      bool dead = false;
      in_world([&](World& w) {
        const uint64_t group = w.made(k_ada, {k_bob, k_eve});
        for (int i = 0; i < 150; ++i) ASSERT_EQ(w.send(people[static_cast<size_t>(i) % 3], group, std::to_string(i)), Code::ok);
        int left = at;
        const auto die = [&](bool now) -> Status {
          if (now && !dead && --left == 0) { dead = true; }
          return dead ? Status(Code::unknown_outcome, "died") : Status();
        };
        w.store.before = [&](Call&, const store::Commit&) { return die(!lost_answer); };
        w.store.after = [&](const store::Commit&) { return die(lost_answer); };
        w.inbox_before = [&](Call&, uint64_t) { return die(!lost_answer); };
        w.inbox_after = [&](uint64_t) { return die(lost_answer); };
        w.start();
        w.sleep(50ms);
        const bool died = dead;
        w.restart();
        dead = false;
        left = -1;
        w.inbox_before = nullptr;
        w.inbox_after = nullptr;
        w.drain();
        expect_served(w, group, people);
        dead = died;
      });
      if (!dead) break;
      ++deaths;
    }
    EXPECT_EQ(deaths, 12) << "three rounds of three inboxes and a cursor";
  }
}

TEST(FanOut, a_member_whose_inbox_fails_holds_up_nobody_and_gets_everything_later) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    w.drain();
    w.failing = {k_eve};
    for (int i = 0; i < 200; ++i) {
      ASSERT_EQ(w.send(k_ada, group, std::to_string(i)), Code::ok);
      if (i % 50 == 0) w.sleep(20s);  // The one who fails has been waited for long by now.
    }
    w.sleep(10ms);
    EXPECT_EQ(w.brought(k_bob).size(), 201u) << "at once, however long the other fails";
    EXPECT_EQ(w.brought(k_eve).size(), 1u);
    EXPECT_EQ(w.loaded(group).cursor, 201u);
    EXPECT_EQ(w.loaded(group).behind, (std::map<uint64_t, uint64_t>{{k_eve, 1}}));
    EXPECT_LT(w.inboxes[k_eve].refused, 40) << "tried again with growing waits";
    w.failing.clear();
    w.drain();
    expect_served(w, group, {k_ada, k_bob, k_eve});
    const int refused = w.inboxes[k_eve].refused;
    ASSERT_EQ(w.send(k_ada, group, "last"), Code::ok);
    w.sleep(10ms);
    expect_served(w, group, {k_ada, k_bob, k_eve});
    EXPECT_EQ(w.inboxes[k_eve].refused, refused);
  });
}

TEST(FanOut, who_fails_from_the_first_row_on_is_written_down_too) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    w.failing = {k_eve};
    w.start();
    w.sleep(10ms);
    EXPECT_EQ(w.loaded(group).behind, (std::map<uint64_t, uint64_t>{{k_eve, 0}}));
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.failing.clear();
    w.drain();
    expect_served(w, group, {k_ada, k_bob, k_eve});
  });
}

TEST(FanOut, who_falls_behind_while_another_is_caught_up_is_not_forgotten) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    w.drain();
    w.failing = {k_eve};
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.sleep(10ms);
    ASSERT_EQ(w.loaded(group).behind.size(), 1u);
    bool first = true;
    w.store.before = [&](Call& call, const store::Commit& commit) -> Status {
      const bool done = commit.work_done && commit.work_done->tag == model::k_work_fan_out_behind;
      if (!done || !std::exchange(first, false)) return {};
      store::Commit rival{.entity = commit.entity, .visibility = store::Visibility::silent};  // As run() writes it.
      rival.mutations = {store::add(behind_writes_key(), 1), store::raise(behind_key(k_bob), 1)};
      rival.mark_work = model::k_work_fan_out_behind;
      EXPECT_TRUE(w.store.below().commit(call, std::move(rival))->committed);
      return {};
    };
    w.failing.clear();
    w.drain();
    EXPECT_FALSE(first);
    expect_served(w, group, {k_ada, k_bob, k_eve});
  });
}

TEST(FanOut, a_member_whose_inbox_hangs_holds_up_the_others_only_once) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    w.drain();
    w.hanging = {k_bob};
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.sleep(10ms);
    EXPECT_EQ(w.brought(k_eve).size(), 2u) << "this round is theirs already";
    w.sleep(4s);
    ASSERT_EQ(w.send(k_ada, group, "b"), Code::ok);
    w.sleep(10ms);
    EXPECT_EQ(w.brought(k_eve).size(), 3u);
    w.hanging.clear();
    w.drain();
    expect_served(w, group, {k_ada, k_bob, k_eve});
  });
}

TEST(FanOut, where_all_inboxes_fail_nobody_is_written_down) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.failing = {k_ada, k_bob};
    w.start();
    w.sleep(5s);
    EXPECT_TRUE(w.loaded(group).behind.empty());
    EXPECT_EQ(w.loaded(group).cursor, 0u);
    w.failing.clear();
    w.drain();
    expect_served(w, group, {k_ada, k_bob});
  });
}

TEST(FanOut, who_leaves_meanwhile_gets_what_was_said_until_then_and_no_more) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    for (int i = 0; i < 100; ++i) ASSERT_EQ(w.send(k_ada, group, std::to_string(i)), Code::ok);
    bool first = true;
    w.inbox_before = [&](Call&, uint64_t) -> Status {
      if (!std::exchange(first, false)) return {};
      EXPECT_TRUE(w.remove(k_ada, group, {k_bob}).ok());
      EXPECT_EQ(w.send(k_ada, group, "between us"), Code::ok);
      return {};
    };
    w.drain();
    expect_served(w, group, {k_ada, k_bob, k_eve});
    EXPECT_EQ(w.brought(k_bob).back(), 102u) << "the row that says so";
    EXPECT_EQ(w.brought(k_eve).back(), 103u);
  });
}

TEST(FanOut, who_comes_or_goes_between_reading_the_members_and_the_log_is_served_right) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.drain();
    bool first = true;
    w.store.before_read = [&](Call&, const store::Read& read) -> Status {
      if (!read.from.starts_with('L') || !std::exchange(first, false)) return {};
      EXPECT_TRUE(w.add(k_ada, group, {k_eve}).ok());
      EXPECT_TRUE(w.leave(k_bob, group).ok());
      EXPECT_EQ(w.send(k_eve, group, "hello"), Code::ok);
      return {};
    };
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.drain();
    EXPECT_FALSE(first);
    expect_served(w, group, {k_ada, k_bob, k_eve});
    EXPECT_EQ(w.brought(k_eve), (std::vector<uint64_t>{3, 4, 5}));
    EXPECT_EQ(w.brought(k_bob), (std::vector<uint64_t>{1, 2, 3, 4}));
  });
}

TEST(FanOut, serves_500_members_over_many_rounds) {
  in_world([](World& w) {
    std::vector<uint64_t> people;
    for (uint64_t i = 0; i < 499; ++i) people.push_back(20'000 + i);
    const uint64_t group = w.made(k_ada, people);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(w.send(k_ada, group, "s" + std::to_string(i)), Code::ok);
    for (int i = 0; i < 18; ++i) ASSERT_EQ(w.send(k_ada, group, "l" + std::to_string(i), std::string(32'000, 'x')), Code::ok);
    w.drain();
    people.push_back(k_ada);
    expect_served(w, group, people);
    EXPECT_GE(w.env.counters().counter("hongyan_group_fan_out_rounds", "").value(), 4) << "64 rows, 192 KiB";
  }, 1, {.row_members_max = 500});
}

TEST(FanOut, who_mutes_the_group_gets_one_marker_in_five_seconds_and_the_last_one_too) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob, k_eve});
    w.drain();
    w.muted = {k_eve};
    const int64_t start_ms = w.env.utc_ms();
    for (int i = 0; i < 120; ++i) {  // Twelve seconds of talk.
      ASSERT_EQ(w.send(i % 4 == 0 ? k_eve : k_ada, group, std::to_string(i)), Code::ok);
      w.sleep(100ms);
    }
    EXPECT_EQ(w.brought(k_bob).size(), 121u) << "the others wait for nothing";
    EXPECT_EQ(w.inboxes[k_eve].markers.size(), 3u);
    w.sleep(6s);  // Silence.
    const auto& markers = w.inboxes[k_eve].markers;
    ASSERT_EQ(markers.size(), 4u);
    EXPECT_LT(markers[0].at_ms - start_ms, 200) << "the first does not wait";
    for (size_t i = 1; i < markers.size(); ++i) EXPECT_GE(markers[i].at_ms - markers[i - 1].at_ms, 5'000);
    EXPECT_EQ(markers.back().marker.up_to(), 121u);
    EXPECT_EQ(markers.back().marker.last().position(), 121u);
    EXPECT_FALSE(w.has_work());
    expect_served(w, group, {k_ada, k_bob, k_eve});
    EXPECT_EQ(w.inboxes[k_eve].unread, 90);

    w.muted.clear();
    ASSERT_EQ(w.send(k_ada, group, "again"), Code::ok);
    w.sleep(10ms);
    EXPECT_EQ(w.brought(k_eve).back(), 122u) << "rows again, at once";
    expect_served(w, group, {k_ada, k_bob, k_eve});
  });
}

TEST(FanOut, a_marker_that_waits_outlives_the_process) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.drain();
    w.muted = {k_bob};
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.sleep(100ms);
    ASSERT_EQ(w.send(k_ada, group, "b"), Code::ok);
    w.sleep(100ms);
    ASSERT_EQ(w.inboxes[k_bob].last_seq, 2u);
    w.restart();
    w.drain();
    expect_served(w, group, {k_ada, k_bob});
    const auto& markers = w.inboxes[k_bob].markers;
    ASSERT_EQ(markers.size(), 2u);
    EXPECT_GE(markers[1].at_ms - markers[0].at_ms, 5'000) << "also across a restart";
  });
}

TEST(FanOut, a_large_group_is_served_by_markers_alone) {
  in_world([](World& w) {
    std::vector<uint64_t> people;
    for (uint64_t i = 0; i < 100; ++i) people.push_back(20'000 + i);
    const uint64_t group = w.made(k_ada, people);
    for (int i = 0; i < 70; ++i) ASSERT_EQ(w.send(people[static_cast<size_t>(i) % 2], group, std::to_string(i)), Code::ok);
    w.drain();
    people.push_back(k_ada);
    expect_served(w, group, people);
    const int64_t commits = w.store.commits;
    for (int i = 0; i < 50; ++i) ASSERT_EQ(w.send(people[0], group, "l" + std::to_string(i)), Code::ok);
    w.drain();
    EXPECT_LE(w.store.commits - commits, 52) << "its own rows, and a cursor a round of markers";
    expect_served(w, group, people);
    for (uint64_t uin : people) {
      EXPECT_TRUE(w.inboxes[uin].rows.empty()) << uin;
      EXPECT_LE(w.inboxes[uin].markers.size(), 3u) << uin;
    }
    EXPECT_EQ(w.inboxes[people[0]].unread, 35);
    EXPECT_EQ(w.inboxes[people[5]].unread, 120);
    ASSERT_TRUE(w.rename(k_ada, group, "another").ok());
    ASSERT_TRUE(w.remove(k_ada, group, {people[1]}).ok());  // 100 members are left: rows again.
    ASSERT_EQ(w.send(k_ada, group, "small"), Code::ok);
    w.drain();
    expect_served(w, group, people);
    EXPECT_EQ(w.brought(people[0]).back(), 124u);
    EXPECT_EQ(w.inboxes[people[1]].last_seq, 123u) << "the row that says so";
  });
}

TEST(FanOut, markers_bring_the_newest_event_and_who_is_mentioned) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.drain();
    w.muted = {k_bob};
    client::Message called = World::text(group, "a");
    called.add_mentions(k_bob);
    client::Message unlisted = World::text(group, "b");
    unlisted.set_flags(model::k_flag_no_list);
    ASSERT_TRUE(w.append(k_ada, group, {called, unlisted}).ok());
    ASSERT_TRUE(w.rename(k_ada, group, "new").ok());
    ASSERT_TRUE(w.append(k_ada, group, {World::text(group, "c"), World::text(group, "d")}).ok());
    w.drain();
    const auto& markers = w.inboxes[k_bob].markers;
    ASSERT_FALSE(markers.empty());
    std::vector<uint64_t> mentions;
    for (const auto& taken : markers) mentions.insert(mentions.end(), taken.marker.mentions().begin(), taken.marker.mentions().end());
    EXPECT_EQ(mentions, std::vector<uint64_t>{2});
    std::string name;
    for (const auto& taken : markers) {
      if (taken.marker.has_event()) name = taken.marker.event().state().name();
    }
    EXPECT_EQ(name, "new");
    expect_served(w, group, {k_ada, k_bob});
  });
}

TEST(FanOut, has_the_priority_of_group_sends_and_rises_when_its_backlog_is_old) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    w.start();
    w.sleep(10ms);
    w.failing = {k_ada, k_bob};
    ASSERT_EQ(w.send(k_ada, group, "a"), Code::ok);
    w.sleep(29s);
    w.failing.clear();
    ASSERT_EQ(w.inboxes[k_bob].priorities.size(), 1u) << "only what was taken";
    EXPECT_EQ(w.inboxes[k_bob].priorities[0], model::k_priority_group_send);
    w.drain();
    w.failing = {k_ada, k_bob};
    ASSERT_EQ(w.send(k_ada, group, "b"), Code::ok);
    w.sleep(31s);
    w.failing.clear();
    w.drain();
    expect_served(w, group, {k_ada, k_bob});
    EXPECT_EQ(w.inboxes[k_bob].priorities.back(), model::k_priority_login);
    EXPECT_GE(w.env.counters().counter("hongyan_group_fan_out_raised", "").value(), 1);
  });
}

TEST(FanOut, the_priority_of_group_sends_is_that_of_their_command) {
  const client::GroupChatFake service;
  size_t found = 0;
  for (const rpc::MethodInfo& method : service.methods()) {
    if (method.command_path != "group/send") continue;
    ++found;
    EXPECT_EQ(method.priority, model::k_priority_group_send);
  }
  EXPECT_EQ(found, 1u);
}

// Random people come, go, mute and talk in small and large groups while inboxes fail, hang and recover and the process dies; in the end all is healed.
TEST(FanOut, random_troubles_end_with_every_row_once_in_order) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    in_world([&](World& w) {
      Random random(seed);
      std::vector<uint64_t> people;
      for (uint64_t i = 0; i < 6; ++i) people.push_back(k_ada + i);
      const uint64_t group = w.made(k_ada, {k_bob, k_eve});
      w.start();
      for (int step = 0; step < 60; ++step) {
        const uint64_t one = people[random.below(people.size())];
        switch (random.below(10)) {
          case 0: (void)w.add(k_ada, group, {one}).ok(); break;
          case 1: if (one != k_ada) (void)w.leave(one, group).ok(); break;
          case 2: w.failing.insert(one); break;
          case 3: w.hanging.insert(one); break;
          case 4: w.failing.erase(one); w.hanging.erase(one); break;
          case 7: if (!w.muted.erase(one)) w.muted.insert(one); break;
          case 5: w.sleep(std::chrono::milliseconds(random.below(5'000))); break;
          case 6:
            if (random.below(4) == 0) {
              w.restart();
              w.start();
            }
            break;
          default: (void)w.send(one, group, std::to_string(step)); w.sleep(std::chrono::milliseconds(random.below(3))); break;
        }
      }
      w.failing.clear();
      w.hanging.clear();
      w.drain();
      expect_served(w, group, people);
    }, seed, {.row_members_max = seed % 3 == 0 ? size_t{3} : size_t{100}});
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "seed " << seed;
      return;
    }
  }
}

}  // namespace
}  // namespace hongyan::group
