// A client that does not know groups: what it is shown is one-to-one throughout.
#include "api/internal/level_one.h"

#include <gtest/gtest.h>

#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"

namespace hongyan::api {
namespace {

constexpr uint64_t k_me = 10'001;
constexpr uint64_t k_bob = 10'002;
constexpr uint64_t k_eve = 10'003;
constexpr uint64_t k_group = model::k_group_bit + 5;

struct World {
  World() {
    fake.on_profiles = [this](Call&, const internal::ProfilesRequest& request) -> Result<internal::ProfilesResponse> {
      if (fails) return Status(Code::unavailable, "no account service");
      asked += request.uins_size();
      EXPECT_LE(request.uins_size(), 500);
      internal::ProfilesResponse response;
      for (uint64_t uin : request.uins()) {
        if (uin == k_eve) continue;  // Gone.
        client::Profile& profile = *response.add_profiles();
        profile.set_uin(uin);
        profile.set_nickname(uin == k_bob ? "Bob 鸿雁" : uin == k_me ? "Me" : "P" + std::to_string(uin));
      }
      return response;
    };
  }
  template <typename T>
  T render(T what) {
    Call call = env.call();
    EXPECT_TRUE(render_level_one(call, account, k_me, what).ok());
    return what;
  }
  runtime::TestEnv env;
  bool fails = false;
  int asked = 0;
  internal::AccountFake fake;
  rpc::LocalChannel channel{fake, nullptr};
  internal::AccountClient account{channel};
};

using Entries = google::protobuf::RepeatedPtrField<client::Entry>;

client::Message in_group(uint64_t sender, const std::string& text, uint32_t kind = model::k_kind_text) {
  client::Message message;
  message.mutable_conversation()->set_type(model::k_conversation_group);
  message.mutable_conversation()->set_id(k_group);
  message.set_sender(sender);
  message.set_kind(kind);
  message.set_content(text);
  message.set_digest(text);
  message.set_position(7);
  return message;
}
client::Message system(const std::string& kind, const std::vector<uint64_t>& members, const std::string& name = {}) {
  client::SystemContent content;
  content.set_template_(kind);
  client::Arg& actor = *content.add_args();
  actor.set_name("actor");
  actor.set_uin(k_bob);
  for (uint64_t uin : members) {
    client::Arg& arg = *content.add_args();
    arg.set_name("member");
    arg.set_uin(uin);
  }
  if (!name.empty()) {
    client::Arg& arg = *content.add_args();
    arg.set_name("name");
    arg.set_text(name);
  }
  client::Message message = in_group(k_bob, content.SerializeAsString(), model::k_kind_system);
  message.set_digest("fallback");
  return message;
}
client::Message shown(World& world, const client::Message& message) {
  google::protobuf::RepeatedPtrField<client::Message> messages;
  *messages.Add() = message;
  return world.render(messages).Get(0);
}

TEST(LevelOne, lines_of_a_group_start_with_the_senders_name_and_come_from_the_group) {
  World world;
  const client::Message bobs = shown(world, in_group(k_bob, "hello"));
  EXPECT_EQ(bobs.conversation().type(), model::k_conversation_direct);
  EXPECT_EQ(bobs.conversation().id(), k_group);
  EXPECT_EQ(bobs.sender(), k_group);
  EXPECT_EQ(bobs.content(), "Bob 鸿雁: hello");
  EXPECT_EQ(bobs.digest(), "Bob 鸿雁: hello");
  EXPECT_EQ(bobs.position(), 7u);
  const client::Message mine = shown(world, in_group(k_me, "hello"));
  EXPECT_EQ(mine.content(), "hello");
  EXPECT_EQ(mine.sender(), k_me);
  EXPECT_EQ(mine.conversation().type(), model::k_conversation_direct);
  EXPECT_EQ(shown(world, in_group(k_eve, "boo")).content(), "10003: boo");
}

TEST(LevelOne, other_kinds_keep_their_content) {
  World world;
  client::Message picture = in_group(k_bob, std::string("\0\xff", 2), 1234);
  picture.set_digest("[picture]");
  const client::Message out = shown(world, picture);
  EXPECT_EQ(out.content(), picture.content());
  EXPECT_EQ(out.kind(), 1234u);
  EXPECT_EQ(out.digest(), "Bob 鸿雁: [picture]");
  client::Message longest = in_group(k_bob, std::string(32 * 1024, 'x'));
  std::string digest = "x";  // Cut in the middle of a character where the prefix makes it too long.
  while (digest.size() + 3 <= model::k_digest_bytes_max) digest += "鸿";
  longest.set_digest(digest);
  const std::string cut = shown(world, longest).digest();
  EXPECT_LE(cut.size(), model::k_digest_bytes_max);
  EXPECT_GE(cut.size(), model::k_digest_bytes_max - 2);
  EXPECT_TRUE(cut.ends_with("鸿"));
}

TEST(LevelOne, what_the_server_says_becomes_a_sentence) {
  World world;
  EXPECT_EQ(shown(world, system("group.created", {k_me}, "friends")).content(), "Bob 鸿雁 created the group friends");
  EXPECT_EQ(shown(world, system("group.renamed", {}, "x")).content(), "Bob 鸿雁 renamed the group to x");
  EXPECT_EQ(shown(world, system("group.member_added", {k_me, k_eve})).content(), "Bob 鸿雁 added Me, 10003");
  EXPECT_EQ(shown(world, system("group.member_removed", {1, 2, 3, 4, 5})).content(), "Bob 鸿雁 removed P1, P2, P3 and 2 more");
  EXPECT_EQ(shown(world, system("group.member_left", {k_bob})).content(), "Bob 鸿雁 left");
  EXPECT_EQ(shown(world, system("group.of_later", {k_bob})).content(), "fallback");
  const client::Message out = shown(world, system("group.member_left", {}));
  EXPECT_EQ(out.kind(), model::k_kind_text);
  EXPECT_EQ(out.sender(), k_group);
  client::Message damaged = system("group.renamed", {});
  damaged.set_content("\xff\xff");
  EXPECT_EQ(shown(world, damaged).content(), "fallback");
}

TEST(LevelOne, one_to_one_is_left_alone_and_asks_nobody) {
  World world;
  world.fails = true;
  client::Message direct = in_group(k_bob, "hello");
  direct.mutable_conversation()->set_type(model::k_conversation_direct);
  direct.mutable_conversation()->set_id(k_bob);
  EXPECT_EQ(shown(world, direct).SerializeAsString(), direct.SerializeAsString());
  EXPECT_EQ(world.asked, 0);
}

TEST(LevelOne, every_entry_of_a_sync_is_one_to_one) {
  World world;
  Entries entries;
  *entries.Add()->mutable_message() = in_group(k_bob, "a");
  client::GroupEvent& event = *entries.Add()->mutable_group();
  event.set_group(k_group);
  event.set_version(9);
  event.mutable_state()->set_name("friends");
  event.mutable_state()->set_avatar_color(0x123456);
  entries.Add()->mutable_marker()->mutable_conversation()->set_type(2);  // Without a last message: dropped.
  client::Marker& marker = *entries.Add()->mutable_marker();
  *marker.mutable_last() = in_group(k_bob, "last");
  marker.mutable_last()->set_key(std::string(16, 'k'));
  marker.set_version(11);
  client::ConversationState& state = *entries.Add()->mutable_state();
  *state.mutable_conversation() = in_group(k_bob, "").conversation();
  *state.mutable_last() = in_group(k_bob, "b");
  *entries.Add()->mutable_update()->mutable_conversation() = in_group(k_bob, "").conversation();
  entries.Add()->mutable_account()->set_version(3);
  const Entries out = world.render(entries);
  ASSERT_EQ(out.size(), 6);
  EXPECT_EQ(out.Get(0).message().content(), "Bob 鸿雁: a");
  EXPECT_EQ(out.Get(1).contact().uin(), k_group);
  EXPECT_EQ(out.Get(1).contact().state(), model::k_edge_friend);
  EXPECT_EQ(out.Get(1).contact().profile().nickname(), "friends");
  EXPECT_EQ(out.Get(1).contact().profile().avatar_color(), 0x123456u);
  EXPECT_EQ(out.Get(2).message().content(), "Bob 鸿雁: last");
  EXPECT_EQ(out.Get(2).message().version(), 11u);
  EXPECT_EQ(out.Get(3).state().conversation().type(), model::k_conversation_direct);
  EXPECT_EQ(out.Get(3).state().last().content(), "Bob 鸿雁: b");
  EXPECT_EQ(out.Get(4).update().conversation().type(), model::k_conversation_direct);
  EXPECT_EQ(out.Get(5).account().version(), 3u);
}

TEST(LevelOne, names_are_asked_for_500_at_a_time_and_a_failure_is_passed_on) {
  World world;
  google::protobuf::RepeatedPtrField<client::Message> messages;
  for (uint64_t i = 0; i < 1'200; ++i) *messages.Add() = in_group(20'000 + i, "x");
  EXPECT_EQ(world.render(messages).Get(1'199).content(), "P21199: x");
  EXPECT_EQ(world.asked, 1'200);
  world.fails = true;
  Call call = world.env.call();
  EXPECT_EQ(render_level_one(call, world.account, k_me, messages).code(), Code::unavailable);
}

TEST(LevelOne, asks_for_a_group_as_for_a_person) {
  client::Conversation conversation;
  conversation.set_type(model::k_conversation_direct);
  conversation.set_id(k_group);
  EXPECT_EQ(meant(conversation).type(), model::k_conversation_group);
  conversation.set_id(k_bob);
  EXPECT_EQ(meant(conversation).type(), model::k_conversation_direct);
  client::BaseRequest base;
  EXPECT_FALSE(knows_groups(base)) << "0 counts as 1";
  base.set_feature_level(2);
  EXPECT_TRUE(knows_groups(base));
}

}  // namespace
}  // namespace hongyan::api
