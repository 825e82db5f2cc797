// Sync: exactly once at every cut, reset, first login.
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

void fill_inbox(World& world) {
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(world.send(i % 3 == 0 ? k_bob : k_ann, i % 3 == 0 ? k_ann : k_bob,
                           World::text(i % 3 == 0 ? k_ann : k_bob, fmt::format("m{}", i),
                                       std::string(static_cast<size_t>(1 + i * 7), 'x'))).ok());
  }
  ASSERT_TRUE(world.send(k_cat, k_ann, "from cat").ok());
  ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), 4).ok());
  ASSERT_TRUE(world.send(k_ann, k_cat, "to cat").ok());
}

std::vector<std::string> bytes_of(const std::vector<client::Entry>& entries) {
  std::vector<std::string> bytes;
  for (const client::Entry& entry : entries) bytes.push_back(entry.SerializeAsString());
  return bytes;
}

TEST(Sync, every_cut_from_tiny_to_full_gives_each_entry_exactly_once) {
  World world;
  fill_inbox(world);
  const auto whole = bytes_of(world.sync_all(k_ann));
  ASSERT_EQ(whole.size(), 15u);
  size_t total = 0;
  for (const std::string& entry : whole) total += entry.size() + 6;
  for (uint32_t max_bytes = 1; max_bytes < total + 20; max_bytes += 7) {
    EXPECT_EQ(bytes_of(world.sync_all(k_ann, 0, max_bytes)), whole) << max_bytes;
  }
}

TEST(Sync, an_answer_keeps_to_its_size_and_says_more) {
  World world;
  fill_inbox(world);
  const auto answer = world.sync(k_ann, 0, 400);
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->more());
  EXPECT_LE(answer->ByteSizeLong(), 400u);
  EXPECT_GT(answer->entries_size(), 1);
}

TEST(Sync, from_every_version_answers_what_came_after_it) {
  World world;
  fill_inbox(world);
  for (uint64_t since = 0; since <= world.head(k_ann); ++since) {
    uint64_t before = since;
    for (const client::Entry& entry : world.sync_all(k_ann, since)) {
      const uint64_t version = entry.has_message() ? entry.message().version() : entry.state().version();
      EXPECT_GT(version, before);
      before = version;
    }
  }
  const auto none = world.sync(k_ann, world.head(k_ann));
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->entries_size(), 0);
  EXPECT_FALSE(none->more());
  EXPECT_EQ(none->version(), world.head(k_ann));
}

TEST(Sync, messages_that_come_between_two_answers_are_not_skipped) {
  World world;
  fill_inbox(world);
  std::vector<std::string> found;
  uint64_t since = 0;
  int extra = 0;
  for (bool more = true; more;) {
    const auto answer = world.sync(k_ann, since, 300);
    ASSERT_TRUE(answer.ok());
    for (const client::Entry& entry : answer->entries()) {
      if (entry.has_message()) found.push_back(entry.message().client_msg_id());
    }
    since = answer->version();
    more = answer->more();
    if (extra < 5) {
      ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("extra{}", extra++)).ok());
    }
  }
  EXPECT_EQ(found, world.ids(k_ann));
  EXPECT_EQ(found.size(), 19u);
}

TEST(Sync, says_reset_for_what_it_can_not_continue) {
  World world;
  fill_inbox(world);
  const uint64_t head = world.head(k_ann);
  const auto ahead = world.sync(k_ann, head + 1);
  ASSERT_TRUE(ahead.ok());
  EXPECT_TRUE(ahead->reset());
  EXPECT_EQ(ahead->version(), head);
  EXPECT_GT(ahead->entries_size(), 15);

  internal::InboxSyncRequest request;
  request.set_uin(k_ann);
  request.set_incarnation(4);
  request.set_since(3);
  Call call = world.as(k_ann);
  const auto other = world.room->sync(call, request);
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->reset());
  EXPECT_NE(other->incarnation(), 4u);

  world.store.restore();
  EXPECT_FALSE(world.sync(k_ann, 3)->reset());  // The helper asks with the new incarnation.
  request.set_incarnation(other->incarnation());
  EXPECT_TRUE(world.room->sync(call, request)->reset());
}

TEST(Sync, who_synced_an_inbox_before_it_existed_misses_nothing) {
  World world;
  const auto empty = world.sync(k_ann, 0, 0, true);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->incarnation(), 0u);
  EXPECT_EQ(empty->version(), 0u);
  EXPECT_FALSE(empty->reset());
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("m{}", i)).ok());
  for (const bool first : {false, true}) {  // Its snapshot looks like none at all.
    internal::InboxSyncRequest request;
    request.set_uin(k_ann);
    request.set_first(first);
    Call call = world.as(k_ann);
    const auto answer = world.room->sync(call, request);
    ASSERT_TRUE(answer.ok());
    EXPECT_FALSE(answer->reset());
    EXPECT_NE(answer->incarnation(), 0u);
    int messages = 0;
    for (const client::Entry& entry : answer->entries()) messages += entry.has_message() ? 1 : 0;
    EXPECT_EQ(messages, 50);
  }
}

// A large inbox: its list and the last pages, and a version from which nothing is skipped.
TEST(Sync, first_login_gets_the_newest_conversations_and_their_last_pages) {
  World world;
  constexpr uint64_t k_peers = 230;
  for (uint64_t peer = 1; peer <= k_peers; ++peer) {
    for (int i = 0; i < (peer == k_peers ? 30 : 2); ++i) {
      ASSERT_TRUE(world.send(20'000 + peer, k_ann, fmt::format("{}-{}", peer, i)).ok());
    }
  }
  const auto answer = world.sync(k_ann, 0, 0, true);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->reset());
  EXPECT_FALSE(answer->more());
  EXPECT_EQ(answer->version(), world.head(k_ann));
  std::map<uint64_t, int> pages;
  int states = 0;
  for (const client::Entry& entry : answer->entries()) {
    if (entry.has_state()) {
      const client::ConversationState& state = entry.state();
      EXPECT_EQ(state.conversation().id(), 20'000 + k_peers - static_cast<uint64_t>(states));
      EXPECT_EQ(state.last().position(), state.last_position());
      EXPECT_EQ(state.last().sender(), state.conversation().id());
      ++states;
    }
    if (entry.has_message()) ++pages[entry.message().conversation().id()];
  }
  EXPECT_EQ(states, 200);
  EXPECT_EQ(pages.size(), 20u);
  EXPECT_EQ(pages[20'000 + k_peers], 20);
  EXPECT_EQ(pages[20'000 + k_peers - 1], 2);
  EXPECT_LE(answer->ByteSizeLong(), model::k_sync_bytes_max);

  const auto small = world.sync(k_ann, 0, 2'000, true);
  ASSERT_TRUE(small.ok());
  EXPECT_LE(small->ByteSizeLong(), 2'000u);
  EXPECT_GT(small->entries_size(), 3);
}

TEST(Sync, a_small_inbox_is_sent_whole_on_first_login_whatever_the_size_of_an_answer) {
  World world;
  fill_inbox(world);
  for (uint32_t max_bytes = 50; max_bytes < 4'000; max_bytes += 131) {
    const auto first = world.sync(k_ann, 0, max_bytes, true);
    ASSERT_TRUE(first.ok());
    std::vector<std::string> found;
    for (const client::Entry& entry : first->entries()) {
      if (entry.has_message()) found.push_back(entry.message().client_msg_id());
    }
    if (first->more()) {
      for (const client::Entry& entry : world.sync_all(k_ann, first->version(), max_bytes)) {
        if (entry.has_message()) found.push_back(entry.message().client_msg_id());
      }
    }
    EXPECT_EQ(found, world.ids(k_ann)) << max_bytes;
  }
}

TEST(Sync, large_messages_fit_an_answer) {
  World world;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(world.send(k_bob, k_ann, World::text(k_ann, fmt::format("m{}", i), std::string(32 * 1024, 'x'))).ok());
  }
  const auto answer = world.sync(k_ann, 0);
  ASSERT_TRUE(answer.ok());
  EXPECT_LE(answer->ByteSizeLong(), model::k_sync_bytes_max);
  EXPECT_EQ(answer->entries_size(), 7);
  EXPECT_EQ(world.sync_all(k_ann).size(), 20u);
}

}  // namespace
}  // namespace hongyan::inbox
