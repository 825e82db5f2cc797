// Goal: counters add up and are drawn as OpenMetrics. Method: fixed values.
#include "runtime/counters/counters.h"

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

}  // namespace
}  // namespace hongyan::runtime
