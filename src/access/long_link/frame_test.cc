// Goal: frames are mars' frames however the bytes are cut, and nothing a frame says of itself is believed before it is
// checked. Method: the bytes that a mars client was seen to send; every cut.
#include "access/long_link/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"

namespace hongyan::access {
namespace {

// Task 101, cmdid 11, body "hello", version 200, as the default packer of mars sends it.
const std::string k_hello = *from_hex("00000014000000c80000000b000000650000000568656c6c6f");

std::string head(uint32_t head_length, uint32_t body_length) {
  std::string out;
  for (uint32_t value : {head_length, 200u, 11u, 101u, body_length}) put_u32(out, value);
  return out;
}
struct Parsed {
  std::vector<Frame> frames;
  FrameParser parser;
};
Parsed parse(std::string_view bytes, size_t piece) {
  Parsed out;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), piece))) {
    std::string_view part = bytes.substr(0, piece);
    while (auto frame = out.parser.take(part)) out.frames.push_back(std::move(*frame));
  }
  return out;
}

TEST(Frame, is_what_a_mars_client_sends) {
  const Parsed parsed = parse(k_hello, 1000);
  ASSERT_EQ(parsed.frames.size(), 1u);
  EXPECT_EQ(parsed.frames[0].client_version, 200u);
  EXPECT_EQ(parsed.frames[0].cmdid, 11u);
  EXPECT_EQ(parsed.frames[0].seq, 101u);
  EXPECT_EQ(parsed.frames[0].body, "hello");
  std::string again;
  append_frame(again, 200, 11, 101, "hello");
  EXPECT_EQ(again, k_hello);
}

TEST(Frame, may_be_cut_anywhere_and_come_in_one_piece_with_others) {
  const std::string noop = *from_hex("00000014000000c800000006ffffffff00000000");
  const std::string bytes = k_hello + noop + k_hello + noop;
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Parsed parsed = parse(bytes, piece);
    ASSERT_EQ(parsed.frames.size(), 4u) << piece;
    EXPECT_EQ(parsed.frames[2].body, "hello");
    EXPECT_EQ(parsed.frames[3].seq, k_seq_noop);
    EXPECT_TRUE(parsed.parser.between_frames());
  }
  for (size_t cut = 1; cut < k_hello.size(); ++cut) {
    FrameParser parser;
    std::string_view first = std::string_view(k_hello).substr(0, cut), second = std::string_view(k_hello).substr(cut);
    EXPECT_FALSE(parser.take(first)) << cut;
    EXPECT_FALSE(parser.between_frames());
    EXPECT_TRUE(parser.take(second)) << cut;
  }
}

TEST(Frame, options_are_skipped_and_not_kept) {
  const std::string bytes = head(20 + 1000, 5) + std::string(1000, 'o') + "hello" + k_hello;
  for (size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    const Parsed parsed = parse(bytes, piece);
    ASSERT_EQ(parsed.frames.size(), 2u) << piece;
    EXPECT_EQ(parsed.frames[0].body, "hello");
  }
  Parsed half = parse(std::string_view(bytes).substr(0, 900), 900);
  EXPECT_LE(half.parser.unfinished_bytes(), k_frame_head_bytes);
}

TEST(Frame, of_exactly_one_mebibyte_passes_and_one_byte_more_is_broken) {
  const std::string body(k_frame_bytes_max - 20, 'b');
  EXPECT_EQ(parse(head(20, static_cast<uint32_t>(body.size())) + body, 65536).frames.size(), 1u);
  EXPECT_TRUE(parse(head(20, static_cast<uint32_t>(body.size()) + 1), 20).parser.broken());
  EXPECT_TRUE(parse(head(21, static_cast<uint32_t>(body.size())), 20).parser.broken());
}

TEST(Frame, lengths_that_lie_are_broken_before_a_byte_is_kept) {
  for (const auto& [head_length, body_length] : std::vector<std::pair<uint32_t, uint32_t>>{
           {20, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}, {0xFFFFFFFF, 0}, {0, 5}, {19, 5}, {20, 0x80000000}}) {
    Parsed parsed = parse(head(head_length, body_length) + std::string(100, 'x'), 1000);
    EXPECT_TRUE(parsed.parser.broken()) << head_length << " " << body_length;
    EXPECT_TRUE(parsed.frames.empty());
    EXPECT_EQ(parsed.parser.unfinished_bytes(), 0u);
    std::string_view more = k_hello;
    EXPECT_FALSE(parsed.parser.take(more));
  }
}

TEST(Frame, kinds_follow_mars_numbers) {
  const auto kind = [](uint32_t cmdid, uint32_t seq) { return kind_of({.cmdid = cmdid, .seq = seq, .body = {}}); };
  EXPECT_EQ(kind(6, 0xFFFFFFFF), FrameKind::noop);
  EXPECT_EQ(kind(237, 0xFFFFFFFE), FrameKind::identify);
  EXPECT_EQ(kind(0xFF000000 | 237, 0xFFFFFFFE), FrameKind::identify);
  EXPECT_EQ(kind(9, 0xFFFFFFFE), FrameKind::identify);
  EXPECT_EQ(kind(110, 7), FrameKind::identify);
  EXPECT_EQ(kind(301, 0xFFFFFFEF), FrameKind::command);
  EXPECT_EQ(kind(0, 7), FrameKind::command);
  EXPECT_EQ(kind(301, 0), FrameKind::broken);
}

}  // namespace
}  // namespace hongyan::access
