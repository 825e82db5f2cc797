// Goal: who called whom is kept rightly, what is not sampled costs nothing, and nobody outside can have everything traced.
// Method: spans started and ended by hand in virtual time.
#include "runtime/trace/tracer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/testing/test_env.h"
#include "runtime/trace/otlp.h"
#include "runtime/trace/span_file.h"
#include "runtime/trace/traceparent.h"

namespace hongyan::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr Trace k_asked{.id = 2, .parent = 3, .id_high = 1, .sampled = true};

struct TracerTest : ::testing::Test {
  TestEnv env;
  Tracer& tracer = env.tracer();
};

TEST_F(TracerTest, a_request_without_a_trace_gets_one_and_chance_decides_who_is_sampled) {
  Trace first, second;
  tracer.begin(first, Tracer::From::outside);
  tracer.begin(second, Tracer::From::outside);
  EXPECT_NE(first.id, 0u);
  EXPECT_NE(first.id, second.id);
  EXPECT_FALSE(first.sampled);
  EXPECT_EQ(tracer.start(Span::Kind::server, "a.B", first), nullptr);
  tracer.set_share(0.25);
  int sampled = 0;
  for (int i = 0; i < 4000; ++i) {
    Trace trace;
    tracer.begin(trace, Tracer::From::outside);
    sampled += trace.sampled ? 1 : 0;
  }
  EXPECT_NEAR(sampled, 1000, 200);
  tracer.set_share(1);
  Trace all;
  tracer.begin(all, Tracer::From::deployment);
  EXPECT_TRUE(all.sampled);
  tracer.set_share(0);
  Trace decided{.id = 7, .parent = 1};  // Somebody said no.
  tracer.begin(decided, Tracer::From::deployment);
  EXPECT_EQ(decided.id, 7u);
  EXPECT_FALSE(decided.sampled);
}

TEST_F(TracerTest, callers_outside_have_only_so_many_traced_a_second) {
  const auto asked = [&](Tracer::From from) {
    uint64_t taken = 0;
    for (uint64_t i = 0; i < 3 * Tracer::k_outside_per_second; ++i) {
      Trace trace = k_asked;
      tracer.begin(trace, from);
      taken += trace.sampled ? 1 : 0;
      EXPECT_EQ(trace.id, k_asked.id);
    }
    return taken;
  };
  EXPECT_EQ(asked(Tracer::From::outside), Tracer::k_outside_per_second);
  EXPECT_EQ(asked(Tracer::From::outside), 0u);
  EXPECT_EQ(asked(Tracer::From::deployment), 3 * Tracer::k_outside_per_second);
  run_in_coroutine(env, [&] {
    Call call = env.call();
    ASSERT_TRUE(sleep(call, 1s).ok());
    EXPECT_EQ(asked(Tracer::From::outside), Tracer::k_outside_per_second);
  });
}

TEST_F(TracerTest, spans_under_a_span_are_its_children_and_the_oldest_are_forgotten) {
  run_in_coroutine(env, [&] {
    Call call = env.call();
    Trace trace = k_asked;
    auto outer = tracer.start(Span::Kind::server, "a.B.Outer", trace);
    ASSERT_NE(outer, nullptr);
    const uint64_t outer_id = outer->id;
    Trace below = trace;
    ASSERT_TRUE(sleep(call, 5ms).ok());
    auto inner = tracer.start(Span::Kind::client, "a.B.Inner", below);
    ASSERT_TRUE(sleep(call, 2ms).ok());
    tracer.finish(inner, Code::io, 7);
    EXPECT_EQ(inner, nullptr);
    tracer.finish(outer, Code::ok);
    const auto spans = tracer.of_trace(1, 2);
    ASSERT_EQ(spans.size(), 2u);  // By their starts.
    EXPECT_EQ(spans[0]->id, outer_id);
    EXPECT_EQ(spans[0]->parent, 3u);
    EXPECT_EQ(spans[1]->parent, outer_id);
    EXPECT_EQ(spans[1]->code, Code::io);
    EXPECT_EQ(spans[1]->uin, 7u);
    EXPECT_EQ(spans[1]->end - spans[1]->start, 2ms);
    EXPECT_EQ(spans[1]->start_utc_ns - spans[0]->start_utc_ns, 5'000'000);
    for (size_t i = 0; i < 2 * Tracer::k_kept; ++i) {
      Trace other = k_asked;
      other.id = 9;
      auto span = tracer.start(Span::Kind::internal, "x", other);
      tracer.finish(span, Code::ok);
    }
    EXPECT_EQ(tracer.kept().size(), Tracer::k_kept);
    EXPECT_EQ(tracer.finished(), 2 * Tracer::k_kept + 2);
    EXPECT_TRUE(tracer.of_trace(1, 2).empty());
  });
}

TEST(Traceparent, is_written_as_it_is_read) {
  const std::string text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto trace = parse_traceparent(text);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(format_traceparent(*trace), text);
  EXPECT_EQ(trace->id_high, 0x0af7651916cd43ddu);
  EXPECT_EQ(trace->parent, 0xb7ad6b7169203331u);
}

TEST(Otlp, is_what_the_standard_says) {
  Span server;
  server.trace_high = 1;
  server.trace_low = 2;
  server.id = 3;
  server.kind = Span::Kind::server;
  server.name = "hongyan.Chat.Send";
  server.start_utc_ns = 1'700'000'000'000'000'001;
  server.end = server.start + 5us;
  server.uin = 7;
  Span client = server;
  client.id = 4;
  client.parent = 3;
  client.kind = Span::Kind::client;
  client.code = Code::io;
  client.name = "poll";
  client.peer = "10.0.0.1:\"80\"";
  const Span* spans[] = {&server, &client};
  EXPECT_EQ(otlp_line({.service = "hongyan-chat", .version = "1.2", .process = 42}, spans),
            R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hongyan-chat"}},)"
            R"({"key":"service.version","value":{"stringValue":"1.2"}},{"key":"process.pid","value":{"intValue":"42"}}]},)"
            R"("scopeSpans":[{"scope":{"name":"hongyan.rpc"},"spans":[)"
            R"({"traceId":"00000000000000010000000000000002","spanId":"0000000000000003","name":"hongyan.Chat.Send","kind":2,)"
            R"("startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000005001","attributes":[)"
            R"({"key":"rpc.system","value":{"stringValue":"hongyan"}},{"key":"rpc.service","value":{"stringValue":"hongyan.Chat"}},)"
            R"({"key":"rpc.method","value":{"stringValue":"Send"}},{"key":"hongyan.code","value":{"intValue":"0"}},)"
            R"({"key":"enduser.id","value":{"stringValue":"7"}}],"status":{"code":1}},)"
            R"({"traceId":"00000000000000010000000000000002","spanId":"0000000000000004","parentSpanId":"0000000000000003",)"
            R"("name":"poll","kind":3,"startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000005001","attributes":[)"
            R"({"key":"rpc.system","value":{"stringValue":"hongyan"}},{"key":"rpc.method","value":{"stringValue":"poll"}},)"
            R"({"key":"hongyan.code","value":{"intValue":"16"}},{"key":"enduser.id","value":{"stringValue":"7"}},)"
            R"({"key":"server.address","value":{"stringValue":"10.0.0.1:\"80\""}}],"status":{"code":2}}]}]}]})"
            "\n");
}

struct SpanFileTest : TracerTest {
  SpanFileTest() { EXPECT_TRUE(env.disk().make_directories("d").ok()); }
  void spans(int count) {
    for (int i = 0; i < count; ++i) {
      Trace trace = k_asked;
      auto span = tracer.start(Span::Kind::server, "a.B.C", trace);
      tracer.finish(span, Code::ok);
    }
  }
  std::string text(const std::string& path) {
    auto file = env.disk().open(path, OpenMode::read);
    return file.ok() ? (*file)->read_at(0, 100 << 20).value() : "";
  }
  static size_t count(std::string_view text, std::string_view of) {
    size_t found = 0;
    for (size_t at = text.find(of); at != std::string_view::npos; at = text.find(of, at + 1)) ++found;
    return found;
  }
};

TEST_F(SpanFileTest, what_ends_is_written_in_bounded_lines_at_the_latest_at_the_stop) {
  run_in_coroutine(env, [&] {
    SpanFile file(env, {.path = "d/spans"});
    file.start();
    Call call = env.call();
    spans(1);
    ASSERT_TRUE(sleep(call, 5s).ok());
    EXPECT_EQ(count(text("d/spans"), "\"spanId\""), 1u);
    spans(600);
    file.stop();
    EXPECT_EQ(count(text("d/spans"), "\"spanId\""), 601u);
    EXPECT_EQ(count(text("d/spans"), "\n"), 1u + 3u);
  });
}

TEST_F(SpanFileTest, a_full_file_is_moved_aside_and_both_stay_small) {
  run_in_coroutine(env, [&] {
    SpanFile file(env, {.path = "d/spans", .bytes_max = 2000});
    file.start();
    Call call = env.call();
    for (int i = 0; i < 20; ++i) {
      spans(1);
      ASSERT_TRUE(sleep(call, 2s).ok());
    }
    file.stop();
    EXPECT_LE(text("d/spans").size(), 2000u);
    EXPECT_LE(text("d/spans.1").size(), 2000u);
    EXPECT_GT(count(text("d/spans.1"), "\n"), 1u);
  });
}

TEST_F(SpanFileTest, what_comes_faster_than_it_is_written_is_counted) {
  run_in_coroutine(env, [&] {
    SpanFile file(env, {.path = "d/spans"});
    file.start();
    spans(static_cast<int>(Tracer::k_kept) + 10);
    file.stop();
    EXPECT_EQ(count(text("d/spans"), "\"spanId\""), Tracer::k_kept);
    EXPECT_EQ(env.counters().counter("hongyan_trace_lost", "").value(), 10);
  });
}

}  // namespace
}  // namespace hongyan::runtime
