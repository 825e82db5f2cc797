// Goal: the log never makes its caller wait, loses nothing in silence and keeps the order. Method: a pipe that nobody
// reads is a disk that hangs.
#include "runtime/os/line_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace hongyan::runtime {
namespace {

struct LineLogTest : testing::Test {
  LineLogTest() { EXPECT_EQ(pipe(ends), 0); }
  ~LineLogTest() override { close(ends[0]); }

  std::string read_to_end() {
    std::string all;
    char buffer[65536];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
    return all;
  }
  int ends[2];
};

TEST_F(LineLogTest, a_disk_that_hangs_holds_nobody_up_and_what_is_lost_is_told) {
  Counters counters;
  Counter& drops = counters.counter("drops", "Help.");
  auto log = std::make_unique<LineLog>(ends[1]);
  log->count_drops_in(&drops);
  const std::string text(1000, 'x');
  int lines = 0;
  while (drops.value() < 10) log->info("n={} {}", lines++, text);  // Ends: nothing of it waits.
  EXPECT_GT(lines, 1000);
  std::string all;
  std::thread reader([&] { all = read_to_end(); });
  log.reset();
  close(ends[1]);
  reader.join();
  EXPECT_NE(all.find("log: lines were dropped: the disk was too slow lines=10"), std::string::npos);
  size_t at = 0;
  for (int i = 0; i < lines - 10; ++i) {
    at = all.find(" info n=" + std::to_string(i) + " x", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST_F(LineLogTest, flush_returns_when_the_lines_are_written) {
  LineLog log(ends[1]);
  log.warning("user={}", 7);
  log.flush();
  char buffer[200];
  const ssize_t got = read(ends[0], buffer, sizeof(buffer));
  ASSERT_GT(got, 0);
  EXPECT_TRUE(std::string_view(buffer, static_cast<size_t>(got)).ends_with("Z warning user=7\n"));
  close(ends[1]);
}

}  // namespace
}  // namespace hongyan::runtime
