// Keys and values on disk.
#include "data/inbox/inbox_table.h"

#include <gtest/gtest.h>

#include "api/client/checks.h"
#include "base/bytes.h"
#include "model/kinds.h"

namespace hongyan::inbox {
namespace {

// What stored data rest on: these bytes never change.
TEST(InboxTable, keys_are_as_they_were_written_first) {
  EXPECT_EQ(to_hex(log_key(258)), "4c0000000000000102");
  EXPECT_EQ(to_hex(history_key(direct(7), 9)), "48010000000000000007000000000000000000000000000000" "09");
  EXPECT_EQ(to_hex(view_key(group(7), Field::settings)), "4302000000000000000700000000000000" "0004");
  EXPECT_EQ(to_hex(open_key(1)), "4f0000000000000001");
  EXPECT_EQ(dedup_key("0123456789abcdef"), "D0123456789abcdef");
  EXPECT_EQ(to_hex(entity_of(10'001).id), "0000000000002711");
  EXPECT_EQ(uin_of(entity_of(10'001)), 10'001u);
  EXPECT_EQ(to_hex(encode(DedupRow{"hashhash", 5})), "68617368686173680000000000000005");
}

TEST(InboxTable, order_of_keys_is_order_of_numbers) {
  EXPECT_LT(log_key(255), log_key(256));
  EXPECT_LT(history_key(direct(1), 1ull << 40), history_key(direct(2), 1));
  EXPECT_LT(history_key(direct(2), 1), after_prefix(history_prefix(direct(2))));
  EXPECT_LT(after_prefix(history_prefix(direct(255))), history_key(direct(256), 1) + "x");
  EXPECT_EQ(after_prefix(std::string("a\xff\xff")), "b");
}

TEST(InboxTable, a_view_key_reads_back) {
  const auto found = parse_view_key(view_key({1, 77, 3}, Field::group_seq));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->conversation, (ConversationId{1, 77, 3}));
  EXPECT_EQ(found->field, Field::group_seq);
  EXPECT_FALSE(parse_view_key("C").has_value());
  EXPECT_FALSE(parse_view_key(log_key(1)).has_value());
}

TEST(InboxTable, client_ids_come_back_as_they_were) {
  const std::string ids[] = {"a", "0191d3c4-7e2a-7cc3-98c4-dc0c0c07398f", "0191D3C4-7E2A-7CC3-98C4-DC0C0C07398F",
                             "0191d3c4-7e2a-7cc3-98c4-dc0c0c07398g", "0191d3c407e2a-7cc3-98c4-dc0c0c07398fa",
                             "------------------------------------"};
  for (const std::string& id : ids) {
    client::Message message;
    fill(direct(5), *message.mutable_conversation());
    message.set_client_msg_id(id);
    message.set_sender(4);
    message.set_key(api::message_key(4, id));
    const MessageRow row = row_of(message, 5);
    EXPECT_TRUE(row.key().empty());
    EXPECT_EQ(message_of(row, 5, direct(4)).client_msg_id(), id);
    EXPECT_EQ(message_of(row, 5, direct(4)).key(), message.key());
  }
}

TEST(InboxTable, client_times_of_any_size_come_back) {
  for (int64_t time : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1'700'000'000'000}}) {
    client::Message message;
    message.set_server_time_ms(1'700'000'000'500);
    message.set_client_time_ms(time);
    EXPECT_EQ(message_of(row_of(message, 1), 1, direct(2)).client_time_ms(), time);
  }
}

TEST(InboxTable, a_key_that_is_no_hash_is_kept) {
  client::Message message;
  fill(group(9), *message.mutable_conversation());
  message.set_sender(3);
  message.set_key(std::string(16, 's'));
  const client::Message found = message_of(row_of(message, 1), 1, group(9));
  EXPECT_EQ(found.key(), message.key());
  EXPECT_EQ(found.sender(), 3u);
}

TEST(InboxTable, damaged_values_are_corrupt_not_read) {
  EXPECT_EQ(decode_log("\xff\xff").code(), Code::corrupt);
  EXPECT_EQ(decode_group("\x0a\x7f").code(), Code::corrupt);
  EXPECT_FALSE(decode_dedup("short").has_value());
  EXPECT_EQ(number_of("abc"), 0);
  EXPECT_EQ(last_number("abc"), 0u);
}

}  // namespace
}  // namespace hongyan::inbox
