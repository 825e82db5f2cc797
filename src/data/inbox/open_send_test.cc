// Open sends: nothing lost, nothing doubled, order kept, whatever dies between the two inboxes.
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

using Ids = std::vector<std::string>;

size_t open(World& world, uint64_t uin) { return world.store.rows(entity_of(uin), 'O'); }
bool marked(World& world, uint64_t uin) { return world.store.marked(model::k_work_open_send, entity_of(uin)); }

TEST(OpenSend, is_closed_by_the_senders_next_commit_or_by_the_worker) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  EXPECT_EQ(open(world, k_ann), 1u);
  ASSERT_TRUE(world.send(k_ann, k_bob, "two").ok());
  EXPECT_EQ(open(world, k_ann), 1u);  // One's row went with two's commit.
  const uint64_t version = world.head(k_ann);
  ASSERT_TRUE(world.finish().ok());
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_FALSE(marked(world, k_ann));
  EXPECT_EQ(world.head(k_ann), version);  // Silently.
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
}

TEST(OpenSend, the_worker_leaves_young_ones_alone_and_finishes_old_ones) {
  World world;
  ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "one")}).ok());
  ASSERT_TRUE(world.finish().ok());
  EXPECT_EQ(world.ids(k_bob), Ids{});
  EXPECT_EQ(open(world, k_ann), 1u);
  EXPECT_TRUE(marked(world, k_ann));
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_bob), Ids{"one"});
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_FALSE(marked(world, k_ann));
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), 1u);
}

TEST(OpenSend, a_later_send_does_not_overtake_an_earlier_one) {
  World world;
  world.store.refuse(entity_of(k_bob));
  EXPECT_FALSE(world.send(k_ann, k_bob, "one").ok());
  EXPECT_FALSE(world.send(k_ann, k_bob, "two").ok());
  ASSERT_TRUE(world.send(k_ann, k_cat, "aside").ok());  // Another peer does not wait.
  world.store.refuse({});
  ASSERT_TRUE(world.send(k_ann, k_bob, "three").ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two", "three"}));
  EXPECT_EQ(world.ids(k_cat), Ids{"aside"});
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());  // The client's resend.
  ASSERT_TRUE(world.send(k_ann, k_bob, "two").ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two", "three"}));
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(open(world, k_ann), 0u);
}

TEST(OpenSend, a_send_does_not_overtake_what_another_process_left_open) {
  World world({.alone = false});
  std::unique_ptr<InboxRoom> other =
      make_inbox(world.env, {world.store, internal::PresenceClient(world.presence_channel), internal::DeviceClient(world.device_channel),
                             world.contact_keys, rpc::ServiceIdentity(world.env, world.audiences, "inbox")}, world.config);
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "one").ok());  // None is open: this process has seen it.
  std::swap(world.room, other);
  ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "two")}).ok());  // And it died.
  std::swap(world.room, other);
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "three").ok());
  EXPECT_EQ(world.ids(k_ann), (Ids{"one", "two", "three"}));
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two", "three"}));
}

TEST(OpenSend, the_worker_looks_after_its_share_of_inboxes_alone) {
  for (uint32_t index : {0u, 1u}) {
    World world({.share = {.index = index, .count = 2}});
    size_t finished = 0;
    for (uint64_t sender = k_bob; sender < k_bob + 20; ++sender) {
      ASSERT_TRUE(world.append(sender, k_ann, {World::text(k_ann, "of " + std::to_string(sender))}).ok());
    }
    ASSERT_TRUE(world.finish_later().ok());
    for (uint64_t sender = k_bob; sender < k_bob + 20; ++sender) finished += !marked(world, sender);
    EXPECT_GT(finished, 3u);
    EXPECT_LT(finished, 17u);
    EXPECT_EQ(world.ids(k_ann).size(), finished);
  }
}

TEST(OpenSend, one_unreachable_peer_holds_back_no_other) {
  World world;
  ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "b1"), World::text(k_bob, "b2")}).ok());
  ASSERT_TRUE(world.append(k_ann, k_cat, {World::text(k_cat, "c1")}).ok());
  world.store.refuse(entity_of(k_bob));
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_cat), Ids{"c1"});
  EXPECT_EQ(open(world, k_ann), 2u);
  EXPECT_TRUE(marked(world, k_ann));
  world.store.refuse({});
  ASSERT_TRUE(world.finish().ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"b1", "b2"}));
  EXPECT_EQ(open(world, k_ann), 0u);
}

TEST(OpenSend, a_message_appended_while_the_worker_runs_keeps_its_mark) {
  World world;
  ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "one")}).ok());
  world.env.jump_utc_ms(world.config.open_send_grace_ms);
  // Between the worker's look at the open sends and its closing of them.
  world.store.before_commit = [&] {
    ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "two")}).ok());
  };
  ASSERT_TRUE(world.finish().ok());
  EXPECT_EQ(open(world, k_ann), 1u);
  EXPECT_TRUE(marked(world, k_ann));
  world.restart();
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
}

TEST(OpenSend, what_is_known_to_be_delivered_is_not_delivered_again) {
  World world;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(world.send(k_ann, k_bob, fmt::format("m{}", i)).ok());
  const int commits = world.store.commits;
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.store.commits, commits + 1);  // The closing one.
}

// The process dies at every store write of a conversation, before and after it takes effect. The new one finishes
// what is open; clients then resend what they got no answer for. Every message is in both inboxes once, in the
// sender's order, and unread agrees.
TEST(OpenSend, a_crash_at_any_write_loses_and_doubles_nothing) {
  int deaths = 0;
  for (const bool resend : {false, true}) {
    for (const bool at_once : {false, true}) {
    for (const auto moment : {FaultyStore::Moment::before, FaultyStore::Moment::after}) {
      for (int at = 1;; ++at) {
        SCOPED_TRACE(fmt::format("write {} {} resend {} at once {}", at, static_cast<int>(moment), resend, at_once));
        World world;
        world.store.die_at(at, moment);
        Ids acked, tried;
        const auto send = [&](const std::string& id) {
          tried.push_back(id);
          // Every second one in steps, so that open sends stand before what goes at once.
          const bool steps = !at_once || tried.size() % 2 == 0;
          if ((steps ? world.send(k_ann, k_bob, id) : world.send_at_once(k_ann, k_bob, id)).ok()) acked.push_back(id);
        };
        send("one");
        send("two");
        (void)world.finish().ok();
        send("three");
        send("four");
        (void)world.finish_later().ok();
        if (!world.store.dead()) break;
        ++deaths;
        world.restart();
        if (resend) {
          for (const std::string& id : tried) ASSERT_TRUE(world.send(k_ann, k_bob, id).ok());
          acked = tried;
        }
        ASSERT_TRUE(world.finish_later().ok());
        const Ids own = world.ids(k_ann);
        const Ids theirs = world.ids(k_bob);
        EXPECT_EQ(own, theirs);
        for (const std::string& id : acked) EXPECT_EQ(std::count(theirs.begin(), theirs.end(), id), 1) << id;
        for (const std::string& id : theirs) EXPECT_EQ(std::count(theirs.begin(), theirs.end(), id), 1) << id;
        if (resend) {
          EXPECT_EQ(theirs.size(), 4u);
        }
        EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), theirs.size());
        EXPECT_EQ(open(world, k_ann), 0u);
        EXPECT_FALSE(marked(world, k_ann));
      }
    }
   }
  }
  EXPECT_GT(deaths, 60);
}

// After receiving x from Ann, Bob answers: his answer sorts behind x in both inboxes, although Ann's earlier send
// to Bob is still open somewhere.
TEST(OpenSend, an_answer_sorts_behind_its_question_in_every_inbox) {
  World world;
  world.store.die_at(2, FaultyStore::Moment::after);  // Bob has the question, Ann was told nothing.
  EXPECT_FALSE(world.send(k_ann, k_bob, "question").ok());
  world.restart();
  ASSERT_EQ(world.ids(k_bob), Ids{"question"});
  ASSERT_TRUE(world.send(k_bob, k_ann, "answer").ok());
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_ann), (Ids{"question", "answer"}));
  EXPECT_EQ(world.ids(k_bob), (Ids{"question", "answer"}));
}

TEST(OpenSend, a_send_is_one_batch_and_one_sync_and_leaves_no_open_send) {
  World world;
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "zero").ok());
  const int commits = world.store.commits;
  const auto sent = world.send_at_once(k_ann, k_bob, {World::text(k_bob, "one"), World::text(k_bob, "two")});
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(world.store.commits, commits + 1);
  EXPECT_EQ(sent->appended_size(), 2);
  EXPECT_EQ(sent->appended(1).version(), 3u);
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_FALSE(marked(world, k_ann));
  EXPECT_EQ(world.ids(k_ann), (Ids{"zero", "one", "two"}));
  EXPECT_EQ(world.ids(k_bob), (Ids{"zero", "one", "two"}));
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), 3u);
  world.room->send_rings();
  EXPECT_EQ(world.rings.size(), 2u);
}

TEST(OpenSend, a_resend_of_some_answers_as_the_first_time_and_adds_the_rest) {
  World world;
  const auto first = world.send_at_once(k_ann, k_bob, {World::text(k_bob, "one")});
  ASSERT_TRUE(first.ok());
  world.env.jump_utc_ms(1'000);
  const auto again = world.send_at_once(k_ann, k_bob, {World::text(k_bob, "one"), World::text(k_bob, "two")});
  ASSERT_TRUE(again.ok()) << again.status().detail();
  EXPECT_TRUE(again->appended(0).duplicate());
  EXPECT_EQ(again->appended(0).server_time_ms(), first->appended(0).server_time_ms());
  EXPECT_EQ(again->appended(1).version(), 2u);
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
  const auto reused = world.send_at_once(k_ann, k_bob, {World::text(k_bob, "one", "something else")});
  ASSERT_TRUE(reused.ok());
  EXPECT_EQ(reused->appended(0).code(), static_cast<uint32_t>(model::ErrorCode::client_msg_id_reused));
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
}

TEST(OpenSend, a_send_that_the_receivers_inbox_refuses_leaves_nothing_in_the_senders) {
  World world;
  world.store.refuse(entity_of(k_bob));
  EXPECT_EQ(world.send_at_once(k_ann, k_bob, "one").code(), Code::unavailable);
  EXPECT_EQ(world.ids(k_ann), Ids{});
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_FALSE(marked(world, k_ann));
  world.store.refuse({});
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "one").ok());
  EXPECT_EQ(world.ids(k_bob), Ids{"one"});
}

TEST(OpenSend, a_send_at_once_does_not_overtake_an_open_send) {
  World world;
  world.store.refuse(entity_of(k_bob));
  EXPECT_FALSE(world.send(k_ann, k_bob, "one").ok());
  world.store.refuse({});
  world.restart();  // Nobody remembers it.
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "two").ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "three").ok());
  EXPECT_EQ(open(world, k_ann), 0u);  // Their rows went with three's commit.
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two", "three"}));
}

TEST(OpenSend, inboxes_in_different_places_are_written_one_after_the_other) {
  World world;
  world.store.in_different_places = true;
  ASSERT_TRUE(world.send_at_once(k_ann, k_bob, "one").ok());
  EXPECT_EQ(open(world, k_ann), 1u);
  EXPECT_TRUE(marked(world, k_ann));
  world.store.refuse(entity_of(k_bob));
  EXPECT_FALSE(world.send_at_once(k_ann, k_bob, "two").ok());
  world.store.refuse({});
  ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_bob), (Ids{"one", "two"}));
  EXPECT_EQ(open(world, k_ann), 0u);
}

TEST(OpenSend, more_of_them_than_one_round_takes_are_all_delivered_in_order) {
  World world;
  Ids sent;
  for (int i = 0; i < 1'200; ++i) {
    sent.push_back(fmt::format("m{}", i));
    ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, sent.back())}).ok());
  }
  for (int round = 0; round < 4; ++round) ASSERT_TRUE(world.finish_later().ok());
  EXPECT_EQ(world.ids(k_bob), sent);
  EXPECT_EQ(open(world, k_ann), 0u);
  EXPECT_FALSE(marked(world, k_ann));
}

TEST(OpenSend, workers_start_ring_finish_and_stop) {
  World world;
  runtime::run_in_coroutine(world.env, [&] {
    world.room->start();
    ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "one")}).ok());
    Call call = world.env.call();
    ASSERT_TRUE(runtime::sleep(call, std::chrono::seconds(10)).ok());
    EXPECT_EQ(world.ids(k_bob), Ids{"one"});
    EXPECT_EQ(world.rings.size(), 2u);
    ASSERT_TRUE(world.room->stop(call).ok());
  });
}

}  // namespace
}  // namespace hongyan::inbox
