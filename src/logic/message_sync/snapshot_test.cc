// Goal: a snapshot is good for one account and one device only, and every damage is seen. Method: flip, cut, swap.
#include "logic/message_sync/snapshot.h"

#include <gtest/gtest.h>

#include "model/error_code.h"

namespace hongyan::logic {
namespace {

const std::string k_device(16, 'd');
rpc::KeyRing ring(char c) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, c)}}); }
Snapshot example() {
  return {.uin = 7, .device = k_device, .account = {1, 2}, .contacts = {3, 4}, .messages = {5, 6}};
}
constexpr Code k_bad = model::as_code(model::ErrorCode::bad_snapshot);

TEST(Snapshot, comes_back_as_it_went) {
  const auto keys = ring('k');
  const Snapshot back = decode_snapshot(keys, encode_snapshot(keys, example()), 7, k_device).value();
  EXPECT_EQ(back.account, example().account);
  EXPECT_EQ(back.contacts, example().contacts);
  EXPECT_EQ(back.messages, example().messages);
}

TEST(Snapshot, nothing_means_the_start_of_everything) {
  const Snapshot start = decode_snapshot(ring('k'), "", 7, k_device).value();
  EXPECT_EQ(start.messages, Position{});
  EXPECT_EQ(start.uin, 7u);
}

TEST(Snapshot, of_another_account_device_or_server_is_refused) {
  const std::string bytes = encode_snapshot(ring('k'), example());
  EXPECT_EQ(decode_snapshot(ring('k'), bytes, 8, k_device).code(), k_bad);
  EXPECT_EQ(decode_snapshot(ring('k'), bytes, 7, std::string(16, 'e')).code(), k_bad);
  EXPECT_EQ(decode_snapshot(ring('x'), bytes, 7, k_device).code(), k_bad);
}

TEST(Snapshot, every_flipped_bit_and_every_cut_is_seen) {
  const auto keys = ring('k');
  const std::string bytes = encode_snapshot(keys, example());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(decode_snapshot(keys, flipped, 7, k_device).code(), k_bad) << bit;
  }
  for (size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_EQ(decode_snapshot(keys, bytes.substr(0, length), 7, k_device).code(), k_bad) << length;
  }
  EXPECT_EQ(decode_snapshot(keys, bytes + "x", 7, k_device).code(), k_bad);
}

TEST(Snapshot, signed_with_the_key_before_is_good_after_a_rotation) {
  const rpc::MacKey old_key{.id = 1, .bytes = std::string(32, 'a')};
  const rpc::MacKey new_key{.id = 2, .bytes = std::string(32, 'b')};
  const std::string bytes = encode_snapshot(rpc::KeyRing({old_key}), example());
  EXPECT_TRUE(decode_snapshot(rpc::KeyRing({old_key, new_key}), bytes, 7, k_device).ok());
  EXPECT_EQ(decode_snapshot(rpc::KeyRing({new_key}), bytes, 7, k_device).code(), k_bad);
}

}  // namespace
}  // namespace hongyan::logic
