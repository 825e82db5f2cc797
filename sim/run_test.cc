// Whole runs: a seed is a run, and the checkers are awake. What a campaign shows (many seeds, every mutant) is the
// business of tests/run.d; here are the few that tell a broken simulator from a broken server.
#include "sim/run.h"

#include <gtest/gtest.h>

// Killed processes leak on purpose.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace hongyan::sim {
namespace {

TEST(Run, a_seed_is_a_run_to_the_byte) {
  const Outcome one = run_seed({.seed = 4});
  const Outcome two = run_seed({.seed = 4});
  EXPECT_TRUE(one.ok) << one.invariant << ": " << one.detail;
  EXPECT_EQ(one.hash, two.hash);
  EXPECT_EQ(one.events, two.events);
  EXPECT_NE(one.hash, run_seed({.seed = 12}).hash);
}

TEST(Run, has_messages_crashes_and_refused_probes) {
  const Outcome out = run_seed({.seed = 4});
  EXPECT_GT(out.messages, 10u);
  EXPECT_GT(out.tally.messages_checked, out.messages);
  EXPECT_GT(out.tally.crashes, 0u);
  EXPECT_GT(out.tally.faults, 0u);
}

TEST(Run, a_bug_is_found_and_named_with_what_led_to_it) {
  const Outcome out = run_seed({.seed = 1, .mutant = Mutant::unread_not_reset});
  EXPECT_FALSE(out.ok);
  EXPECT_EQ(out.invariant, "unread is what came behind the read mark");
  EXPECT_NE(out.newest_events.find("VIOLATED"), std::string::npos);
}

TEST(Run, every_mutant_has_a_name_and_no_two_share_one) {
  for (const MutantInfo& info : all_mutants()) EXPECT_EQ(mutant_named(info.name), info.mutant);
  EXPECT_FALSE(mutant_named("no such bug").has_value());
}

}  // namespace
}  // namespace hongyan::sim
