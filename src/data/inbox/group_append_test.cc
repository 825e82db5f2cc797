// What groups bring into members' inboxes.
#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

client::Entry group_text(uint64_t seq, uint64_t sender, const std::string& content = "hello all") {
  client::Entry entry;
  client::Message& message = *entry.mutable_message();
  fill(group(k_group_id), *message.mutable_conversation());
  message.set_client_msg_id(fmt::format("g{}", seq));
  message.set_sender(sender);
  message.set_key(api::message_key(sender, message.client_msg_id()));
  message.set_position(seq);
  message.set_server_time_ms(1'000 + static_cast<int64_t>(seq));
  message.set_kind(model::k_kind_text);
  message.set_content(content);
  return entry;
}
client::Entry group_event(uint64_t seq, const std::string& name) {
  client::Entry entry;
  entry.mutable_group()->set_group(k_group_id);
  entry.mutable_group()->set_seq(seq);
  entry.mutable_group()->mutable_state()->set_name(name);
  return entry;
}
// Everything above `after` counts.
internal::GroupMarker marker(uint64_t after, uint64_t up_to, uint64_t last) {
  internal::GroupMarker made;
  made.set_up_to(up_to);
  internal::SeqRange& range = *made.add_counted();
  range.set_first(after + 1);
  range.set_last(up_to);
  *made.mutable_last() = group_text(last, k_bob).message();
  return made;
}

Result<internal::AppendFromGroupResponse> bring_marker(World& world, uint64_t uin, const internal::GroupMarker& marker) {
  internal::AppendFromGroupRequest request;
  request.set_uin(uin);
  request.set_group(k_group_id);
  *request.mutable_marker() = marker;
  Call call = world.env.call();
  return world.room->append_from_group(call, request);
}

void mute(World& world, uint64_t uin, int64_t until_ms) {
  internal::InboxSetConversationRequest request;
  request.set_uin(uin);
  fill(group(k_group_id), *request.mutable_conversation());
  request.set_mute_until_ms(until_ms);
  request.add_fields("mute_until_ms");
  Call call = world.as(uin);
  ASSERT_TRUE(world.room->set_conversation(call, request).ok());
}

Result<internal::AppendFromGroupResponse> bring(World& world, uint64_t uin, std::vector<client::Entry> entries,
                                                uint64_t last_seq = 0) {
  internal::AppendFromGroupRequest request;
  request.set_uin(uin);
  request.set_group(k_group_id);
  request.set_last_seq(last_seq);
  for (client::Entry& entry : entries) *request.add_entries() = std::move(entry);
  Call call = world.env.call();
  return world.room->append_from_group(call, request);
}

std::vector<uint64_t> seqs(World& world, uint64_t uin, uint32_t max_bytes = 0) {
  std::vector<uint64_t> found;
  for (const client::Entry& entry : world.sync_all(uin, 0, max_bytes)) {
    if (entry.has_message()) found.push_back(entry.message().position());
    if (entry.has_group()) found.push_back(entry.group().seq());
    if (entry.has_marker()) found.push_back(entry.marker().up_to());
  }
  return found;
}

TEST(GroupAppend, brings_messages_and_events_in_one_commit_in_order) {
  World world;
  const auto answer = bring(world, k_ann, {group_event(1, "friends"), group_text(2, k_bob), group_text(3, k_ann)});
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->behind());
  EXPECT_EQ(answer->last_seq(), 3u);
  EXPECT_EQ(answer->version(), 1u);
  EXPECT_EQ(world.head(k_ann), 1u);
  EXPECT_EQ(seqs(world, k_ann), (std::vector<uint64_t>{1, 2, 3}));
  const auto entries = world.sync_all(k_ann);
  EXPECT_EQ(entries[0].group().state().name(), "friends");
  EXPECT_EQ(entries[1].message().sender(), k_bob);
  EXPECT_EQ(entries[1].message().key(), api::message_key(k_bob, "g2"));
  EXPECT_EQ(entries[2].message().sender(), k_ann);
  EXPECT_EQ(entries[2].message().version(), 1u);
  const client::ConversationState state = world.state(k_ann, group(k_group_id));
  EXPECT_EQ(state.unread(), 1u);
  EXPECT_EQ(state.last_position(), 3u);
  EXPECT_EQ(state.last().client_msg_id(), "g3");
}

TEST(GroupAppend, a_message_and_the_event_it_announces_share_a_seq) {
  World world;
  client::Entry system = group_text(3, k_bob, "bob renamed the group");
  system.mutable_message()->set_kind(model::k_kind_system);
  const auto answer = bring(world, k_ann, {group_text(2, k_bob), system, group_event(3, "new name"), group_text(4, k_bob)});
  ASSERT_TRUE(answer.ok()) << answer.status().detail();
  EXPECT_EQ(answer->last_seq(), 4u);
  EXPECT_EQ(seqs(world, k_ann), (std::vector<uint64_t>{2, 3, 3, 4}));
  const auto entries = world.sync_all(k_ann);
  EXPECT_TRUE(entries[1].has_message());
  EXPECT_EQ(entries[2].group().state().name(), "new name");
  EXPECT_TRUE(bring(world, k_ann, {system, group_event(3, "new name")})->behind());
  EXPECT_EQ(world.history(k_ann, group(k_group_id))->messages_size(), 3);
  EXPECT_EQ(bring(world, k_ann, {group_event(5, "a"), group_event(5, "b")}).code(), Code::invalid);
}

TEST(GroupAppend, rows_that_are_here_already_are_skipped) {
  World world;
  ASSERT_TRUE(bring(world, k_ann, {group_text(1, k_bob), group_text(2, k_bob)}).ok());
  const auto again = bring(world, k_ann, {group_text(1, k_bob), group_text(2, k_bob)});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->behind());
  EXPECT_EQ(again->last_seq(), 2u);
  const auto overlap = bring(world, k_ann, {group_text(2, k_bob), group_text(3, k_cat)});
  ASSERT_TRUE(overlap.ok());
  EXPECT_FALSE(overlap->behind());
  EXPECT_EQ(overlap->last_seq(), 3u);
  EXPECT_EQ(seqs(world, k_ann), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 3u);
}

TEST(GroupAppend, last_seq_covers_rows_that_are_not_for_this_member) {
  World world;
  EXPECT_EQ(bring(world, k_ann, {group_text(4, k_bob)}, 6)->last_seq(), 6u);
  EXPECT_TRUE(bring(world, k_ann, {group_text(5, k_bob)})->behind());
  EXPECT_EQ(bring(world, k_ann, {}, 9)->last_seq(), 9u);
  EXPECT_EQ(bring(world, k_ann, {}, 2)->last_seq(), 9u);
  EXPECT_EQ(seqs(world, k_ann), std::vector<uint64_t>{4});
}

TEST(GroupAppend, a_crash_at_any_write_is_repaired_by_bringing_the_same_again) {
  std::vector<client::Entry> entries;
  for (uint64_t seq = 1; seq <= 30; ++seq) entries.push_back(group_text(seq, k_bob, std::string(9'000, 'x')));
  for (const auto moment : {FaultyStore::Moment::before, FaultyStore::Moment::after}) {
    int deaths = 0;
    for (int at = 1;; ++at, ++deaths) {
      World world;
      world.store.die_at(at, moment);
      (void)bring(world, k_ann, entries).ok();
      if (!world.store.dead()) break;
      world.restart();
      ASSERT_TRUE(bring(world, k_ann, entries).ok());
      EXPECT_EQ(seqs(world, k_ann).size(), 30u);
      EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 30u);
    }
    EXPECT_GE(deaths, 5);  // 270 KB are several commits.
  }
}

TEST(GroupAppend, every_cut_of_sync_gives_each_row_once) {
  World world;
  for (uint64_t seq = 1; seq <= 12; seq += 3) {
    ASSERT_TRUE(bring(world, k_ann, {group_text(seq, k_bob), group_text(seq + 1, k_cat), group_text(seq + 2, k_bob)}).ok());
  }
  const auto whole = seqs(world, k_ann);
  ASSERT_EQ(whole.size(), 12u);
  for (uint32_t max_bytes = 1; max_bytes < 1'500; max_bytes += 11) EXPECT_EQ(seqs(world, k_ann, max_bytes), whole);
}

TEST(GroupAppend, read_marks_are_seqs_and_count_others_messages) {
  World world;
  client::Entry quiet = group_text(4, k_bob);
  quiet.mutable_message()->set_flags(model::k_flag_no_unread);
  client::Entry called = group_text(5, k_bob);
  called.mutable_message()->add_mentions(k_ann);
  ASSERT_TRUE(bring(world, k_ann, {group_event(1, "x"), group_text(2, k_bob), group_text(3, k_ann), quiet, called,
                                   group_text(6, k_cat)}).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 3u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread_mentions(), 1u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 2)->unread(), 2u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 5)->unread(), 1u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread_mentions(), 0u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), UINT64_MAX)->read_position(), 6u);
}

TEST(GroupAppend, history_reads_the_members_rows) {
  World world;
  for (uint64_t seq = 1; seq <= 9; ++seq) {
    ASSERT_TRUE(bring(world, k_ann, {seq == 5 ? group_event(5, "x") : group_text(seq, k_bob)}).ok());
  }
  const auto page = world.history(k_ann, group(k_group_id), 8, 4);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->messages_size(), 4);
  EXPECT_EQ(page->messages(0).position(), 7u);
  EXPECT_EQ(page->messages(3).position(), 3u);
  EXPECT_TRUE(page->more());
}

TEST(GroupMarker, overwrites_the_one_before_and_counts_what_it_stands_for) {
  World world;
  ASSERT_TRUE(bring(world, k_ann, {group_text(1, k_bob), group_text(2, k_bob)}).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(2, 10, 10)).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(10, 20, 19)).ok());
  EXPECT_TRUE(bring_marker(world, k_ann, marker(10, 15, 15))->behind());
  EXPECT_EQ(seqs(world, k_ann), (std::vector<uint64_t>{1, 2, 20}));
  EXPECT_EQ(world.sync_all(k_ann).back().marker().unread(), 20u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 2u) << "the two rows came in one commit";
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'H'), 3u) << "two rows and the last message";
  client::ConversationState state = world.state(k_ann, group(k_group_id));
  EXPECT_EQ(state.unread(), 20u);
  EXPECT_EQ(state.last().position(), 19u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 1)->unread(), 19u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 12)->unread(), 8u);
  ASSERT_TRUE(bring(world, k_ann, {group_text(21, k_bob)}).ok());
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 18)->unread(), 3u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 21)->unread(), 0u);
}

TEST(GroupMarker, counts_only_what_is_unread_for_the_member) {
  World world;
  internal::GroupMarker made = marker(0, 9, 9);
  made.clear_counted();
  for (const auto& [first, last] : std::vector<std::pair<uint64_t, uint64_t>>{{2, 4}, {7, 7}, {9, 9}}) {
    internal::SeqRange& range = *made.add_counted();
    range.set_first(first);
    range.set_last(last);
  }
  made.add_mentions(3);
  made.add_mentions(7);
  ASSERT_TRUE(bring_marker(world, k_ann, made).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 5u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread_mentions(), 2u);
  EXPECT_EQ(world.sync_all(k_ann).back().marker().unread_mentions(), 2u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 3)->unread(), 3u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread_mentions(), 1u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 8)->unread(), 1u);
}

// A marker whose answer was lost comes again, with more.
TEST(GroupMarker, counts_nothing_twice_that_comes_again) {
  World world;
  ASSERT_TRUE(bring_marker(world, k_ann, marker(0, 10, 10)).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(0, 14, 14)).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 14u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 9)->unread(), 5u);
}

TEST(GroupMarker, an_older_one_stays_where_rows_came_between) {
  World world;
  ASSERT_TRUE(bring_marker(world, k_ann, marker(0, 10, 10)).ok());
  ASSERT_TRUE(bring(world, k_ann, {group_text(11, k_bob), group_text(12, k_ann)}).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(12, 20, 20)).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(20, 30, 30)).ok());
  EXPECT_EQ(seqs(world, k_ann), (std::vector<uint64_t>{10, 11, 12, 30}));
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 29u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 5)->unread(), 24u);
  EXPECT_EQ(world.mark_read(k_ann, group(k_group_id), 11)->unread(), 18u);
}

TEST(GroupMarker, the_newest_event_of_the_group_comes_beside_it) {
  World world;
  internal::GroupMarker made = marker(0, 4, 4);
  *made.mutable_event() = group_event(2, "new name").group();
  ASSERT_TRUE(bring_marker(world, k_ann, made).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(4, 6, 6)).ok());
  const auto entries = world.sync_all(k_ann);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].marker().up_to(), 6u);
  EXPECT_EQ(entries[1].group().state().name(), "new name");
  EXPECT_EQ(entries[1].group().seq(), 2u);
}

TEST(GroupMarker, a_first_sync_shows_no_page_with_gaps) {
  World world;
  for (uint64_t seq = 1; seq <= 210; ++seq) ASSERT_TRUE(bring(world, k_ann, {group_text(seq, k_bob)}).ok());
  ASSERT_TRUE(bring_marker(world, k_ann, marker(210, 300, 300)).ok());
  ASSERT_TRUE(bring(world, k_ann, {group_text(301, k_bob)}).ok());
  const auto answer = world.sync(k_ann, 0, 0, true);
  ASSERT_TRUE(answer.ok());
  std::vector<uint64_t> positions;
  for (const client::Entry& entry : answer->entries()) {
    if (entry.has_message()) positions.push_back(entry.message().position());
  }
  EXPECT_EQ(positions, std::vector<uint64_t>{301});
}

TEST(GroupMarker, goes_with_retention_and_the_next_one_stands) {
  World world({.retention = Retention::days, .retention_days = 1});
  ASSERT_TRUE(bring_marker(world, k_ann, marker(0, 5, 5)).ok());
  world.env.jump_utc_ms(3LL * 24 * 3600 * 1000);
  ASSERT_TRUE(world.purge().ok());
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'L'), 0u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'H'), 0u);
  ASSERT_TRUE(bring_marker(world, k_ann, marker(5, 8, 8)).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 8u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).last().position(), 8u);
}

TEST(GroupMarker, decides_again_when_rows_come_between) {
  World world;
  ASSERT_TRUE(bring(world, k_ann, {group_text(1, k_bob)}).ok());
  world.store.before_commit = [&] { ASSERT_TRUE(bring(world, k_ann, {group_text(2, k_bob)}).ok()); };
  ASSERT_TRUE(bring_marker(world, k_ann, marker(1, 5, 5)).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 5u);
  world.store.before_commit = [&] { ASSERT_TRUE(world.mark_read(k_ann, group(k_group_id), 4).ok()); };
  ASSERT_TRUE(bring_marker(world, k_ann, marker(5, 9, 9)).ok());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 5u);
}

TEST(GroupMarker, who_mutes_the_group_takes_no_rows_and_wants_a_marker) {
  World world;
  ASSERT_TRUE(bring(world, k_ann, {group_text(1, k_bob)}).ok());
  mute(world, k_ann, world.env.utc_ms() + 60'000);
  const auto answer = bring(world, k_ann, {group_text(2, k_bob)});
  ASSERT_TRUE(answer.ok());
  EXPECT_TRUE(answer->muted());
  EXPECT_FALSE(answer->behind());
  EXPECT_EQ(answer->last_seq(), 1u);
  EXPECT_TRUE(bring(world, k_ann, {group_text(1, k_bob)})->behind()) << "what is here is here";
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 1u);
  world.rings.clear();
  ASSERT_TRUE(bring_marker(world, k_ann, marker(1, 2, 2)).ok());
  world.room->send_rings();
  EXPECT_EQ(world.rings.size(), 1u);
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 2u);
  world.env.jump_utc_ms(60'001);  // The time is over.
  EXPECT_FALSE(bring(world, k_ann, {group_text(3, k_bob)})->muted());
  mute(world, k_ann, world.env.utc_ms() + 60'000);
  mute(world, k_ann, 0);
  EXPECT_FALSE(bring(world, k_ann, {group_text(4, k_bob)})->muted());
  EXPECT_EQ(world.state(k_ann, group(k_group_id)).unread(), 4u);
}

TEST(GroupMarker, refuses_what_makes_no_sense) {
  World world;
  const auto code_of = [&](const std::function<void(internal::GroupMarker&)>& spoil) {
    internal::GroupMarker made = marker(0, 5, 5);
    spoil(made);
    return bring_marker(world, k_ann, made).code();
  };
  EXPECT_EQ(code_of([](auto& m) { m.set_up_to(0); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.set_up_to(UINT64_MAX); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.mutable_counted(0)->set_last(6); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.mutable_counted(0)->set_first(0); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { *m.add_counted() = m.counted(0); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.add_mentions(6); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.clear_last(); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.mutable_last()->set_position(6); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { m.mutable_event()->set_group(1); }), Code::invalid);
  EXPECT_EQ(code_of([](auto& m) { for (int i = 0; i < 1'001; ++i) m.add_mentions(1); }), Code::too_large);
  EXPECT_EQ(world.head(k_ann), 0u);
}

TEST(GroupAppend, refuses_foreign_unordered_and_oversized_entries) {
  World world;
  EXPECT_EQ(bring(world, k_ann, {group_text(2, k_bob), group_text(2, k_bob)}).code(), Code::invalid);
  EXPECT_EQ(bring(world, k_ann, {group_text(0, k_bob)}).code(), Code::invalid);
  client::Entry foreign = group_text(1, k_bob);
  foreign.mutable_message()->mutable_conversation()->set_id(k_group_id + 1);
  EXPECT_EQ(bring(world, k_ann, {foreign}).code(), Code::invalid);
  client::Entry keyless = group_text(1, k_bob);
  keyless.mutable_message()->clear_key();
  EXPECT_EQ(bring(world, k_ann, {keyless}).code(), Code::invalid);
  EXPECT_EQ(bring(world, k_ann, {client::Entry()}).code(), Code::invalid);
  EXPECT_EQ(bring(world, k_ann, {group_text(1, k_bob, std::string(200'000, 'x'))}).code(), Code::too_large);
  EXPECT_EQ(bring(world, k_ann, std::vector(1'001, group_text(1, k_bob))).code(), Code::too_large);
  EXPECT_EQ(world.head(k_ann), 0u);
}

}  // namespace
}  // namespace hongyan::inbox
