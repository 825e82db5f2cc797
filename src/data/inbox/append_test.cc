// Appends to one's own inbox and to a peer's: what is stored, what is refused, what a resend does.
#include <set>

#include "data/inbox/testing/world.h"

namespace hongyan::inbox {
namespace {

constexpr uint32_t code_of(model::ErrorCode code) { return static_cast<uint32_t>(code); }

TEST(Append, puts_a_message_into_both_inboxes) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  const auto own = world.sync_all(k_ann);
  const auto theirs = world.sync_all(k_bob);
  ASSERT_EQ(own.size(), 1u);
  ASSERT_EQ(theirs.size(), 1u);
  EXPECT_EQ(own[0].message().conversation().id(), k_bob);
  EXPECT_EQ(theirs[0].message().conversation().id(), k_ann);
  EXPECT_EQ(theirs[0].message().sender(), k_ann);
  EXPECT_EQ(theirs[0].message().key(), own[0].message().key());
  EXPECT_EQ(theirs[0].message().key(), api::message_key(k_ann, "one"));
  EXPECT_EQ(theirs[0].message().server_time_ms(), own[0].message().server_time_ms());
  EXPECT_EQ(own[0].message().position(), own[0].message().version());
  EXPECT_GT(own[0].message().position(), 0u);
}

TEST(Append, resend_with_the_same_id_stores_once_and_answers_the_same) {
  World world;
  const client::Message message = World::text(k_bob, "one");
  const auto first = world.append(k_ann, k_bob, {message});
  ASSERT_TRUE(first.ok());
  world.env.jump_utc_ms(5'000);
  const auto again = world.append(k_ann, k_bob, {message});
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(first->appended(0).duplicate());
  EXPECT_TRUE(again->appended(0).duplicate());
  EXPECT_EQ(again->appended(0).key(), first->appended(0).key());
  EXPECT_EQ(again->appended(0).version(), first->appended(0).version());
  EXPECT_EQ(again->appended(0).server_time_ms(), first->appended(0).server_time_ms());
  ASSERT_TRUE(world.to_peer(k_ann, k_bob, {message}, *first).ok());
  ASSERT_TRUE(world.to_peer(k_ann, k_bob, {message}, *again).ok());
  EXPECT_EQ(world.ids(k_ann), std::vector<std::string>{"one"});
  EXPECT_EQ(world.ids(k_bob), std::vector<std::string>{"one"});
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), 1u);
}

TEST(Append, the_same_id_with_another_payload_is_an_error_and_ends_the_list) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  const auto answer = world.append(k_ann, k_bob, {World::text(k_bob, "zero"), World::text(k_bob, "one", "other"),
                                                  World::text(k_bob, "two")});
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->appended_size(), 2);
  EXPECT_EQ(answer->appended(0).code(), 0u);
  EXPECT_EQ(answer->appended(1).code(), code_of(model::ErrorCode::client_msg_id_reused));
  EXPECT_EQ(world.ids(k_ann), (std::vector<std::string>{"one", "zero"}));
}

TEST(Append, a_list_goes_on_behind_a_duplicate_and_stops_at_a_bad_message) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_bob, "two").ok());
  client::Message bad = World::text(k_bob, "four");
  bad.set_kind(0);
  const auto answer = world.append(k_ann, k_bob, {World::text(k_bob, "one"), World::text(k_bob, "two", "text two"),
                                                  World::text(k_bob, "three"), bad, World::text(k_bob, "five")});
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->appended_size(), 4);
  EXPECT_FALSE(answer->appended(0).duplicate());
  EXPECT_TRUE(answer->appended(1).duplicate());
  EXPECT_FALSE(answer->appended(2).duplicate());
  EXPECT_EQ(answer->appended(3).code(), code_of(model::ErrorCode::invalid));
  EXPECT_EQ(world.ids(k_ann), (std::vector<std::string>{"two", "one", "three"}));
}

TEST(Append, needs_the_contacts_grant_for_exactly_this_peer) {
  World world;
  internal::AppendRequest request;
  request.set_uin(k_ann);
  *request.add_messages() = World::text(k_bob, "one");
  Call call = world.as(k_ann);
  EXPECT_FALSE(world.room->append(call, request).ok());  // None.
  request.set_grant(world.grant(k_ann, k_cat));
  EXPECT_EQ(world.room->append(call, request).code(), Code::forbidden);
  request.set_grant(world.grant(k_cat, k_bob));
  EXPECT_EQ(world.room->append(call, request).code(), Code::forbidden);
  request.set_grant(world.grant(k_ann, k_bob, "invite"));
  EXPECT_EQ(world.room->append(call, request).code(), Code::forbidden);
  const std::string good = world.grant(k_ann, k_bob);
  request.set_grant(good + "x");
  EXPECT_FALSE(world.room->append(call, request).ok());
  request.set_grant(good);
  world.env.jump_utc_ms(61'000);
  EXPECT_FALSE(world.room->append(call, request).ok());  // Expired.
  world.env.jump_utc_ms(-61'000);
  EXPECT_TRUE(world.room->append(call, request).ok());
  EXPECT_EQ(world.ids(k_ann).size(), 1u);
}

TEST(Append, refuses_other_senders_groups_and_mixed_conversations) {
  World world;
  client::Message forged = World::text(k_bob, "one");
  forged.set_sender(k_cat);
  EXPECT_EQ(world.append(k_ann, k_bob, {forged}).code(), Code::forbidden);
  EXPECT_EQ(world.append(k_ann, k_bob, {World::text(k_bob, "a"), World::text(k_cat, "b")}).code(), Code::invalid);
  client::Message to_group = World::text(k_bob, "one");
  fill(group(k_group_id), *to_group.mutable_conversation());
  EXPECT_EQ(world.append(k_ann, k_bob, {to_group}).code(), Code::invalid);
  EXPECT_EQ(world.append(k_ann, k_bob, {}).code(), Code::invalid);
  EXPECT_EQ(world.append(k_ann, k_bob, std::vector(17, World::text(k_bob, "a"))).code(), Code::too_large);
  EXPECT_EQ(world.head(k_ann), 0u);
}

TEST(Append, to_a_peer_refuses_what_is_not_the_actors) {
  World world;
  const client::Message message = World::text(k_bob, "one");
  const auto appended = world.append(k_ann, k_bob, {message});
  ASSERT_TRUE(appended.ok());
  internal::AppendToPeerRequest request;
  request.set_uin(k_bob);
  request.set_actor(k_ann);
  request.set_grant(world.grant(k_ann, k_bob));
  client::Message& sent = *request.add_messages();
  sent = message;
  sent.set_sender(k_ann);
  sent.set_key(appended->appended(0).key());
  Call call = world.as(k_ann);
  EXPECT_EQ(world.room->append_to_peer(call, request).code(), Code::invalid);  // No server time.
  sent.set_server_time_ms(1);
  sent.set_sender(k_cat);
  EXPECT_EQ(world.room->append_to_peer(call, request).code(), Code::forbidden);
  sent.set_sender(k_ann);
  sent.set_key(std::string(16, 'k'));
  EXPECT_EQ(world.room->append_to_peer(call, request).code(), Code::invalid);
  sent.set_key(appended->appended(0).key());
  request.set_actor(k_cat);
  EXPECT_EQ(world.room->append_to_peer(call, request).code(), Code::forbidden);  // The grant is Ann's.
  request.set_actor(k_ann);
  EXPECT_EQ(world.head(k_bob), 0u);
  EXPECT_TRUE(world.room->append_to_peer(call, request).ok());
}

TEST(Append, notes_to_self_need_no_grant_and_leave_nothing_open) {
  World world;
  ASSERT_TRUE(world.send(k_ann, k_ann, "note").ok());
  EXPECT_EQ(world.ids(k_ann), std::vector<std::string>{"note"});
  EXPECT_EQ(world.state(k_ann, direct(k_ann)).unread(), 0u);
  EXPECT_EQ(world.store.rows(entity_of(k_ann), 'O'), 0u);
  EXPECT_FALSE(world.store.marked(model::k_work_open_send, entity_of(k_ann)));
}

TEST(Append, keeps_every_field_byte_for_byte) {
  World world;
  client::Message message = World::text(k_bob, "0191d3c4-7e2a-7cc3-98c4-dc0c0c07398f");
  message.set_kind(4711);  // Unknown to the server.
  message.set_content(std::string("\0\xff\x80 bytes", 9));
  message.set_digest("[picture]");
  message.set_client_time_ms(-5);
  message.set_flags(model::k_flag_no_push);
  message.add_mentions(k_bob);
  message.add_mentions(k_cat);
  message.set_mention_scope(1);
  message.mutable_quote()->set_key(std::string(16, 'q'));
  message.mutable_quote()->set_sender(k_bob);
  message.mutable_quote()->set_digest("quoted");
  message.set_expire_at_ms(99);
  message.set_ext(std::string("\x01\x00\x02", 3));
  ASSERT_TRUE(world.send(k_ann, k_bob, message).ok());
  for (uint64_t uin : {k_ann, k_bob}) {
    client::Message found = world.sync_all(uin)[0].message();
    EXPECT_EQ(found.sender(), k_ann);
    found.clear_key();
    found.clear_sender();
    found.clear_version();
    found.clear_position();
    found.clear_server_time_ms();
    *found.mutable_conversation() = message.conversation();
    EXPECT_EQ(found.SerializeAsString(), message.SerializeAsString());
  }
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread_mentions(), 1u);
}

// A field with number 3,000 and one byte, behind what is known.
TEST(Append, unknown_fields_are_not_stored_wherever_they_stand) {
  const std::string unknown("\xc2\xbb\x01\x01x", 5);
  for (const size_t place : {0, 1, 2, 3}) {
    World world;
    client::Message message = World::text(k_bob, "one");
    message.mutable_quote()->set_key(std::string(16, 'k'));
    std::vector<google::protobuf::Message*> parts = {&message, message.mutable_conversation(), message.mutable_quote(),
                                                     message.mutable_quote()->mutable_conversation()};
    google::protobuf::Message& part = *parts[place];
    ASSERT_TRUE(part.MergeFromString(unknown));
    ASSERT_FALSE(part.GetReflection()->GetUnknownFields(part).empty());
    ASSERT_TRUE(world.send_at_once(k_ann, k_bob, {message}).ok());
    for (const uint64_t uin : {k_ann, k_bob}) {
      const auto entries = world.sync_all(uin);
      ASSERT_EQ(entries.size(), 1u);
      client::Message known = entries[0].message();
      known.DiscardUnknownFields();
      EXPECT_EQ(known.SerializeAsString(), entries[0].message().SerializeAsString());
    }
  }
}

// Whoever adds a message to Message looks at has_unknown_fields().
TEST(Append, a_message_holds_no_other_messages_than_those_that_are_searched_for_unknown_fields) {
  std::set<std::string> held;
  const auto* type = client::Message::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* inner = type->field(i)->message_type();
    if (inner == nullptr) continue;
    held.insert(type->field(i)->name());
    for (int j = 0; j < inner->field_count(); ++j) {
      const auto* deeper = inner->field(j)->message_type();
      if (deeper == nullptr) continue;
      held.insert(type->field(i)->name() + "." + inner->field(j)->name());
      for (int k = 0; k < deeper->field_count(); ++k) EXPECT_EQ(deeper->field(k)->message_type(), nullptr) << deeper->full_name();
    }
  }
  EXPECT_EQ(held, (std::set<std::string>{"conversation", "quote", "quote.conversation"}));
}

TEST(Append, flags_decide_about_unread_list_and_the_senders_other_devices) {
  World world;
  client::Message quiet = World::text(k_bob, "quiet");
  quiet.set_flags(model::k_flag_no_unread);
  client::Message unlisted = World::text(k_bob, "unlisted");
  unlisted.set_flags(model::k_flag_no_list);
  client::Message private_copy = World::text(k_bob, "private");
  private_copy.set_flags(model::k_flag_no_sender_sync);
  ASSERT_TRUE(world.send(k_ann, k_bob, quiet).ok());
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), 0u);
  ASSERT_TRUE(world.send(k_ann, k_bob, unlisted).ok());
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).last().client_msg_id(), "quiet");
  EXPECT_EQ(world.state(k_bob, direct(k_ann)).unread(), 1u);
  ASSERT_TRUE(world.send(k_ann, k_bob, private_copy).ok());
  EXPECT_EQ(world.ids(k_ann), (std::vector<std::string>{"quiet", "unlisted"}));
  EXPECT_EQ(world.ids(k_bob), (std::vector<std::string>{"quiet", "unlisted", "private"}));
}

TEST(Append, rings_both_sides_once_and_a_failing_ring_is_no_error) {
  World world;
  world.rings_fail = true;
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());
  world.room->send_rings();
  ASSERT_EQ(world.rings.size(), 2u);
  EXPECT_EQ(world.rings[0].uin(), k_ann);
  EXPECT_EQ(world.rings[0].except_device(), "device-of-16-byt");
  EXPECT_EQ(world.rings[1].uin(), k_bob);
  EXPECT_EQ(world.rings[1].except_device(), "");
  EXPECT_EQ(world.rings[1].ring().key(), model::k_ring_messages);
  EXPECT_EQ(world.rings[1].ring().version(), world.head(k_bob));
  world.rings.clear();
  ASSERT_TRUE(world.send(k_ann, k_bob, "one").ok());  // A duplicate is no news.
  world.room->send_rings();
  EXPECT_TRUE(world.rings.empty());
}

TEST(Append, a_store_that_fails_at_once_fails_the_call_and_later_the_rest_of_the_list) {
  World world;
  world.store.refuse(entity_of(k_ann));
  EXPECT_EQ(world.append(k_ann, k_bob, {World::text(k_bob, "a")}).code(), Code::unavailable);
  world.store.refuse({});
  world.store.die_at(2, FaultyStore::Moment::before);
  const auto answer = world.append(k_ann, k_bob, {World::text(k_bob, "a"), World::text(k_bob, "b")});
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->appended_size(), 2);
  EXPECT_EQ(answer->appended(0).code(), 0u);
  EXPECT_EQ(answer->appended(1).code(), static_cast<uint32_t>(Code::unknown_outcome));
}

TEST(Append, a_short_message_takes_few_bytes_in_both_inboxes_together) {
  World world;
  const std::string body(40, 'x');
  for (int i = 0; i < 200; ++i) {
    const std::string id = fmt::format("0191d3c4-7e2a-7cc3-98c4-{:012x}", i);
    client::Message message = World::text(k_bob, id, body);
    message.set_client_time_ms(world.env.utc_ms() - 120);
    ASSERT_TRUE(world.send(k_ann, k_bob, message).ok());
  }
  ASSERT_TRUE(world.finish().ok());
  const size_t each = (world.store.bytes(entity_of(k_ann)) + world.store.bytes(entity_of(k_bob))) / 200;
  RecordProperty("bytes_per_message", static_cast<int>(each));
  EXPECT_LE(each, 330u);  // Keys whole, without the store's own overhead and compression.
}

}  // namespace
}  // namespace hongyan::inbox
