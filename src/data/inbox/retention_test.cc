// Retention: what goes, what stays, who is told.
#include "data/inbox/limits.h"
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

constexpr int64_t k_day_ms = 24LL * 3600 * 1000;

InboxConfig days(uint32_t n) { return {.retention = Retention::days, .retention_days = n}; }

uint64_t floor_of(World& world, uint64_t uin) {
  internal::HeadRequest request;
  request.set_uin(uin);
  Call call = world.as(uin);
  return world.room->head(call, request)->floor();
}

TEST(Retention, forever_removes_nothing) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  world.env.jump_utc_ms(1'000 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 0u);
  EXPECT_EQ(world.ids(k_bob), std::vector<std::string>{"one"});
}

TEST(Retention, days_removes_what_is_older_and_tells_readers_below_the_floor) {
  World world(days(7));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("old{}", i)).ok());
  ASSERT_TRUE(world.mark_read(k_ann, direct(k_bob), 4).ok());
  world.env.jump_utc_ms(8 * k_day_ms);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("new{}", i)).ok());
  const uint64_t head = world.head(k_ann);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(world.head(k_ann), head);  // Silently.
  EXPECT_EQ(floor_of(world, k_ann), 6u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 3u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'H'), 3u);
  EXPECT_TRUE(world.sync(k_ann, 5)->reset());
  EXPECT_FALSE(world.sync(k_ann, 6)->reset());
  EXPECT_EQ(world.sync(k_ann, 6)->entries_size(), 3);
  EXPECT_EQ(world.history(k_ann, direct(k_bob))->messages_size(), 3);
  const client::ConversationState state = world.state(k_ann, direct(k_bob));
  EXPECT_EQ(state.read_position(), 4u);
  EXPECT_EQ(state.last().client_msg_id(), "new2");
}

TEST(Retention, the_view_outlives_its_messages) {
  World world(days(7));
  ASSERT_TRUE(world.send(k_bob, k_ann, "old").ok());
  world.env.jump_utc_ms(8 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  const client::ConversationState state = world.state(k_ann, direct(k_bob));
  EXPECT_EQ(state.last_position(), 1u);
  EXPECT_FALSE(state.has_last());
  EXPECT_TRUE(world.sync(k_ann, 0, 0, true).ok());
}

TEST(Retention, a_purged_message_is_still_not_stored_twice_for_thirty_days) {
  World world(days(1));
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  ASSERT_TRUE(world.finish().ok());
  world.env.jump_utc_ms(20 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(world.store.rows(entity_of(k_bob), 'L'), 0u);
  EXPECT_EQ(world.store.rows(entity_of(k_bob), 'D'), 1u);
  const auto again = world.append(k_ann, k_bob, {World::text(k_bob, "one", "text one")});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->appended(0).duplicate());
  world.env.jump_utc_ms(11 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'D'), 0u);
  EXPECT_EQ(world.store.rows(entity_of(k_bob), 'D'), 0u);
}

TEST(Retention, never_passes_an_open_send) {
  World world(days(1));
  ASSERT_TRUE(world.send(k_cat, k_ann, "before").ok());
  ASSERT_TRUE(world.append(k_ann, k_bob, {World::text(k_bob, "open")}).ok());
  ASSERT_TRUE(world.send(k_cat, k_ann, "behind").ok());
  world.env.jump_utc_ms(5 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 1u);
  ASSERT_TRUE(world.finish().ok());
  EXPECT_EQ(world.ids(k_bob), std::vector<std::string>{"open"});
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 3u);
}

TEST(Retention, delivered_waits_for_every_device_seen_in_thirty_days) {
  World world({.retention = Retention::delivered});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("m{}", i)).ok());
  const uint64_t incarnation = world.sync(k_ann, 0)->incarnation();
  const auto device = [&](uint64_t version, int64_t seen_days_ago) {
    internal::DeviceCursor& cursor = *world.cursors.add_cursors();
    cursor.mutable_cursor()->set_messages_incarnation(incarnation);
    cursor.mutable_cursor()->set_messages_version(version);
    cursor.set_seen_ms(world.env.utc_ms() - seen_days_ago * k_day_ms);
  };
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 0u);  // No device: nothing is delivered.
  device(5, 0);
  device(3, 2);
  device(1, 31);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 3u);
  world.cursors.mutable_cursors(1)->mutable_cursor()->set_messages_incarnation(incarnation + 1);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(floor_of(world, k_ann), 3u);  // That device must start over, and holds everything until it has.
}

TEST(Retention, removes_group_rows_with_their_log_row_and_goes_in_bounded_steps) {
  World world(days(1));
  for (uint64_t start = 1; start <= 1'000; start += 100) {
    internal::AppendFromGroupRequest request;
    request.set_uin(k_ann);
    request.set_group(k_group_id);
    for (uint64_t seq = start; seq < start + 100; ++seq) {
      client::Message& message = *request.add_entries()->mutable_message();
      fill(group(k_group_id), *message.mutable_conversation());
      message.set_key(std::string(16, 'k'));
      message.set_sender(k_bob);
      message.set_position(seq);
      message.set_kind(1);
    }
    Call call = world.env.call();
    ASSERT_TRUE(world.room->append_from_group(call, request).ok());
  }
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("m{}", i)).ok());
  world.env.jump_utc_ms(2 * k_day_ms);
  const int commits = world.store.commits;
  ASSERT_TRUE(world.purge().ok());
  EXPECT_GT(world.store.commits, commits + 3);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 0u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'H'), 0u);
  EXPECT_EQ(floor_of(world, k_ann), world.head(k_ann));
}

// Sync goes on while the log below it goes away: it either continues or says that there is a gap.
TEST(Retention, a_reader_overtaken_by_the_floor_is_reset_not_skipped) {
  World world(days(1));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.send(k_bob, k_ann, fmt::format("m{}", i)).ok());
  const auto first = world.sync(k_ann, 0, 300);
  ASSERT_TRUE(first.ok() && first->more());
  world.env.jump_utc_ms(2 * k_day_ms);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_TRUE(world.sync(k_ann, first->version(), 300)->reset());
}

}  // namespace
}  // namespace hongyan::inbox
