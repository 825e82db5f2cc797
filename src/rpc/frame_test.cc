// Goal: frames survive any cutting of the stream, and hostile bytes are refused before memory is taken for them.
// Method: encode, feed piecewise, compare; damage single fields.
#include "rpc/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;

void push(FrameParser& parser, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto space = parser.space();
    ASSERT_FALSE(space.empty());
    const size_t count = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), count);
    parser.filled(count);
    bytes.remove_prefix(count);
  }
}

// A frame that owns its bytes.
struct Kept {
  Frame frame;
  std::string text;
  std::string body;
};
std::vector<Kept> take_all(FrameParser& parser) {
  std::vector<Kept> out;
  for (;;) {
    const auto frame = parser.next();
    EXPECT_TRUE(frame.ok()) << frame.status().detail();
    if (!frame.ok() || !frame->has_value()) return out;
    out.push_back({**frame, std::string((**frame).text), std::string((**frame).body)});
  }
}

Frame request(std::string_view ticket, std::string_view body) {
  return {.kind = FrameKind::request, .call_id = 0x1122334455667788, .method = 0xaabbccdd, .remaining = 1500ms,
          .priority = {.business = 7, .user = 99}, .trace = {.id = 5, .parent = 6}, .text = ticket, .body = body};
}
Frame answer(std::string_view body) { return {.kind = FrameKind::answer, .call_id = 9, .body = body}; }

std::string encoded(const Frame& frame) {
  std::string out;
  put_frame(out, frame);
  return out;
}

TEST(Frame, carries_every_field) {
  FrameParser parser;
  push(parser, encoded(request("ticket", "body")));
  push(parser, encoded({.kind = FrameKind::answer, .call_id = 3, .code = Code::not_found, .text = "no such row"}));
  push(parser, encoded({.kind = FrameKind::goodbye, .call_id = 3}));
  const auto all = take_all(parser);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].frame.kind, FrameKind::request);
  EXPECT_EQ(all[0].frame.call_id, 0x1122334455667788u);
  EXPECT_EQ(all[0].frame.method, 0xaabbccddu);
  EXPECT_EQ(all[0].frame.remaining, 1500ms);
  EXPECT_EQ(all[0].frame.priority.business, 7);
  EXPECT_EQ(all[0].frame.priority.user, 99);
  EXPECT_EQ(all[0].frame.trace.id, 5u);
  EXPECT_EQ(all[0].frame.trace.parent, 6u);
  EXPECT_EQ(all[0].text, "ticket");
  EXPECT_EQ(all[0].body, "body");
  EXPECT_EQ(all[1].frame.code, Code::not_found);
  EXPECT_EQ(all[1].text, "no such row");
  EXPECT_EQ(all[1].frame.remaining, std::nullopt);
  EXPECT_EQ(all[2].frame.kind, FrameKind::goodbye);
  EXPECT_EQ(all[2].frame.call_id, 3u);
}

TEST(Frame, the_layout_never_changes) {
  EXPECT_EQ(to_hex(encoded(request("T", "B"))),
            "4859667201014800010000000100076388776655443322"
            "11ddccbbaa0000000060e316000000000005000000000000000600000000000000"
            "00000000000000000000000000000000"
            "5442");
}

TEST(Frame, remaining_time_is_bounded_on_both_ends) {
  FrameParser parser;
  Frame late = request("", "");
  late.remaining = -5s;
  push(parser, encoded(late));
  Frame long_time = request("", "");
  long_time.remaining = runtime::Duration::max();
  push(parser, encoded(long_time));
  std::string hostile = encoded(late);
  hostile.replace(32, 8, "\xfe\xff\xff\xff\xff\xff\xff\xff");
  push(parser, hostile);
  const auto all = take_all(parser);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].frame.remaining, 0s);
  EXPECT_EQ(all[1].frame.remaining, 24h);
  EXPECT_EQ(all[2].frame.remaining, 24h);
}

TEST(Frame, a_stream_cut_at_every_byte_gives_the_same_frames) {
  const std::string large(100, 'x');
  const std::string stream = encoded(request("ticket", large)) + encoded(answer("")) + encoded(request("", "end"));
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameParser parser;
    push(parser, stream.substr(0, cut));
    auto all = take_all(parser);
    push(parser, stream.substr(cut));
    for (auto& frame : take_all(parser)) all.push_back(frame);
    ASSERT_EQ(all.size(), 3u) << cut;
    EXPECT_EQ(all[0].body, large);
    EXPECT_EQ(all[2].body, "end");
  }
}

TEST(Frame, random_sizes_in_random_pieces_come_out_whole) {
  const uint64_t seed = 7;
  Random random(seed);
  std::vector<std::string> bodies;
  std::string stream;
  for (int i = 0; i < 200; ++i) {
    bodies.emplace_back(random.one_in(10) ? random.below(200'000) : random.below(300), static_cast<char>('a' + i % 26));
    stream += encoded(answer(bodies.back()));
  }
  FrameParser parser;
  std::vector<std::string> got;
  for (size_t at = 0; at < stream.size();) {
    const size_t count = std::min<size_t>(stream.size() - at, 1 + random.below(50'000));
    push(parser, std::string_view(stream).substr(at, count));
    at += count;
    for (auto& frame : take_all(parser)) got.push_back(frame.body);
  }
  EXPECT_EQ(got, bodies) << "seed " << seed;
}

TEST(Frame, the_largest_body_passes_and_its_memory_is_given_back) {
  FrameParser parser;
  push(parser, encoded(answer(std::string(k_frame_body_bytes_max, 'x'))));
  auto all = take_all(parser);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].body.size(), k_frame_body_bytes_max);
  (void)parser.space();
  EXPECT_LE(parser.capacity(), 64u * 1024);
}

TEST(Frame, a_head_that_announces_much_takes_no_memory_until_it_comes) {
  FrameParser parser;
  const std::string stream = encoded(answer(std::string(k_frame_body_bytes_max, 'x')));
  push(parser, stream.substr(0, 1000));
  EXPECT_TRUE(take_all(parser).empty());
  (void)parser.space();
  EXPECT_LE(parser.capacity(), 64u * 1024);
}

struct Damage {
  const char* name;
  size_t at;
  std::string bytes;
};

TEST(Frame, bytes_that_are_no_frame_are_refused_at_the_head) {
  const std::string good = encoded(request("ticket", "body"));
  const std::vector<Damage> damages = {
      {"magic", 0, "X"},
      {"version", 4, std::string("\x02", 1)},
      {"kind 0", 5, std::string("\0", 1)},
      {"kind 6", 5, std::string("\x06", 1)},
      {"short head", 6, std::string("\x37\x00", 2)},
      {"long head", 6, std::string("\x01\x01", 2)},
      {"body over the limit", 8, std::string("\x01\x00\x80\x00", 4)},
      {"body 0xffffffff", 8, "\xff\xff\xff\xff"},
      {"ticket over the limit", 12, std::string("\x01\x02", 2)},
  };
  for (const auto& damage : damages) {
    std::string bad = good;
    bad.replace(damage.at, damage.bytes.size(), damage.bytes);
    FrameParser parser;
    push(parser, bad.substr(0, k_frame_head_bytes));  // The head is enough.
    EXPECT_EQ(parser.next().code(), Code::invalid) << damage.name;
    push(parser, good);
    EXPECT_EQ(parser.next().code(), Code::invalid) << damage.name;  // There is no way back into the stream.
    EXPECT_LE(parser.capacity(), 64u * 1024) << damage.name;
  }
}

TEST(Frame, another_protocol_is_refused_at_its_first_byte) {
  FrameParser parser;
  push(parser, "G");
  EXPECT_EQ(parser.next().code(), Code::invalid);
}

TEST(Frame, a_detail_may_be_longer_than_a_ticket_and_a_goodbye_has_neither) {
  FrameParser parser;
  push(parser, encoded({.kind = FrameKind::answer, .code = Code::io, .text = std::string(1024, 'd')}));
  ASSERT_EQ(take_all(parser).size(), 1u);
  std::string bad = encoded({.kind = FrameKind::answer, .code = Code::io, .text = "d"});
  bad[5] = 3;
  push(parser, bad);
  EXPECT_EQ(parser.next().code(), Code::invalid);
}

TEST(Frame, a_shorter_head_of_an_earlier_version_is_read) {
  std::string earlier = encoded(request("ticket", "body"));
  earlier[6] = static_cast<char>(k_frame_head_bytes_min);
  earlier.erase(k_frame_head_bytes_min, k_frame_head_bytes - k_frame_head_bytes_min);
  FrameParser parser;
  push(parser, earlier);
  const auto all = take_all(parser);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].text, "ticket");
  EXPECT_EQ(all[0].body, "body");
  EXPECT_EQ(all[0].frame.routing_key, 0u);
}

TEST(Frame, carries_routing_key_whole_trace_and_level) {
  FrameParser parser;
  Frame asked = request("", "");
  asked.routing_key = 0xfedcba9876543210;
  asked.trace = {.id = 1, .parent = 2, .id_high = 3, .sampled = true};
  push(parser, encoded(asked));
  push(parser, encoded({.kind = FrameKind::answer, .call_id = 3, .level = 9}));
  push(parser, encoded({.kind = FrameKind::answer, .call_id = 4, .level = 0}));
  push(parser, encoded({.kind = FrameKind::answer, .call_id = 5}));
  const auto all = take_all(parser);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].frame.routing_key, 0xfedcba9876543210u);
  EXPECT_EQ(all[0].frame.trace.id_high, 3u);
  EXPECT_TRUE(all[0].frame.trace.sampled);
  EXPECT_EQ(all[1].frame.level, 9u);
  EXPECT_EQ(all[2].frame.level, 0u);
  EXPECT_EQ(all[3].frame.level, std::nullopt);
}

TEST(Frame, lent_bytes_are_parsed_where_they_are_and_nothing_is_kept_between_frames) {
  const std::string stream = encoded(request("ticket", "one")) + encoded(request("", "two"));
  FrameParser parser;
  parser.lend(std::string_view(stream).substr(0, stream.size() - 1));
  const auto first = parser.next();
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_GE((**first).body.data(), stream.data());
  EXPECT_LT((**first).body.data(), stream.data() + stream.size());
  ASSERT_FALSE(parser.next()->has_value());
  parser.keep();
  std::string shared(stream.size(), ' ');
  const size_t kept = parser.take_rest(shared.data());
  shared[kept] = stream.back();
  parser.lend({shared.data(), kept + 1});
  EXPECT_EQ((**parser.next()).body, "two");
  parser.keep();
  EXPECT_EQ(parser.capacity(), 0u);
}

TEST(Frame, a_longer_head_of_a_later_version_is_skipped) {
  std::string later = encoded(request("ticket", "body"));
  later[6] = static_cast<char>(k_frame_head_bytes + 8);
  later.insert(k_frame_head_bytes, "new data");
  FrameParser parser;
  push(parser, later);
  const auto all = take_all(parser);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].text, "ticket");
  EXPECT_EQ(all[0].body, "body");
}

}  // namespace
}  // namespace hongyan::rpc
