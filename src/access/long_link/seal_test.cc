// Goal: a sealed body opens once, in its order, for its frame, in its direction, with its link's key - and in no other way.
// Method: two halves without I/O, every byte flipped, every length cut.
#include "access/long_link/seal.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace hongyan::access {
namespace {

const SealKeys k_keys = {{.id = 1, .secret = std::string(32, 'o')}, {.id = 2, .secret = std::string(32, 'n')}};

struct Pair {
  SealSession client, server;
};

Pair agree(const std::string& client_chance = std::string(32, 'c'), const std::string& server_chance = std::string(32, 's')) {
  SealHello hello(2, noise_public_key(k_keys[1].secret), client_chance);
  auto made = welcome(k_keys, hello.body(), server_chance);
  auto client = hello.finish(made->body);
  return {.client = std::move(*client), .server = std::move(made->session)};
}

Frame frame(std::string body, uint32_t cmdid = 301, uint32_t seq = 7, uint32_t version = 200) {
  return {.client_version = version, .cmdid = cmdid, .seq = seq, .body = std::move(body)};
}

TEST(Seal, handshake_has_the_bytes_of_the_protocol_page) {
  SealHello hello(2, noise_public_key(k_keys[1].secret), std::string(32, 'c'));
  EXPECT_EQ(hello.body().size(), 52u);
  EXPECT_EQ(hello.body().substr(0, 4), std::string("\x01\x01\x01\x02", 4));
  EXPECT_EQ(hello.body().substr(4, 32), noise_public_key(std::string(32, 'c')));
  const auto made = welcome(k_keys, hello.body(), std::string(32, 's'));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->body.size(), 51u);
  EXPECT_EQ(made->body.substr(0, 3), std::string("\x01\x01\x02", 3));
  EXPECT_EQ(seal_key_text(k_keys), "2:" + to_hex(noise_public_key(std::string(32, 'n'))));
}

TEST(Seal, example_of_the_protocol_page_is_met_byte_for_byte) {
  const auto hex = [](std::string_view text) { return *from_hex(text); };
  const SealKeys keys = {{.id = 1, .secret = hex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")}};
  EXPECT_EQ(seal_key_text(keys), "1:31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");
  SealHello hello(1, noise_public_key(keys[0].secret), hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"));
  EXPECT_EQ(to_hex(hello.body()),
            "01010101ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944af5353bcedcad1186acf984a97bb93aa");
  auto made = welcome(keys, hello.body(), hex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"));
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(to_hex(made->body),
            "01010295ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884365bb54a7efe95b5d214299026274bcb0");
  const std::string sync = hex("0101030000000000000000e103c8dfe45ee1ed41ec12f1709ed2f1a02b979a817f");
  EXPECT_EQ(hello.finish(made->body)->seal(200, 401, 1, hex("01000a022802")), sync);
  EXPECT_EQ(*made->session.open(frame(sync, 401, 1)), hex("01000a022802"));
}

TEST(Seal, bodies_go_both_ways_and_look_like_nothing) {
  Pair pair = agree();
  for (int i = 0; i < 3; ++i) {
    const std::string up = pair.client.seal(200, 301, 7, "a body"), down = pair.server.seal(200, 301, 7, "");
    EXPECT_EQ(up.size(), 6 + k_seal_overhead_bytes);
    EXPECT_EQ(up.substr(0, 11), std::string("\x01\x01\x03\0\0\0\0\0\0\0", 10) + static_cast<char>(i));
    EXPECT_EQ(up.find("a body"), std::string::npos);
    EXPECT_EQ(*pair.server.open(frame(up)), "a body");
    EXPECT_EQ(*pair.client.open(frame(down)), "");
  }
}

TEST(Seal, what_was_heard_once_never_opens_again_nor_out_of_order) {
  Pair pair = agree();
  const std::string first = pair.client.seal(200, 301, 7, "1"), second = pair.client.seal(200, 301, 7, "2"),
                    third = pair.client.seal(200, 301, 7, "3");
  EXPECT_TRUE(pair.server.open(frame(first)).ok());
  EXPECT_FALSE(pair.server.open(frame(first)).ok());
  EXPECT_TRUE(pair.server.open(frame(third)).ok());  // One that was given up before it left.
  EXPECT_FALSE(pair.server.open(frame(second)).ok());
  EXPECT_FALSE(pair.server.open(frame(third)).ok());
}

TEST(Seal, a_body_belongs_to_its_frame_its_direction_and_its_link) {
  Pair pair = agree();
  const std::string body = pair.client.seal(200, 301, 7, "x");
  EXPECT_FALSE(pair.server.open(frame(body, 302)).ok());
  EXPECT_FALSE(pair.server.open(frame(body, 301, 8)).ok());
  EXPECT_FALSE(pair.server.open(frame(body, 301, 7, 201)).ok());
  EXPECT_FALSE(pair.client.open(frame(body)).ok());  // Sent back.
  Pair same_client = agree(std::string(32, 'c'), std::string(32, 't')), same_server = agree(std::string(32, 'd'));
  EXPECT_FALSE(same_client.server.open(frame(body)).ok());
  EXPECT_FALSE(same_server.server.open(frame(body)).ok());
  EXPECT_TRUE(pair.server.open(frame(body)).ok());  // What does not open changes nothing.
}

TEST(Seal, every_flipped_bit_and_every_cut_is_noticed) {
  Pair pair = agree();
  const std::string body = pair.client.seal(200, 301, 7, "some words");
  for (size_t i = 0; i < body.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = body;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(pair.server.open(frame(flipped)).ok()) << i << '.' << bit;
    }
    EXPECT_FALSE(pair.server.open(frame(body.substr(0, i))).ok()) << i;
  }
  EXPECT_FALSE(pair.server.open(frame(body + '\0')).ok());
  EXPECT_FALSE(pair.server.open(frame(std::string("\x01\x00plain", 7))).ok());
  EXPECT_TRUE(pair.server.open(frame(body)).ok());
}

TEST(Seal, a_hello_for_another_key_or_of_another_length_is_refused) {
  const std::string chance(32, 's');
  const std::string good = SealHello(1, noise_public_key(k_keys[0].secret), std::string(32, 'c')).body();
  EXPECT_TRUE(welcome(k_keys, good, chance).ok());  // The key before is still good.
  EXPECT_FALSE(welcome({}, good, chance).ok());
  EXPECT_FALSE(welcome(k_keys, SealHello(1, noise_public_key(k_keys[1].secret), std::string(32, 'c')).body(), chance).ok());
  EXPECT_FALSE(welcome(k_keys, SealHello(3, noise_public_key(k_keys[0].secret), std::string(32, 'c')).body(), chance).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(welcome(k_keys, flipped, chance).ok()) << i;
    EXPECT_FALSE(welcome(k_keys, good.substr(0, i), chance).ok()) << i;
  }
  EXPECT_FALSE(welcome(k_keys, good + 'x', chance).ok());
}

TEST(Seal, whoever_does_not_have_the_pinned_key_cannot_answer) {
  SealHello hello(2, noise_public_key(k_keys[1].secret), std::string(32, 'c'));
  SealHello theirs(2, noise_public_key(std::string(32, 'm')), std::string(32, 'c'));
  const auto forged = welcome({{.id = 2, .secret = std::string(32, 'm')}}, theirs.body(), std::string(32, 's'));
  ASSERT_TRUE(forged.ok());
  EXPECT_FALSE(hello.finish(forged->body).ok());
  EXPECT_FALSE(SealHello(2, noise_public_key(k_keys[1].secret), std::string(32, 'c')).finish("").ok());
}

}  // namespace
}  // namespace hongyan::access
