// Goal: records and messages come back as they were, and bytes that are damaged, cut or of a newer format are refused. Method:
// round trips, every prefix, every changed byte; a recorded record that must open for ever.
#include <gtest/gtest.h>

#include "store/paxos/limits.h"
#include "store/paxos/message.h"
#include "store/paxos/record.h"

namespace hongyan::store::paxos {
namespace {

ValuePtr value(Index index) {
  return std::make_shared<const Value>(Value{.id = {.index = index, .origin = {.round = 2, .owner = 1}, .life = 77}, .body = "effects"});
}

Record record() {
  return {.epoch = 3, .chosen = 300, .last = {.index = 300, .origin = Ballot::unprepared(2), .life = 1ull << 60}, .votes_from = 5,
          .promised = {.round = 9, .owner = 3}, .accepted = {.round = 4, .owner = 2}, .value = value(301)};
}

Message message() {
  return {.kind = Message::Kind::promise, .from = 1, .to = 2, .epoch = 3, .chosen = 300, .chosen_id = record().last, .index = 301,
          .ballot = {.round = 9, .owner = 3}, .other = {.round = 4, .owner = 2}, .sure = true, .session = 8, .number = 9, .values = {value(301)}};
}

TEST(Codec, a_record_comes_back_as_it_was) {
  for (const Record& one : {Record{}, record()}) {
    const auto back = parse_record(encode(one));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(encode(*back), encode(one));
    EXPECT_EQ(back->chosen, one.chosen);
    EXPECT_EQ(back->last, one.last);
    EXPECT_EQ(back->votes_from, one.votes_from);
    EXPECT_EQ(back->promised, one.promised);
    EXPECT_EQ(back->accepted, one.accepted);
    EXPECT_EQ(back->value == nullptr, one.value == nullptr);
  }
}

TEST(Codec, a_record_of_the_first_format_opens_for_ever) {
  const std::string recorded(
      "\x01\x03\xac\x02\xac\x02\x00\x03\x80\x80\x80\x80\x80\x80\x80\x80\x10\x05\x09\x03\x04\x02\xad\x02\x02\x01\x4d\x07"
      "effects", 35);
  EXPECT_EQ(to_hex(encode(record())), to_hex(recorded));
  EXPECT_TRUE(parse_record(recorded).ok());
}

TEST(Codec, what_is_cut_or_of_a_newer_format_is_refused) {
  const std::string of_record = encode(record()), of_message = encode(message());
  ASSERT_TRUE(parse_message(of_message).ok());
  EXPECT_EQ(encode(*parse_message(of_message)), of_message);
  for (size_t size = 0; size < of_record.size(); ++size) EXPECT_EQ(parse_record(of_record.substr(0, size)).code(), Code::corrupt);
  for (size_t size = 0; size < of_message.size(); ++size) EXPECT_EQ(parse_message(of_message.substr(0, size)).code(), Code::corrupt);
  EXPECT_EQ(parse_record(of_record + "x").code(), Code::corrupt);
  EXPECT_EQ(parse_message(of_message + "x").code(), Code::corrupt);
  EXPECT_EQ(parse_record("\x02" + of_record.substr(1)).code(), Code::unsupported);
  EXPECT_EQ(parse_message("\x02" + of_message.substr(1)).code(), Code::unsupported);
}

TEST(Codec, a_record_that_contradicts_itself_is_refused) {
  const auto refused = [](auto change) {
    Record one = record();
    change(one);
    return parse_record(encode(one)).code() == Code::corrupt;
  };
  EXPECT_TRUE(refused([](Record& one) { one.promised = {.round = 1, .owner = 1}; }));  // Below what it voted for.
  EXPECT_TRUE(refused([](Record& one) { one.value = value(302); }));
  EXPECT_TRUE(refused([](Record& one) { one.last.index = 299; }));
  EXPECT_TRUE(refused([](Record& one) { one.votes_from = 0; }));
  EXPECT_TRUE(refused([](Record& one) { one.promised.round = k_round_max + 1; }));
  EXPECT_FALSE(refused([](Record&) {}));
}

TEST(Codec, a_message_that_lacks_what_its_kind_needs_is_refused) {
  using Kind = Message::Kind;
  const auto refused = [](auto change) {
    Message one = message();
    change(one);
    return parse_message(encode(one)).code() == Code::corrupt;
  };
  EXPECT_TRUE(refused([](Message& m) { m.values.clear(); }));
  EXPECT_TRUE(refused([](Message& m) { m.kind = Kind::prepare; }));  // With a value.
  EXPECT_TRUE(refused([](Message& m) { m.kind = Kind::accept, m.values.clear(); }));
  EXPECT_TRUE(refused([](Message& m) { m.kind = Kind::accept, m.values = {value(302)}; }));
  EXPECT_TRUE(refused([](Message& m) { m.kind = Kind::entries, m.values = {value(301)}; }));  // Beyond what it says is chosen.
  EXPECT_TRUE(refused([](Message& m) { m.kind = Kind::entries, m.values = {value(297), value(299)}; }));
  EXPECT_FALSE(refused([](Message& m) { m.kind = Kind::entries, m.values = {value(298), value(299)}; }));
  EXPECT_TRUE(refused([](Message& m) { m.kind = static_cast<Kind>(12); }));
  EXPECT_TRUE(refused([](Message& m) { m.from = k_replicas_max; }));
  EXPECT_TRUE(refused([](Message& m) { m.other = {.round = 10, .owner = 1}; }));  // Accepted above what it promises.
}

}  // namespace
}  // namespace hongyan::store::paxos
