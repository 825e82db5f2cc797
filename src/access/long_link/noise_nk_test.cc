// Goal: our half of Noise is everybody's Noise. Method: the vector of the cacophony collection for this protocol, and each
// way in which a handshake must fail.
#include "access/long_link/noise_nk.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace hongyan::access {
namespace {

std::string hex(std::string_view text) { return *from_hex(text); }

const std::string k_prologue = "John Galt";
const std::string k_static = hex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
const std::string k_static_public = hex("31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");
const std::string k_fresh_initiator = hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
const std::string k_fresh_responder = hex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");

TEST(NoiseNk, public_vector_is_met_byte_for_byte) {
  EXPECT_EQ(noise_public_key(k_static), k_static_public);
  NoiseNk initiator = NoiseNk::initiator(k_prologue, k_static_public, k_fresh_initiator);
  NoiseNk responder = NoiseNk::responder(k_prologue, k_static, k_fresh_responder);
  const auto first = initiator.write("Ludwig von Mises");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(to_hex(*first),
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
            "8134d00711fdb390a0d178fa008f6d47d2891e5ea18ae136c3b4c23ac384efb0");
  EXPECT_EQ(*responder.read(*first), "Ludwig von Mises");
  const auto second = responder.write("Murray Rothbard");
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(to_hex(*second),
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
            "8ea16e3701bc0d77744f117bee22451c9afa7f4cdbbcff00c04a8ee0913c88");
  EXPECT_EQ(*initiator.read(*second), "Murray Rothbard");
  EXPECT_EQ(to_hex(initiator.hash()), "2efa38a9c7c93ac98f3a097af25c2f58b9e7673787717bc27e98827118c2c1a5");
  EXPECT_EQ(responder.hash(), initiator.hash());

  const NoiseKeys ours = initiator.split(), theirs = responder.split();
  EXPECT_EQ(ours.to_responder, theirs.to_responder);
  EXPECT_EQ(ours.to_initiator, theirs.to_initiator);
  EXPECT_EQ(to_hex(noise_encrypt(ours.to_responder, 0, "", "F. A. Hayek")), "a62de29ce27cb80245d440d986ed816c156e9d757d7008df2198b0");
  EXPECT_EQ(to_hex(noise_encrypt(theirs.to_initiator, 0, "", "Carl Menger")), "174a35f11c689f4530d7208618e0564ae12f2f50ba8eb4df5382ff");
  EXPECT_EQ(to_hex(noise_encrypt(ours.to_responder, 1, "", "Jean-Baptiste Say")), "337e475ebb8eae60f91974c4e455a5af38d1d8628d1803b160d60442874b0a1777");
  EXPECT_EQ(*noise_decrypt(theirs.to_initiator, 1, "", hex("047e80e060b7bb08b53c5a23dfe9920cae135b9d1dc6302fc475003062723700366346ac9d")),
            "Eugen B\xf6" "hm von Bawerk");
}

TEST(NoiseNk, another_static_key_prologue_or_byte_ends_the_handshake) {
  const std::string first = *NoiseNk::initiator(k_prologue, k_static_public, k_fresh_initiator).write("");
  EXPECT_TRUE(NoiseNk::responder(k_prologue, k_static, k_fresh_responder).read(first).ok());
  EXPECT_FALSE(NoiseNk::responder(k_prologue, k_fresh_initiator, k_fresh_responder).read(first).ok());
  EXPECT_FALSE(NoiseNk::responder("John Gal", k_static, k_fresh_responder).read(first).ok());
  for (size_t i = 0; i < first.size(); ++i) {
    std::string flipped = first;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_FALSE(NoiseNk::responder(k_prologue, k_static, k_fresh_responder).read(flipped).ok()) << i;
    EXPECT_FALSE(NoiseNk::responder(k_prologue, k_static, k_fresh_responder).read(first.substr(0, i)).ok()) << i;
  }
}

TEST(NoiseNk, keys_that_make_every_secret_zero_are_refused) {
  const std::string zero(32, '\0'), one = "\x01" + std::string(31, '\0');
  for (const std::string& key : {zero, one}) {
    EXPECT_FALSE(NoiseNk::responder(k_prologue, k_static, k_fresh_responder).read(key + std::string(16, 'x')).ok());
    EXPECT_FALSE(NoiseNk::initiator(k_prologue, key, k_fresh_initiator).write("").ok());
  }
}

}  // namespace
}  // namespace hongyan::access
