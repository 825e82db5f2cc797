// Goal: the value types everything rests on. Method: fixed vectors and round trips.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/result.h"
#include "base/utf8.h"

namespace hongyan {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Status(Code::invalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) { return TRY(half(TRY(half(n)))); }
Status only_even(int n) {
  TRY(half(n));
  return {};
}

TEST(Result, try_passes_the_first_failure_up) {
  EXPECT_EQ(quarter(12).value(), 3);
  EXPECT_EQ(quarter(6).code(), Code::invalid);
  EXPECT_TRUE(only_even(2).ok());
  EXPECT_EQ(only_even(3).detail(), "odd");
}

TEST(Utf8, only_the_shortest_form_of_what_may_stand_alone) {
  for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xe9\xb8\xbf\xe9\x9b\x81"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xef\xbf",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc2" "b"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
  // Also far into a text, which is looked at in larger steps, wherever it stands in one.
  for (size_t before = 0; before < 40; ++before) {
    const std::string ascii(before, 'a');
    EXPECT_TRUE(is_utf8(ascii + "\xe9\xb8\xbf" + ascii));
    EXPECT_FALSE(is_utf8(ascii + "\xff" + ascii));
    EXPECT_FALSE(is_utf8(ascii + "\xe9\xb8"));
  }
  EXPECT_EQ(code_point("\xe9\xb8\xbf!").value, 0x9e3fu);
  EXPECT_EQ(code_point("\xe9\xb8\xbf!").length, 3u);
}

TEST(Bytes, big_endian_integers_sort_as_numbers) {
  std::string previous;
  for (uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string key;
    put_u64(key, n);
    EXPECT_LT(previous, key);
    EXPECT_EQ(Reader(key).u64(), n);
    previous = key;
  }
}

TEST(Bytes, reader_refuses_what_is_not_there) {
  std::string out;
  put_sized(out, "hello");
  put_varint(out, 300);
  Reader good(out);
  EXPECT_EQ(good.sized(), "hello");
  EXPECT_EQ(good.varint(), 300u);
  EXPECT_TRUE(good.empty());
  for (size_t cut = 0; cut < out.size(); ++cut) {
    Reader short_one(std::string_view(out).substr(0, cut));
    EXPECT_FALSE(short_one.sized().has_value() && short_one.varint().has_value()) << cut;
  }
  EXPECT_EQ(Reader(std::string(10, '\xff')).varint(), std::nullopt);  // Over 64 bits.
  EXPECT_EQ(Reader("\xff\xff\xff\xff\x0f").sized(), std::nullopt);    // A length of 4 GiB.
}

TEST(Bytes, a_reader_that_failed_once_gives_nothing_more) {
  Reader reader("abcdef");
  EXPECT_EQ(reader.u64(), std::nullopt);
  EXPECT_EQ(reader.u8(), std::nullopt);  // Though six bytes are there.
  EXPECT_EQ(reader.bytes(0), std::nullopt);
  EXPECT_TRUE(reader.rest().empty());
  Reader sized(std::string_view("\x09six", 4));
  EXPECT_EQ(sized.sized(), std::nullopt);
  EXPECT_EQ(sized.u8(), std::nullopt);
}

TEST(Bytes, text_forms_round_trip_and_refuse_other_spellings) {
  const std::string bytes("\x00\xff\x10\x7f\x80", 5);
  EXPECT_EQ(to_hex(bytes), "00ff107f80");
  EXPECT_EQ(from_hex("00FF107f80"), bytes);
  EXPECT_EQ(from_hex("0"), std::nullopt);
  for (size_t n = 0; n <= bytes.size(); ++n) EXPECT_EQ(from_base64(to_base64(bytes.substr(0, n))), bytes.substr(0, n));
  EXPECT_EQ(from_base64("_-8"), from_base64("/+8="));
  EXPECT_EQ(from_base64("QR=="), std::nullopt);  // Unused bits set.
  EXPECT_EQ(from_base64("a b"), std::nullopt);
}

TEST(Bytes, comparison_in_constant_time_compares) {
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

TEST(Hash, values_never_change) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);  // RFC 3720 appendix B.
  EXPECT_EQ(stable_hash(""), stable_hash(""));
  EXPECT_NE(stable_hash("a"), stable_hash("b"));
  EXPECT_NE(stable_hash(std::string("a\0", 2)), stable_hash("a"));
}

TEST(Random, the_same_seed_gives_the_same_numbers_within_bounds) {
  Random a(7), b(7);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t n = a.below(10);
    EXPECT_EQ(n, b.below(10));
    EXPECT_LT(n, 10u);
  }
}

}  // namespace
}  // namespace hongyan
