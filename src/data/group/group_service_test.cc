// Groups behind their guard on a real engine: who may do what, what a repeated, raced or interrupted request does, what
// each member may read. "Crash" is a store that fails at a chosen commit and a new service on the reopened data.
#include "data/group/group_service.h"

#include "data/group/limits.h"
#include "data/group/testing/world.h"

namespace hongyan::group {
namespace {

using model::ErrorCode;
using namespace std::chrono_literals;

std::vector<uint64_t> people_of(const client::Group& group) {
  std::vector<uint64_t> uins;
  for (const client::GroupMember& member : group.members()) uins.push_back(member.uin());
  return uins;
}

TEST(Group, create_makes_an_owner_members_and_the_first_row_of_the_log) {
  in_world([](World& w) {
    const auto made = w.create(k_ada, {k_bob, k_eve});
    ASSERT_TRUE(made.ok()) << made.status().detail();
    const client::Group& group = made->group();
    EXPECT_TRUE(model::is_group(group.id()));
    EXPECT_EQ(group.name(), "friends");
    EXPECT_EQ(group.owner(), k_ada);
    EXPECT_EQ(group.member_count(), 3u);
    EXPECT_NE(group.avatar_color(), 0u);
    EXPECT_EQ(group.version(), 1u);
    EXPECT_EQ(people_of(group), (std::vector<uint64_t>{k_ada, k_bob, k_eve}));
    EXPECT_EQ(group.members(0).role(), 1u);
    EXPECT_EQ(group.members(1).role(), 3u);
    EXPECT_TRUE(w.has_work());
    const auto log = w.history(k_bob, group.id());
    ASSERT_EQ(log->messages_size(), 1);
    EXPECT_EQ(log->messages(0).kind(), model::k_kind_system);
    client::SystemContent content;
    ASSERT_TRUE(content.ParseFromString(log->messages(0).content()));
    EXPECT_EQ(content.template_(), "group.created");
    EXPECT_EQ(content.args_size(), 4);
  });
}

TEST(Group, create_is_idempotent_by_client_group_id_of_one_person) {
  in_world([](World& w) {
    const uint64_t id = w.create(k_ada, {k_bob})->group().id();
    const auto again = w.create(k_ada, {k_bob, k_eve}, "first", "another name");
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->group().id(), id);
    EXPECT_EQ(again->group().name(), "friends");
    EXPECT_EQ(again->group().member_count(), 2u);
    EXPECT_NE(w.create(k_ada, {k_bob}, "second")->group().id(), id);
    EXPECT_NE(w.create(k_bob, {k_ada}, "first")->group().id(), id);
    ASSERT_TRUE(w.leave(k_ada, id).ok());
    EXPECT_EQ(w.create(k_ada, {k_bob}).code(), code(ErrorCode::not_member)) << "who left does not see it by asking again";
  });
}

TEST(Group, create_interrupted_at_any_commit_and_repeated_makes_one_group) {
  for (const bool lost_answer : {false, true}) {
    int deaths = 0;
    for (int at = 1; at < 10; ++at) {
      in_world([&](World& w) {
        bool dead = false;
        int left = at;
        const auto die = [&]() -> Status {
          if (!dead && --left == 0) dead = true;
          return dead ? Status(Code::unknown_outcome, "died") : Status();
        };
        if (lost_answer) w.store.after = [&](const store::Commit&) { return die(); };
        else w.store.before = [&](Call&, const store::Commit&) { return die(); };
        const auto first = w.create(k_ada, {k_bob});
        EXPECT_EQ(first.ok(), !dead);
        deaths += dead ? 1 : 0;
        w.restart();
        const auto made = w.create(k_ada, {k_bob});
        ASSERT_TRUE(made.ok());
        EXPECT_EQ(made->group().version(), 1u);
        EXPECT_EQ(w.create(k_ada, {k_bob})->group().id(), made->group().id());
        Call call = w.env.call();
        EXPECT_EQ(w.store.below().scan_work(call, model::k_work_fan_out, nullptr, 10)->size(), 1u);
      });
    }
    EXPECT_EQ(deaths, 2) << "the attempt and the group";
  }
}

TEST(Group, two_equal_creates_at_once_make_one_group) {
  in_world([](World& w) {
    uint64_t ids[2] = {};
    int waiting = 0;
    w.store.before = [&](Call& call, const store::Commit& commit) -> Status {
      if (commit.entity.table != model::k_table_group_attempt) return {};
      ++waiting;
      while (waiting < 2) TRY(runtime::sleep(call, 1ms));
      return {};
    };
    runtime::Nursery both(w.env.scheduler());
    for (int i : {0, 1}) both.spawn("create", [&, i] { ids[i] = w.create(k_ada, {k_bob})->group().id(); });
    Call call = w.env.call();
    ASSERT_TRUE(both.join(call).ok());
    EXPECT_NE(ids[0], 0u);
    EXPECT_EQ(ids[0], ids[1]);
  });
}

TEST(Group, ids_are_leased_in_blocks_and_never_shared) {
  in_world([](World& w) {
    std::set<uint64_t> ids;
    for (int i = 0; i < 40; ++i) ids.insert(w.create(k_ada, {}, std::to_string(i))->group().id());
    EXPECT_EQ(ids.size(), 40u);
    EXPECT_EQ(w.leases, 3);
    w.restart();  // The rest of the block is skipped.
    w.lease_hook = [](Call& call) { return runtime::sleep(call, 10ms); };
    runtime::Nursery many(w.env.scheduler());
    for (int i = 0; i < 40; ++i) {
      many.spawn("create", [&w, &ids, i] { ids.insert(w.create(k_bob, {}, std::to_string(i))->group().id()); });
    }
    Call call = w.env.call();
    ASSERT_TRUE(many.join(call).ok());
    EXPECT_EQ(ids.size(), 80u);
  });
}

TEST(Group, a_lease_that_fails_or_is_no_lease_of_groups_is_passed_on) {
  in_world([](World& w) {
    w.lease_hook = [](Call&) { return Status(Code::unavailable, "no account service"); };
    EXPECT_EQ(w.create(k_ada, {}).code(), Code::unavailable);
    w.lease_hook = nullptr;
    w.next_id = model::k_group_bit;  // The bit overflows into a user's id.
    EXPECT_EQ(w.create(k_ada, {}).code(), Code::internal);
    w.next_id = 7;
    EXPECT_TRUE(w.create(k_ada, {}).ok()) << "nothing of the bad lease is kept";
  });
}

TEST(Group, bad_names_and_ids_are_refused) {
  in_world([](World& w) {
    EXPECT_EQ(w.create(k_ada, {}, "").code(), Code::invalid);
    EXPECT_EQ(w.create(k_ada, {}, std::string(65, 'x')).code(), Code::invalid);
    EXPECT_EQ(w.create(k_ada, {}, "a", "").code(), Code::invalid);
    EXPECT_EQ(w.create(k_ada, {}, "a", "turn\xe2\x80\xae around").code(), Code::invalid);
    EXPECT_EQ(w.create(k_ada, {}, "a", std::string(129, 'x')).code(), Code::too_large);
    const uint64_t group = w.made(k_ada, {k_bob});
    EXPECT_EQ(w.rename(k_ada, group, "\n").code(), Code::invalid);
    EXPECT_EQ(w.remove(k_ada, group, {}).code(), Code::invalid);
    EXPECT_EQ(w.get(k_ada, group + 1).code(), Code::not_found);
    EXPECT_EQ(w.rename(k_ada, group + 1, "x").code(), Code::not_found);
  });
}

TEST(Group, nobody_is_invited_without_contacts_word_for_it) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {});
    const auto try_grant = [&](const std::string& grant) {
      internal::AddMembersRequest add;
      add.set_uin(k_ada);
      add.set_group(group);
      add.add_members(k_bob);
      add.add_grants(grant);
      internal::CreateGroupRequest create;
      create.set_uin(k_ada);
      create.set_client_group_id("x");
      create.set_name("x");
      create.add_members(k_bob);
      create.add_grants(grant);
      Call call = w.user(k_ada);
      const Code added = w.client->add_members(call, add).code();
      EXPECT_EQ(w.client->create(call, create).code(), added);
      return added;
    };
    const rpc::Grant good{.issuer = "contact", .actor = k_ada, .object = k_bob, .right = "invite", .expires_ms = w.env.utc_ms() + 60'000};
    const auto other = [&](const std::function<void(rpc::Grant&)>& change, char key = 'c') {
      rpc::Grant grant = good;
      change(grant);
      return rpc::make_grant(ring_of(key), grant);
    };
    EXPECT_EQ(try_grant(""), Code::unauthenticated);
    EXPECT_EQ(try_grant(other([](auto&) {}, 'x')), Code::unauthenticated);
    EXPECT_EQ(try_grant(other([&](auto& g) { g.expires_ms = w.env.utc_ms(); })), Code::unauthenticated);
    EXPECT_EQ(try_grant(other([](auto& g) { g.actor = k_eve; })), Code::forbidden);
    EXPECT_EQ(try_grant(other([](auto& g) { g.object = k_eve; })), Code::forbidden);
    EXPECT_EQ(try_grant(other([](auto& g) { g.right = "write"; })), Code::forbidden);
    EXPECT_EQ(try_grant(other([](auto& g) { g.issuer = "group"; })), Code::forbidden);
    EXPECT_EQ(try_grant(other([](auto& g) { g.job = true; })), Code::forbidden);
    internal::AddMembersRequest bare;
    bare.set_uin(k_ada);
    bare.set_group(group);
    bare.add_members(k_bob);
    Call call = w.user(k_ada);
    EXPECT_EQ(w.client->add_members(call, bare).code(), Code::invalid);
    EXPECT_EQ(w.loaded(group).header.version, 1u);
    EXPECT_EQ(try_grant(other([](auto&) {})), Code::ok);
  });
}

TEST(Group, who_is_not_in_it_may_do_nothing) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    EXPECT_EQ(w.get(k_eve, group).code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.rename(k_eve, group, "mine").code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.add(k_eve, group, {k_eve}).code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.remove(k_eve, group, {k_ada}).code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.leave(k_eve, group).code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.send(k_eve, group, "a"), code(ErrorCode::not_member));
    EXPECT_EQ(w.send(k_eve, group + 9, "a"), code(ErrorCode::not_member));
    EXPECT_EQ(w.history(k_eve, group).code(), code(ErrorCode::not_member));
    Call call = w.user(k_eve);
    internal::GetGroupRequest as_another;
    as_another.set_uin(k_ada);
    as_another.set_group(group);
    EXPECT_EQ(w.client->get(call, as_another).code(), Code::forbidden);
    EXPECT_EQ(w.loaded(group).header.version, 1u);
  });
}

TEST(Group, every_member_adds_only_the_owner_and_admins_rename_and_remove) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    EXPECT_EQ(w.rename(k_bob, group, "bob's").code(), Code::forbidden);
    EXPECT_EQ(w.rename(k_ada, group, "bob's")->group().name(), "bob's");
    const uint64_t version = w.loaded(group).header.version;
    EXPECT_EQ(w.rename(k_ada, group, "bob's")->group().version(), version) << "it has that name: no row for it";
    const auto added = w.add(k_bob, group, {k_eve, k_eve});
    ASSERT_TRUE(added.ok());
    EXPECT_EQ(added->group().member_count(), 3u);
    EXPECT_EQ(w.add(k_bob, group, {k_eve})->group().version(), added->group().version()) << "in already: no row for it";
    EXPECT_EQ(w.remove(k_bob, group, {k_eve}).code(), Code::forbidden);
    EXPECT_EQ(w.remove(k_ada, group, {k_ada, k_bob}).code(), code(ErrorCode::owner_must_stay));
    const auto removed = w.remove(k_ada, group, {k_eve, k_eve});
    ASSERT_TRUE(removed.ok());
    EXPECT_EQ(removed->group().member_count(), 2u);
    EXPECT_EQ(people_of(removed->group()), (std::vector<uint64_t>{k_ada, k_bob}));
    EXPECT_EQ(w.remove(k_ada, group, {k_eve})->group().version(), removed->group().version());
    EXPECT_EQ(w.get(k_eve, group).code(), code(ErrorCode::not_member));
  });
}

TEST(Group, the_owner_who_leaves_hands_over_to_who_is_longest_in_and_the_last_one_dissolves) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_eve});
    w.sleep(1s);
    ASSERT_TRUE(w.add(k_ada, group, {k_bob}).ok());
    ASSERT_TRUE(w.leave(k_ada, group).ok());
    EXPECT_EQ(w.get(k_bob, group)->group().owner(), k_eve) << "in longer than Bob, whose number is smaller";
    EXPECT_TRUE(w.leave(k_ada, group).ok()) << "asked again because the answer was lost";
    EXPECT_EQ(w.loaded(group).info.member_count(), 2u);
    ASSERT_TRUE(w.add(k_bob, group, {k_ada}).ok());
    EXPECT_EQ(w.remove(k_ada, group, {k_bob}).code(), Code::forbidden) << "an owner who left and came back is a member";
    ASSERT_TRUE(w.leave(k_ada, group).ok());
    ASSERT_TRUE(w.leave(k_eve, group).ok());
    EXPECT_EQ(w.get(k_bob, group)->group().owner(), k_bob);
    const auto last = w.leave(k_bob, group);
    ASSERT_TRUE(last.ok());
    EXPECT_TRUE(last->group().dissolved());
    EXPECT_EQ(last->group().member_count(), 0u);
    EXPECT_EQ(w.add(k_bob, group, {k_ada}).code(), code(ErrorCode::not_member));
    EXPECT_EQ(w.send(k_bob, group, "anyone?"), code(ErrorCode::not_member));
  });
}

TEST(Group, the_owner_appoints_admins_who_rename_and_remove_ordinary_members) {
  in_world([](World& w) {
    const uint64_t cat = k_eve + 1;
    const uint64_t group = w.made(k_ada, {k_bob, k_eve, cat});
    EXPECT_EQ(w.set_admins(k_bob, group, {k_bob}).code(), Code::forbidden);
    EXPECT_EQ(w.set_admins(k_ada, group, {k_ada}).code(), Code::invalid);
    EXPECT_EQ(w.set_admins(k_ada, group, {}).code(), Code::invalid);
    EXPECT_EQ(w.set_admins(k_ada, group, {k_eve + 9}).code(), Code::not_found);
    EXPECT_EQ(w.set_admins(k_eve + 9, group, {k_bob}).code(), code(ErrorCode::not_member));
    const auto appointed = w.set_admins(k_ada, group, {k_bob, k_eve, k_eve});
    ASSERT_TRUE(appointed.ok());
    EXPECT_EQ(appointed->group().members(1).role(), 2u);
    EXPECT_EQ(appointed->group().members(2).role(), 2u);
    EXPECT_EQ(w.set_admins(k_ada, group, {k_bob})->group().version(), appointed->group().version()) << "so already: no row for it";
    client::SystemContent content;
    ASSERT_TRUE(content.ParseFromString(w.history(cat, group)->messages(0).content()));
    EXPECT_EQ(content.template_(), "group.admin_added");

    EXPECT_TRUE(w.rename(k_bob, group, "bob's").ok());
    client::Message all = World::text(group, "all");
    all.set_mention_scope(1);
    EXPECT_TRUE(w.append(k_bob, group, {all}).ok());
    EXPECT_EQ(w.set_admins(k_bob, group, {cat}).code(), Code::forbidden);
    EXPECT_EQ(w.remove(k_bob, group, {k_eve}).code(), Code::forbidden) << "another admin";
    EXPECT_EQ(w.remove(k_bob, group, {k_ada}).code(), code(ErrorCode::owner_must_stay));
    EXPECT_TRUE(w.remove(k_bob, group, {cat}).ok());

    EXPECT_EQ(w.set_admins(k_ada, group, {k_bob}, false)->group().members(1).role(), 3u);
    EXPECT_EQ(w.rename(k_bob, group, "again").code(), Code::forbidden);
    ASSERT_TRUE(w.leave(k_ada, group).ok());
    EXPECT_EQ(w.get(k_bob, group)->group().owner(), k_eve) << "the admin";
    ASSERT_TRUE(w.set_admins(k_eve, group, {k_bob}).ok());
    ASSERT_TRUE(w.leave(k_bob, group).ok());
    ASSERT_TRUE(w.add(k_eve, group, {k_bob}).ok());
    EXPECT_EQ(w.rename(k_bob, group, "back").code(), Code::forbidden) << "an admin who left and came back is a member";
  });
}

TEST(Group, takes_500_members_and_not_one_more) {
  in_world([](World& w) {
    std::vector<uint64_t> many;
    for (uint64_t i = 0; i < model::k_group_members_max; ++i) many.push_back(20'000 + i);
    EXPECT_EQ(w.create(k_ada, many).code(), code(ErrorCode::group_full));
    many.pop_back();
    const auto full = w.create(k_ada, many, "fits");
    ASSERT_TRUE(full.ok()) << full.status().detail();
    EXPECT_EQ(full->group().members_size(), 500);
    EXPECT_EQ(w.add(k_ada, full->group().id(), {k_bob}).code(), code(ErrorCode::group_full));
    ASSERT_TRUE(w.remove(k_ada, full->group().id(), {many[0]}).ok());
    EXPECT_TRUE(w.add(k_ada, full->group().id(), {k_bob}).ok());
  });
}

TEST(Group, who_comes_and_goes_for_ever_is_stopped) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    for (int i = 1; i < k_spans_max; ++i) {
      ASSERT_TRUE(w.leave(k_bob, group).ok());
      ASSERT_TRUE(w.add(k_ada, group, {k_bob}).ok());
    }
    ASSERT_TRUE(w.leave(k_bob, group).ok());
    EXPECT_EQ(w.add(k_ada, group, {k_bob}).code(), Code::too_large);
  });
}

TEST(Group, changes_that_race_are_decided_again_and_lose_only_against_endless_rivals) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    bool first = true;
    w.store.before = [&](Call&, const store::Commit& commit) -> Status {
      if (commit.visibility == store::Visibility::silent || !std::exchange(first, false)) return {};
      EXPECT_TRUE(w.add(k_ada, group, {k_eve}).ok());
      return {};
    };
    const auto renamed = w.rename(k_ada, group, "both");
    ASSERT_TRUE(renamed.ok());
    EXPECT_EQ(renamed->group().name(), "both");
    EXPECT_EQ(renamed->group().member_count(), 3u);
    int rivals = 0;
    bool mine = true;
    w.store.before = [&](Call&, const store::Commit&) -> Status {
      if (!mine) return {};
      mine = false;
      EXPECT_EQ(w.send(k_ada, group, "rival " + std::to_string(rivals++)), Code::ok);
      mine = true;
      return {};
    };
    EXPECT_EQ(w.rename(k_ada, group, "never").code(), Code::conflict);
    EXPECT_EQ(rivals, k_tries_max);
  });
}

TEST(Group, a_group_read_while_it_changes_is_one_version_of_it) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    bool first = true;
    w.store.before_read = [&](Call&, const store::Read& read) -> Status {
      if (read.from != "M" || !std::exchange(first, false)) return {};
      EXPECT_TRUE(w.add(k_ada, group, {k_eve}).ok());
      return {};
    };
    const auto got = w.get(k_ada, group);
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->group().member_count(), static_cast<uint32_t>(got->group().members_size()));
  });
}

TEST(Group, messages_get_dense_seqs_and_a_resend_gets_its_first) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    const auto sent = w.append(k_bob, group, {World::text(group, "a"), World::text(group, "b"), World::text(group, "c")});
    ASSERT_TRUE(sent.ok());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(sent->appended(i).seq(), 2u + static_cast<uint64_t>(i));
    w.sleep(5s);
    const auto again = w.append(k_bob, group, {World::text(group, "b")});
    EXPECT_TRUE(again->appended(0).duplicate());
    EXPECT_EQ(again->appended(0).seq(), 3u);
    EXPECT_EQ(again->appended(0).key(), sent->appended(1).key());
    EXPECT_EQ(again->appended(0).server_time_ms(), sent->appended(1).server_time_ms());
    EXPECT_EQ(w.send(k_bob, group, "b", "other words"), code(ErrorCode::client_msg_id_reused));
    EXPECT_EQ(w.send(k_ada, group, "b", "other words"), Code::ok) << "ids are each sender's own";
    EXPECT_EQ(w.loaded(group).header.version, 5u);
    w.restart();
    EXPECT_EQ(w.append(k_bob, group, {World::text(group, "a")})->appended(0).seq(), 2u);
  });
}

TEST(Group, a_batch_stops_at_its_first_failure) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    ASSERT_EQ(w.send(k_bob, group, "used"), Code::ok);
    const auto sent = w.append(k_bob, group, {World::text(group, "a"), World::text(group, "used", "other"), World::text(group, "c")});
    ASSERT_TRUE(sent.ok());
    ASSERT_EQ(sent->appended_size(), 2);
    EXPECT_EQ(sent->appended(0).code(), 0u);
    EXPECT_EQ(sent->appended(1).code(), static_cast<uint32_t>(ErrorCode::client_msg_id_reused));
    EXPECT_EQ(w.loaded(group).header.version, 3u);
    EXPECT_EQ(w.append(k_bob, group, std::vector(17, World::text(group, "x"))).code(), Code::too_large);
  });
}

TEST(Group, a_batch_goes_on_behind_messages_that_are_there_already) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    ASSERT_TRUE(w.append(k_bob, group, {World::text(group, "a"), World::text(group, "c")}).ok());
    const auto sent = w.append(k_bob, group, {World::text(group, "a"), World::text(group, "b"), World::text(group, "b"),
                                              World::text(group, "c"), World::text(group, "d")});
    ASSERT_TRUE(sent.ok());
    std::vector<uint64_t> seqs;
    for (const internal::GroupAppended& one : sent->appended()) seqs.push_back(one.seq());
    EXPECT_EQ(seqs, (std::vector<uint64_t>{2, 4, 4, 3, 5}));
    EXPECT_TRUE(sent->appended(2).duplicate());
    EXPECT_EQ(w.loaded(group).header.version, 5u);
  });
}

TEST(Group, a_batch_is_one_write_and_survives_a_change_of_its_sender_in_order) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    std::vector<client::Message> batch;
    for (int i = 0; i < 16; ++i) batch.push_back(World::text(group, std::to_string(i)));
    const int batches = w.store.batches;
    ASSERT_TRUE(w.append(k_ada, group, batch).ok());
    EXPECT_EQ(w.store.batches, batches + 1);
    bool first = true;
    w.store.before = [&](Call&, const store::Commit&) -> Status {
      if (std::exchange(first, false)) { EXPECT_TRUE(w.set_admins(k_ada, group, {k_bob}).ok()); }
      return {};
    };
    const auto sent = w.append(k_bob, group, batch);
    ASSERT_TRUE(sent.ok()) << sent.status().detail();
    ASSERT_EQ(sent->appended_size(), 16);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(sent->appended(i).seq(), 19u + static_cast<uint64_t>(i));
  });
}

TEST(Group, an_append_interrupted_and_sent_again_is_stored_once) {
  for (const bool lost_answer : {false, true}) {
    in_world([&](World& w) {
      const uint64_t group = w.made(k_ada, {k_bob});
      const auto die = [] { return Status(Code::unknown_outcome, "died"); };
      if (lost_answer) w.store.after = [&](const store::Commit&) { return die(); };
      else w.store.before = [&](Call&, const store::Commit&) { return die(); };
      EXPECT_EQ(w.send(k_bob, group, "a"), Code::unknown_outcome);
      w.restart();
      EXPECT_EQ(w.send(k_bob, group, "a"), Code::ok);
      EXPECT_EQ(w.loaded(group).header.version, 2u);
    });
  }
}

TEST(Group, a_removal_between_check_and_commit_keeps_the_message_out) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    bool first = true;
    w.store.before = [&](Call&, const store::Commit&) -> Status {
      if (std::exchange(first, false)) { EXPECT_TRUE(w.remove(k_ada, group, {k_bob}).ok()); }
      return {};
    };
    EXPECT_EQ(w.send(k_bob, group, "late"), code(ErrorCode::not_member));
    EXPECT_EQ(w.loaded(group).header.version, 2u);
  });
}

TEST(Group, a_resend_after_leaving_is_answered_as_it_was_stored) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    ASSERT_EQ(w.send(k_bob, group, "last words"), Code::ok);
    ASSERT_TRUE(w.remove(k_ada, group, {k_bob}).ok());
    const auto again = w.append(k_bob, group, {World::text(group, "last words")});
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->appended(0).duplicate());
    EXPECT_EQ(again->appended(0).seq(), 2u);
    EXPECT_EQ(w.send(k_bob, group, "last words", "other"), code(ErrorCode::client_msg_id_reused));
    EXPECT_EQ(w.send(k_bob, group, "more"), code(ErrorCode::not_member));
  });
}

TEST(Group, an_ordinary_member_does_not_call_everybody) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    client::Message all = World::text(group, "all");
    all.set_mention_scope(1);
    EXPECT_EQ(w.append(k_bob, group, {all}).code(), Code::forbidden);
    EXPECT_TRUE(w.append(k_ada, group, {all}).ok());
    const auto sent = w.append(k_bob, group, {World::text(group, "a"), all, World::text(group, "b")});
    ASSERT_TRUE(sent.ok());
    ASSERT_EQ(sent->appended_size(), 2);
    EXPECT_EQ(sent->appended(1).code(), static_cast<uint32_t>(Code::forbidden));
  });
}

TEST(Group, stores_what_a_client_may_say_and_nothing_beside) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    client::Message message = World::text(group, "a");
    message.set_sender(k_eve);
    message.set_key(std::string(16, 'k'));
    message.set_position(77);
    message.set_version(78);
    message.set_state(1);
    message.set_revision(9);
    message.set_server_time_ms(1);
    message.set_ext("kept");
    message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(1000, std::string(200'000, 'x'));
    ASSERT_TRUE(w.append(k_bob, group, {message}).ok());
    const client::Message stored = w.history(k_ada, group)->messages(0);
    EXPECT_EQ(stored.sender(), k_bob);
    EXPECT_NE(stored.key(), std::string(16, 'k'));
    EXPECT_EQ(stored.position(), 2u);
    EXPECT_EQ(stored.state(), 0u);
    EXPECT_EQ(stored.revision(), 0u);
    EXPECT_EQ(stored.version(), 0u);
    EXPECT_GT(stored.server_time_ms(), 1);
    EXPECT_EQ(stored.ext(), "kept");
    EXPECT_LT(stored.ByteSizeLong(), 1000u) << "one row too large for an inbox would stop the fan-out for ever";
    client::Message system = World::text(group, "b");
    system.set_kind(model::k_kind_system);
    EXPECT_EQ(w.append(k_bob, group, {system}).code(), Code::forbidden);
    EXPECT_EQ(w.append(k_bob, group, {World::text(group + 1, "c")}).code(), Code::invalid);
  });
}

TEST(Group, history_is_what_was_said_between_coming_and_going) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});                          // 1
    for (int i = 0; i < 4; ++i) (void)w.send(k_ada, group, "a" + std::to_string(i));  // 2..5
    ASSERT_TRUE(w.add(k_ada, group, {k_eve}).ok());                         // 6
    for (int i = 0; i < 3; ++i) (void)w.send(k_ada, group, "b" + std::to_string(i));  // 7..9
    ASSERT_TRUE(w.remove(k_ada, group, {k_eve}).ok());                      // 10
    for (int i = 0; i < 120; ++i) (void)w.send(k_ada, group, "c" + std::to_string(i));  // 11..130
    EXPECT_EQ(w.history_seqs(k_eve, group, 100), (std::vector<uint64_t>{10, 9, 8, 7, 6})) << "who left reads on what was theirs";
    ASSERT_TRUE(w.add(k_ada, group, {k_eve}).ok());                         // 131
    ASSERT_EQ(w.send(k_bob, group, "d"), Code::ok);                         // 132
    const std::vector<uint64_t> seen{132, 131, 10, 9, 8, 7, 6};
    for (uint32_t limit = 1; limit <= 8; ++limit) EXPECT_EQ(w.history_seqs(k_eve, group, limit), seen) << limit;
    EXPECT_EQ(w.history_seqs(k_bob, group, 100).size(), 132u);
    EXPECT_EQ(w.history(k_eve, group, 6)->messages_size(), 0);
    EXPECT_FALSE(w.history(k_eve, group, 6)->more());
    EXPECT_EQ(w.history(k_eve, group, 131, 1)->messages(0).position(), 10u);
  });
}

TEST(Group, history_ends_where_the_member_has_cleared_it) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});                                        // 1
    for (int i = 0; i < 5; ++i) (void)w.send(k_ada, group, std::to_string(i));             // 2..6
    ASSERT_TRUE(w.leave(k_bob, group).ok());                                              // 7
    ASSERT_TRUE(w.add(k_ada, group, {k_bob}).ok());                                       // 8
    const auto cleared = [&](uint64_t after, uint64_t before = 0) {
      std::vector<uint64_t> seqs;
      const auto page = w.history(k_bob, group, before, 100, after);
      EXPECT_TRUE(page.ok() && !page->more());
      for (const client::Message& message : page->messages()) seqs.push_back(message.position());
      return seqs;
    };
    EXPECT_EQ(cleared(4), (std::vector<uint64_t>{8, 7, 6, 5}));
    EXPECT_EQ(cleared(7), std::vector<uint64_t>{8});
    EXPECT_EQ(cleared(8), std::vector<uint64_t>{});
    EXPECT_EQ(cleared(5, 6), std::vector<uint64_t>{});
    EXPECT_EQ(cleared(UINT64_MAX), std::vector<uint64_t>{});
    EXPECT_EQ(w.history(k_bob, group, 0, 2, 4)->more(), true);
  });
}

TEST(Group, a_page_of_history_is_bounded_in_bytes) {
  in_world([](World& w) {
    const uint64_t group = w.made(k_ada, {k_bob});
    for (int i = 0; i < 20; ++i) ASSERT_EQ(w.send(k_ada, group, std::to_string(i), std::string(30'000, 'x')), Code::ok);
    const auto page = w.history(k_bob, group, 0, 100);
    EXPECT_LE(page->ByteSizeLong(), model::k_sync_bytes_max + 40'000);
    EXPECT_TRUE(page->more());
    EXPECT_EQ(w.history_seqs(k_bob, group, 100).size(), 21u);
  });
}

}  // namespace
}  // namespace hongyan::group
