// Goal: counters add up and are drawn as OpenMetrics. Method: fixed values.
#include "runtime/counters/counters.h"

#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hongyan::runtime {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Counters, a_name_registered_twice_is_one_counter) {
  Counters counters;
  Counter& first = counters.counter("hongyan_x", "Help.");
  for (int i = 0; i < 1000; ++i) counters.counter("hongyan_y" + std::to_string(i), "Help.");
  first.add(2);
  counters.counter("hongyan_x", "Other help.").add(3);
  EXPECT_EQ(first.value(), 5);
  EXPECT_EQ(&counters.histogram("h", "us", "Help."), &counters.histogram("h", "us", "Help."));
}

TEST(Counters, the_text_is_open_metrics) {
  Counters counters;
  counters.counter("hongyan_sends", "Messages \"sent\"\nso far.").add(7);
  counters.counter("hongyan_online", "People.", CounterKind::gauge).set(-1);
  Histogram& waits = counters.histogram("hongyan_wait", "us", "Waiting.");
  waits.record(0);
  waits.record(3);
  waits.record(4);
  waits.record(int64_t{1} << 50);
  const std::string text = counters.open_metrics();
  EXPECT_THAT(
      text,
      StartsWith(
          "# TYPE hongyan_sends counter\n# HELP hongyan_sends Messages \\\"sent\\\"\\nso far.\n"
          "hongyan_sends_total 7\n# TYPE hongyan_online gauge\n"));
  EXPECT_THAT(text, HasSubstr("\nhongyan_online -1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE hongyan_wait_us histogram\n# UNIT hongyan_wait_us us\n"));
  EXPECT_THAT(text,
              HasSubstr("hongyan_wait_us_bucket{le=\"1\"} 1\nhongyan_wait_us_bucket{le=\"3\"} 2\n"
                        "hongyan_wait_us_bucket{le=\"7\"} 3\n"));
  EXPECT_THAT(
      text,
      HasSubstr("hongyan_wait_us_bucket{le=\"+Inf\"} 4\nhongyan_wait_us_sum 1125899906842631\n"
                "hongyan_wait_us_count 4\n"));
  EXPECT_THAT(text, EndsWith("\n# EOF\n"));
}

TEST(Histogram, quantiles_are_within_their_error_over_the_whole_range) {
  for (int64_t value = 1; value < int64_t{1} << 41; value += 1 + value / 7) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(int64_t{1} << 60);  // So that the maximum does not correct the answer.
    const auto got = static_cast<double>(histogram.quantile(0.5));
    EXPECT_NEAR(got, static_cast<double>(value), 0.19 * static_cast<double>(value)) << value;
  }
}

TEST(Histogram, quantiles_find_their_place) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (int i = 1; i <= 1000; ++i) histogram.record(i);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), 500, 95);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.99)), 990, 190);
  EXPECT_EQ(histogram.quantile(0), 1);
  EXPECT_LE(histogram.quantile(1), 1000);
  EXPECT_EQ(histogram.max(), 1000);
  EXPECT_EQ(histogram.count(), 1000u);
}

TEST(Counters, labels_share_one_family) {
  Counters counters;
  counters.counter("calls", "Calls.", CounterKind::counter, "method=\"a.B.C\"").add(1);
  counters.counter("other", "Other.").add(9);
  counters.counter("calls", "Calls.", CounterKind::counter, "method=\"a.B.D\"").add(2);
  counters.histogram("took", "us", "Took.", "method=\"a.B.C\"").record(5);
  const std::string text = counters.open_metrics();
  EXPECT_THAT(text, StartsWith("# TYPE calls counter\n# HELP calls Calls.\ncalls_total{method=\"a.B.C\"} 1\n"
                               "calls_total{method=\"a.B.D\"} 2\n# TYPE other counter\n"));
  EXPECT_THAT(text, HasSubstr("took_us_bucket{method=\"a.B.C\",le=\"7\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("took_us_sum{method=\"a.B.C\"} 5\n"));
}

// More threads than slots: those that share one lose nothing either.
TEST(Counters, additions_of_many_threads_are_all_counted) {
  constexpr int k_threads = 12;
  constexpr int k_each = 20'000;
  Counters counters;
  Counter& counter = counters.counter("n", "Help.");
  Histogram& histogram = counters.histogram("h", "us", "Help.");
  std::vector<std::thread> threads;
  for (int t = 0; t < k_threads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < k_each; ++i) {
        counter.add(1);
        histogram.record(i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), k_threads * k_each);
  EXPECT_EQ(histogram.count(), static_cast<uint64_t>(k_threads * k_each));
  EXPECT_EQ(histogram.max(), k_each - 1);
  EXPECT_EQ(histogram.sample().value, int64_t{k_threads} * k_each * (k_each - 1) / 2);
}

TEST(Counters, a_set_replaces_what_other_threads_added) {
  Counters counters;
  Counter& gauge = counters.counter("g", "Help.", CounterKind::gauge);
  gauge.add(5);
  std::thread([&] { gauge.add(7); }).join();
  gauge.set(3);
  EXPECT_EQ(gauge.value(), 3);
  gauge.add(-4);
  EXPECT_EQ(gauge.value(), -1);
}

// As many as no memory was made for: they work all the same.
TEST(Counters, thousands_of_names_are_kept_apart) {
  Counters counters;
  for (int i = 0; i < 3000; ++i) counters.counter("c" + std::to_string(i), "Help.").add(i);
  for (int i = 0; i < 50; ++i) counters.histogram("h" + std::to_string(i), "us", "Help.").record(i);
  const auto samples = counters.samples();
  ASSERT_EQ(samples.size(), 3050u);
  for (size_t i = 0; i < 3000; ++i) EXPECT_EQ(samples[i].value, static_cast<int64_t>(i));
  EXPECT_EQ(samples[3049].value, 49);
}

TEST(Counters, long_texts_are_cut) {
  Counters counters;
  counters.counter("n", std::string(1000, 'x')).add(1);
  EXPECT_EQ(counters.samples()[0].help.size(), counter_format::k_help_bytes - 1);
}

// --- the reader and what is wrong with bytes ---

struct Written {
  struct Memory : CounterMemory {
    explicit Memory(std::vector<uint64_t>& of) : words(of) {}
    std::span<char> bytes() override { return {reinterpret_cast<char*>(words.data()), words.size() * 8}; }
    std::vector<uint64_t>& words;
  };
  std::vector<uint64_t> words = std::vector<uint64_t>(k_shared_counters.bytes() / 8);
  Counters counters{std::make_unique<Memory>(words), 4711, 12345};
  std::string bytes() const { return {reinterpret_cast<const char*>(words.data()), words.size() * 8}; }
};

template <typename Field>
void put(std::string& bytes, size_t at, Field value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

TEST(ReadCounters, what_was_written_is_read) {
  Written written;
  written.counters.counter("hongyan_x", "Help.").add(-3);
  written.counters.histogram("hongyan_h", "us", "Help.", "a=\"b\"").record(100);
  const auto read = read_counters(written.bytes());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->process, 4711u);
  EXPECT_EQ(read->born_utc_ms, 12345);
  ASSERT_EQ(read->samples.size(), 2u);
  EXPECT_EQ(read->samples[0].name, "hongyan_x");
  EXPECT_EQ(read->samples[0].value, -3);
  EXPECT_EQ(read->samples[1].labels, "a=\"b\"");
  EXPECT_EQ(read->samples[1].count(), 1u);
  EXPECT_EQ(read->samples[1].quantile(1), 100);
  EXPECT_EQ(open_metrics(read->samples), written.counters.open_metrics());
}

TEST(ReadCounters, damage_is_told_and_never_followed) {
  using counter_format::k_header_bytes;
  Written written;
  written.counters.counter("hongyan_x", "Help.").add(1);
  const std::string good = written.bytes();
  ASSERT_TRUE(read_counters(good).ok());
  const auto code_of = [&](auto damage) {
    std::string bytes = good;
    damage(bytes);
    return read_counters(bytes).code();
  };
  EXPECT_EQ(code_of([](std::string& b) { b.clear(); }), Code::corrupt);
  EXPECT_EQ(code_of([](std::string& b) { b.resize(b.size() - 1); }), Code::corrupt);
  EXPECT_EQ(code_of([](std::string& b) { b[0] = 'X'; }), Code::corrupt);
  EXPECT_EQ(code_of([](std::string& b) { put(b, 8, uint32_t{99}); }), Code::corrupt);            // Version.
  EXPECT_EQ(code_of([](std::string& b) { put(b, 12, ~uint32_t{0}); }), Code::corrupt);           // Slots.
  EXPECT_EQ(code_of([](std::string& b) { put(b, 16, ~uint32_t{0}); }), Code::corrupt);           // Names.
  EXPECT_EQ(code_of([](std::string& b) { put(b, 20, ~uint32_t{0}); }), Code::corrupt);           // Cells.
  EXPECT_EQ(code_of([](std::string& b) { put(b, 24, uint32_t{1025}); }), Code::corrupt);         // Names in use.
  EXPECT_EQ(code_of([](std::string& b) { put(b, 24, uint32_t{2}); }), Code::corrupt);            // One is empty.
  EXPECT_EQ(code_of([](std::string& b) { put(b, k_header_bytes, uint32_t{7}); }), Code::corrupt);       // Kind.
  EXPECT_EQ(code_of([](std::string& b) { put(b, k_header_bytes + 4, ~uint32_t{0}); }), Code::corrupt);  // Place.
  EXPECT_EQ(code_of([](std::string& b) { put(b, k_header_bytes + 8, uint32_t{2}); }), Code::corrupt);   // Size.
  EXPECT_EQ(code_of([](std::string& b) { b.replace(k_header_bytes + 16, 96, 96, 'x'); }), Code::corrupt);
  EXPECT_EQ(code_of([](std::string& b) { b[k_header_bytes + 16] = '<'; }), Code::corrupt);
}

}  // namespace
}  // namespace hongyan::runtime
