// Read marks, unread, settings, lists, history.
#include "base/random.h"
#include "data/inbox/limits.h"
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

Result<client::ConversationState> set(World& world, uint64_t uin, uint64_t peer,
                                      const std::function<void(internal::InboxSetConversationRequest&)>& change) {
  internal::InboxSetConversationRequest request;
  request.set_uin(uin);
  fill(direct(peer), *request.mutable_conversation());
  change(request);
  Call call = world.as(uin);
  return TRY(world.room->set_conversation(call, request)).state();
}

int states_in(const std::vector<client::Entry>& entries) {
  int count = 0;
  for (const client::Entry& entry : entries) count += entry.has_state() ? 1 : 0;
  return count;
}

TEST(MarkRead, counts_what_others_sent_behind_the_mark) {
  World world;
  std::vector<uint64_t> positions;
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
    positions.push_back(world.head(k_ann));
    ASSERT_TRUE(world.send(k_ann, k_bob, fmt::format("a{}", i)).ok());
  }
  EXPECT_EQ(world.state(k_ann, direct(k_bob)).unread(), 6u);
  const auto state = world.mark_read(k_ann, direct(k_bob), positions[2]);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->unread(), 3u);
  EXPECT_EQ(state->read_position(), positions[2]);
  ASSERT_TRUE(world.send(k_bob, k_ann, "more").ok());
  EXPECT_EQ(world.state(k_ann, direct(k_bob)).unread(), 4u);
}

TEST(MarkRead, never_goes_backwards_or_beyond_what_there_is) {
  World world;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  const uint64_t last = world.head(k_ann);
  ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), last).ok());
  const uint64_t version = world.head(k_ann);
  EXPECT_EQ(world.mark_read(k_ann, direct(k_bob), 1)->read_position(), last);
  EXPECT_EQ(world.mark_read(k_ann, direct(k_bob), last)->unread(), 0u);
  EXPECT_EQ(world.head(k_ann), version);  // Nothing was committed.
  ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), UINT64_MAX).ok());
  ASSERT_TRUE(world.send(k_bob, k_ann, "new").ok());
  EXPECT_EQ(world.state(k_ann, direct(k_bob)).unread(), 1u);
  // A conversation that is not there has nothing to read.
  const uint64_t before = world.head(k_ann);
  EXPECT_TRUE(world.mark_read(k_ann, direct(k_cat), 5).ok());
  EXPECT_EQ(world.head(k_ann), before);
}

TEST(MarkRead, a_new_mark_replaces_the_log_row_of_the_one_before) {
  World world;
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  for (uint64_t position = 1; position <= 8; ++position) {
    ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), position).ok());
  }
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 9u);
  const auto entries = world.sync_all(k_ann);
  EXPECT_EQ(states_in(entries), 1);
  EXPECT_EQ(entries.back().state().read_position(), 8u);
  // A device that had seen an older mark sees the newest.
  const auto later = world.sync_all(k_ann, 10);
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(later[0].state().unread(), 0u);
}

TEST(MarkRead, decides_again_when_a_message_comes_between) {
  World world;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  world.store.before_commit = [&] { ASSERT_TRUE(world.send(k_bob, k_ann, "between").ok()); };
  const auto state = world.mark_read(k_ann, direct(k_bob), 2);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->unread(), 2u);
}

TEST(MarkRead, decides_again_when_another_device_marks_between) {
  World world;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  world.store.before_commit = [&] { ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), 3).ok()); };
  const auto state = world.mark_read(k_ann, direct(k_bob), 2);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->read_position(), 3u);
  EXPECT_EQ(state->unread(), 1u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 5u);
}

TEST(MarkRead, gives_up_as_a_conflict_when_the_conversation_never_rests) {
  World world;
  ASSERT_TRUE(world.send(k_bob, k_ann, "b").ok());
  int sent = 0;
  std::function<void()> disturb = [&] {
    ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("more{}", sent++)).ok());
    world.store.before_commit = disturb;
  };
  world.store.before_commit = disturb;
  EXPECT_EQ(world.mark_read(k_ann, direct(k_bob), 1).code(), Code::conflict);
  EXPECT_EQ(sent, k_conflict_retries_max);
}

TEST(MarkRead, shows_at_most_a_thousand) {
  World world;
  for (int i = 0; i < 1'100; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  EXPECT_EQ(world.state(k_ann, direct(k_bob)).unread(), 1'000u);
  EXPECT_EQ(world.mark_read(k_ann, direct(k_bob), 50)->unread(), 1'000u);
  EXPECT_EQ(world.mark_read(k_ann, direct(k_bob), 200)->unread(), 900u);
}

// Random sends both ways, marks and reads: unread always equals a count over the history.
TEST(MarkRead, unread_is_exact_under_any_interleaving) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    World world;
    Random random(seed);
    uint64_t read = 0;
    for (int step = 0; step < 120; ++step) {
      const auto act = [&](const std::string& name) {
        const bool mine = random.one_in(3);
        client::Message message = World::text(mine ? k_bob : k_ann, name);
        if (random.one_in(4)) message.set_flags(model::k_flag_no_unread);
        ASSERT_TRUE(world.send(mine ? k_ann : k_bob, mine ? k_bob : k_ann, message).ok());
      };
      if (random.one_in(3)) world.store.before_commit = [&, step] { act(fmt::format("in{}", step)); };
      if (random.one_in(4)) {
        const uint64_t position = random.below(world.head(k_ann) + 2);
        ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), position).ok());
      } else {
        act(fmt::format("m{}", step));
      }
      world.store.before_commit = nullptr;
      const client::ConversationState state = world.state(k_ann, direct(k_bob));
      EXPECT_GE(state.read_position(), read);
      read = state.read_position();
      uint32_t expected = 0;
      for (const client::Entry& entry : world.sync_all(k_ann)) {
        if (!entry.has_message()) continue;
        const client::Message& m = entry.message();
        const bool counts = m.sender() == k_bob && (m.flags() & model::k_flag_no_unread) == 0;
        expected += counts && m.position() > read ? 1 : 0;
      }
      ASSERT_EQ(state.unread(), expected);
    }
  }
}

TEST(SetConversation, changes_the_named_fields_only) {
  World world;
  ASSERT_TRUE(world.send(k_bob, k_ann, "b").ok());
  ASSERT_TRUE(set(world, k_ann, k_bob, [](auto& r) {
                r.add_fields("mute_until_ms");
                r.add_fields("draft");
                r.set_mute_until_ms(77);
                r.set_draft("half a thou");
                r.set_pin_rank(9);
              }).ok());
  const auto state = set(world, k_ann, k_bob, [](auto& r) {
    r.add_fields("pin_rank");
    r.set_pin_rank(3);
  });
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->mute_until_ms(), 77);
  EXPECT_EQ(state->draft(), "half a thou");
  EXPECT_EQ(state->pin_rank(), 3u);
  EXPECT_EQ(state->unread(), 1u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 2u);
  EXPECT_EQ(world.sync_all(k_ann).back().state().pin_rank(), 3u);
  // The same again is no change.
  const uint64_t version = world.head(k_ann);
  ASSERT_TRUE(set(world, k_ann, k_bob, [](auto& r) {
                r.add_fields("pin_rank");
                r.set_pin_rank(3);
              }).ok());
  EXPECT_EQ(world.head(k_ann), version);
}

TEST(SetConversation, refuses_unknown_fields_and_long_drafts) {
  World world;
  EXPECT_EQ(set(world, k_ann, k_bob, [](auto&) {}).code(), Code::invalid);
  EXPECT_EQ(set(world, k_ann, k_bob, [](auto& r) { r.add_fields("unread"); }).code(), Code::invalid);
  EXPECT_EQ(set(world, k_ann, k_bob, [](auto& r) {
              r.add_fields("draft");
              r.set_draft(std::string(k_draft_bytes_max + 1, 'x'));
            }).code(), Code::too_large);
}

TEST(SetConversation, hidden_lasts_until_the_next_message) {
  World world;
  ASSERT_TRUE(world.send(k_bob, k_ann, "one").ok());
  const auto hide = [](auto& r) {
    r.add_fields("hidden");
    r.set_hidden(true);
  };
  EXPECT_TRUE(set(world, k_ann, k_bob, hide)->hidden());
  EXPECT_TRUE(world.state(k_ann, direct(k_bob)).hidden());
  ASSERT_TRUE(world.send(k_bob, k_ann, "two").ok());
  EXPECT_FALSE(world.state(k_ann, direct(k_bob)).hidden());
  ASSERT_TRUE(set(world, k_ann, k_bob, hide).ok());
  EXPECT_FALSE(set(world, k_ann, k_bob, [](auto& r) { r.add_fields("hidden"); })->hidden());
}

TEST(SetConversation, clearing_hides_history_and_reads_it) {
  World world;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("b{}", i)).ok());
  const auto clear = [&](uint64_t position) {
    return set(world, k_ann, k_bob, [&](auto& r) {
      r.add_fields("cleared_position");
      r.set_cleared_position(position);
    });
  };
  const auto state = clear(3);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->cleared_position(), 3u);
  EXPECT_EQ(state->unread(), 1u);
  EXPECT_EQ(state->last().client_msg_id(), "b3");
  EXPECT_EQ(world.history(k_ann, direct(k_bob))->messages_size(), 1);
  EXPECT_EQ(clear(1)->cleared_position(), 3u);  // What is cleared stays cleared.
  const auto all = clear(UINT64_MAX);
  EXPECT_FALSE(all->has_last());
  EXPECT_EQ(all->unread(), 0u);
  EXPECT_EQ(world.history(k_ann, direct(k_bob))->messages_size(), 0);
  ASSERT_TRUE(world.send(k_bob, k_ann, "after").ok());
  EXPECT_EQ(world.history(k_ann, direct(k_bob))->messages_size(), 1);
  EXPECT_EQ(world.history(k_bob, direct(k_ann))->messages_size(), 5);  // The other's is the other's.
}

TEST(Conversations, are_listed_by_last_change_in_pages) {
  World world;
  for (uint64_t peer = 20'001; peer <= 20'025; ++peer) ASSERT_TRUE(world.send(peer, k_ann, "hi").ok());
  ASSERT_TRUE(world.mark_read(k_ann, direct(20'003), 3).ok());  // A change of the view counts too.
  std::vector<uint64_t> peers;
  uint64_t before = 0;
  for (bool more = true; more;) {
    internal::InboxConversationsRequest request;
    request.set_uin(k_ann);
    request.set_before_version(before);
    request.set_limit(7);
    Call call = world.as(k_ann);
    const auto page = world.room->conversations(call, request);
    ASSERT_TRUE(page.ok());
    for (const auto& state : page->conversations()) peers.push_back(state.conversation().id());
    before = page->conversations(page->conversations_size() - 1).version();
    more = page->more();
  }
  ASSERT_EQ(peers.size(), 25u);
  EXPECT_EQ(peers[0], 20'003u);
  EXPECT_EQ(peers[1], 20'025u);
  EXPECT_EQ(peers.back(), 20'001u);
}

// 10,000 messages, some of them to others: paging gives each of this conversation once, newest first.
TEST(History, pages_through_ten_thousand_messages) {
  World world;
  std::vector<std::string> sent;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = fmt::format("m{}", i);
    const uint64_t peer = i % 10 == 9 ? k_cat : k_bob;
    ASSERT_TRUE(world.append(k_ann, peer, {World::text(peer, id)}).ok());
    if (peer == k_bob) sent.push_back(id);
  }
  std::vector<std::string> found;
  uint64_t before = 0;
  for (bool more = true; more;) {
    const auto page = world.history(k_ann, direct(k_bob), before, 97);
    ASSERT_TRUE(page.ok());
    ASSERT_GT(page->messages_size(), 0);
    for (const client::Message& message : page->messages()) {
      EXPECT_TRUE(before == 0 || message.position() < before);
      before = message.position();
      found.push_back(message.client_msg_id());
    }
    more = page->more();
  }
  std::reverse(found.begin(), found.end());
  EXPECT_EQ(found, sent);
}

TEST(History, keeps_to_its_limits) {
  World world;
  for (int i = 0; i < 120; ++i) {
    ASSERT_TRUE(world.send(k_bob, k_ann, World::text(k_ann, fmt::format("m{}", i), std::string(20'000, 'x'))).ok());
  }
  const auto page = world.history(k_ann, direct(k_bob), 0, 1'000'000);
  ASSERT_TRUE(page.ok());
  EXPECT_LE(page->ByteSizeLong(), model::k_request_bytes_max);
  EXPECT_TRUE(page->more());
  EXPECT_EQ(world.history(k_ann, direct(k_bob), 0, 3)->messages_size(), 3);
  EXPECT_EQ(world.history(k_ann, direct(k_cat))->messages_size(), 0);
  EXPECT_EQ(world.history(k_ann, direct(0)).code(), Code::invalid);
}

}  // namespace
}  // namespace hongyan::inbox
