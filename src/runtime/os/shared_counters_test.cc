// Goal: another process reads counters while they are written and after the writer was killed. Method: a child that
// writes without end, read from here, then killed with SIGKILL.
#include "runtime/os/shared_counters.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "runtime/os/os_env.h"

namespace hongyan::runtime {
namespace {

struct SharedCounters : testing::Test {
  SharedCounters() {
    std::string name = testing::TempDir() + "hongyan_counters_XXXXXX";
    directory = mkdtemp(name.data());
    path = directory + "/counters";
  }
  ~SharedCounters() override { std::filesystem::remove_all(directory); }
  std::string directory, path;
};

const CounterSample& find(const CounterSamples& all, std::string_view name) {
  for (const CounterSample& one : all.samples) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no " << name;
  static const CounterSample none;
  return none;
}

// Adds to both for ever: the histogram's sample is the counter's value.
[[noreturn]] void write_for_ever(const std::string& path, int ready) {
  auto memory = make_shared_counters(path);
  if (!memory.ok()) _exit(1);
  Counters counters(std::move(*memory), static_cast<uint32_t>(getpid()), 1);
  Counter& counter = counters.counter("hongyan_written", "Help.");
  Histogram& histogram = counters.histogram("hongyan_wait", "us", "Help.");
  for (int64_t i = 1;; ++i) {
    counter.add(1);
    histogram.record(7);
    if (i == 1000 && write(ready, "x", 1) != 1) _exit(1);
  }
}

TEST_F(SharedCounters, are_read_while_written_and_survive_a_kill) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) write_for_ever(path, ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  int64_t before = 0;
  for (int i = 0; i < 50; ++i) {
    const auto got = read_shared_counters(path);
    ASSERT_TRUE(got.ok()) << got.status().detail();
    const int64_t now = find(*got, "hongyan_written").value;
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GE(before, 1000);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFSIGNALED(state));
  const auto last = read_shared_counters(path);
  ASSERT_TRUE(last.ok()) << last.status().detail();
  EXPECT_EQ(last->process, static_cast<uint32_t>(child));
  const int64_t written = find(*last, "hongyan_written").value;
  EXPECT_GE(written, before);
  // The child was killed between two of its steps: at most one sample apart.
  const CounterSample& wait = find(*last, "hongyan_wait");
  EXPECT_LE(std::abs(static_cast<int64_t>(wait.count()) - written), 1);
  EXPECT_EQ(wait.max, 7);
  close(ready[0]);
  close(ready[1]);
}

TEST_F(SharedCounters, those_of_the_process_before_are_kept_beside) {
  auto first = std::make_unique<Counters>(make_shared_counters(path).value());
  first->counter("hongyan_run", "Help.").add(1);
  auto second = std::make_unique<Counters>(make_shared_counters(path).value());
  second->counter("hongyan_run", "Help.").add(2);
  EXPECT_EQ(find(*read_shared_counters(path), "hongyan_run").value, 2);
  EXPECT_EQ(find(*read_shared_counters(path + ".last"), "hongyan_run").value, 1);
  first.reset();
  EXPECT_TRUE(read_shared_counters(path).ok());  // It is not the first one's any more.
  second.reset();
  EXPECT_EQ(read_shared_counters(path).code(), Code::not_found);  // An orderly end.
}

TEST_F(SharedCounters, are_their_owners_alone_and_follow_no_link) {
  const auto held = make_shared_counters(path);
  ASSERT_TRUE(held.ok());
  struct stat state {};
  ASSERT_EQ(stat(path.c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600u);
  std::ofstream(directory + "/precious") << "kept";
  std::filesystem::remove(path);
  std::filesystem::create_symlink(directory + "/precious", path);
  ASSERT_TRUE(make_shared_counters(path).ok());  // The link is moved aside.
  std::string kept;
  std::ifstream(directory + "/precious") >> kept;
  EXPECT_EQ(kept, "kept");
}

TEST_F(SharedCounters, what_is_no_file_of_counters_is_told) {
  EXPECT_EQ(read_shared_counters(path).code(), Code::not_found);
  std::ofstream(path) << std::string(10'000, 'x');
  EXPECT_EQ(read_shared_counters(path).code(), Code::corrupt);
  EXPECT_FALSE(read_shared_counters(directory).ok());
}

TEST_F(SharedCounters, an_env_without_its_file_counts_all_the_same) {
  const auto env = make_os_env({.counters_path = directory + "/nothing/counters"});
  env->counters().counter("hongyan_x", "Help.").add(1);
  EXPECT_EQ(env->counters().samples().back().value, 1);
  const auto seen = make_os_env({.counters_path = path});
  seen->counters().counter("hongyan_x", "Help.").add(2);
  const auto read = read_shared_counters(path);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(find(*read, "hongyan_x").value, 2);
  EXPECT_EQ(read->process, static_cast<uint32_t>(process_id()));
}

// A process that has counters at `path` until it is killed; its end of a pipe closes with it.
pid_t start_writer(const std::string& path) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  EXPECT_GE(child, 0);
  if (child == 0) write_for_ever(path, ready[1]);
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return child;
}

void kill_writer(pid_t child) {
  int state = 0;
  EXPECT_EQ(kill(child, SIGKILL), 0);
  EXPECT_EQ(waitpid(child, &state, 0), child);
}

TEST_F(SharedCounters, of_the_dead_are_told_from_those_of_the_living_and_removed_at_the_next_start) {
  const std::string name = directory + "/hongyan-" + std::to_string(getuid()) + "-";
  const std::string dead = name + "aaaaaaaa", living = name + "bbbbbbbb", own = name + "12345678";
  kill_writer(start_writer(living));
  const pid_t alive = start_writer(living);       // So there is a living.last.
  kill_writer(start_writer(dead));
  kill_writer(start_writer(dead));                // And a dead.last.
  const std::string worker = worker_counters_path(own, 4711), other_worker = worker_counters_path(own, 4712);
  kill_writer(start_writer(worker));
  const pid_t sibling = start_writer(other_worker);
  std::ofstream(name + "not-ours") << "what is this";
  std::filesystem::create_symlink(living, name + "link");

  const auto found = find_shared_counters(directory);
  std::map<std::string, bool> by_path;
  for (const CountersFile& one : found) by_path[one.path] = one.alive;
  EXPECT_EQ(by_path, (std::map<std::string, bool>{{dead, false}, {dead + ".last", false}, {living, true}, {living + ".last", false},
                                                  {worker, false}, {other_worker, true}}));

  clean_shared_counters(own);
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) left.insert(entry.path().string());
  EXPECT_EQ(left, (std::set<std::string>{living, living + ".last", other_worker, own + ".last", name + "not-ours", name + "link"}));
  EXPECT_TRUE(read_shared_counters(living).ok());
  clean_shared_counters(own);  // Its own last ones stay, for whoever asks why.
  EXPECT_TRUE(read_shared_counters(own + ".last").ok());
  kill_writer(alive);
  kill_writer(sibling);
  clean_shared_counters(name + "cccccccc");
  EXPECT_TRUE(find_shared_counters(directory).empty());
}

TEST_F(SharedCounters, each_worker_has_its_own) {
  auto board = LoadBoard::create(2);
  ASSERT_TRUE(board.ok());
  const std::shared_ptr<LoadBoard> shared = std::move(*board);
  const auto worker = make_os_env({.counters_path = path, .inherited = {.listeners = {}, .board = shared}});
  const auto plain = make_os_env({.counters_path = path});
  EXPECT_TRUE(read_shared_counters(worker_counters_path(path, process_id())).ok());
  EXPECT_TRUE(read_shared_counters(path).ok());
}

}  // namespace
}  // namespace hongyan::runtime
