// Goal: what the protocol says and writes, in words that a person can follow and a diff can show. Method: worlds that are
// driven by hand; their transcripts stand in transcripts/*.txt. With HONGYAN_RECORD=1 they are written anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "store/paxos/testing/drive.h"
#include "store/paxos/testing/scenarios.h"

namespace hongyan::store::paxos {
namespace {

constexpr ReplicaId A = 0, B = 1, C = 2, D = 3, E = 4;
using Kind = CallerRequest::Kind;
using M = Message::Kind;

class Transcript : public ::testing::Test {
 protected:
  World& begin(uint8_t replicas, Mutant mutant = Mutant::none) {
    world_.emplace(World::Options{.replicas = replicas, .mutant = mutant}, packets_);
    drive_.emplace(*world_);
    world_->keep_transcript(true);
    return *world_;
  }
  Drive& drive() { return *drive_; }
  // The lines so far go away: how the world got here is told elsewhere.
  void skip() { (void)world_->take_transcript(); }
  void chapter(const std::string& title) {
    collect();
    text_ += (text_.empty() ? "# " : "\n# ") + title + "\n";
  }
  void collect() {
    for (const std::string& line : world_->take_transcript()) text_ += line + "\n";
  }
  void expect_recorded(const std::string& name) {
    collect();
    EXPECT_EQ(world_->violation(), "");
    const std::string path = std::string(HONGYAN_TRANSCRIPTS) + "/" + name + ".txt";
    if (std::getenv("HONGYAN_RECORD") != nullptr) std::ofstream(path) << text_;
    std::stringstream recorded;
    recorded << std::ifstream(path).rdbuf();
    EXPECT_EQ(text_, recorded.str()) << "see " << path;
  }

  Packets packets_;
  std::optional<World> world_;
  std::optional<Drive> drive_;
  std::string text_;
};

TEST_F(Transcript, fast_path) {
  World& world = begin(3);
  chapter("The first entry has no author before it: A prepares, then proposes.");
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  chapter("A is the author of entry 1: the next one takes one round trip. Two callers that waited share it.");
  world.submit(A, 2, {.request = 2});
  world.submit(A, 3, {.request = 3});
  world.submit(A, 4, {.request = 4});
  drive().settle(set_of(A, B, C));
  EXPECT_EQ(world.rows(C), (Rows{1, 2, 3, 4}));
  expect_recorded("fast_path");
}

TEST_F(Transcript, conflict) {
  World& world = begin(3);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  skip();
  chapter("A, the author of entry 1, and B propose for entry 2. A's vote reaches C first.");
  world.submit(A, 2, {.request = 2});
  world.flush(A);
  drive().pass(A, C, M::accept);
  world.flush(C);
  world.submit(B, 3, {.request = 3});
  world.flush(B);
  chapter("B asks C, which has voted: B must propose what it finds, and finishes A's value. Its own waits for entry 3.");
  drive().pass(B, C, M::prepare);
  world.flush(C);
  drive().pass(C, B, M::promise);
  chapter("The rest arrives. A hears that its value was chosen; B proposes its own next.");
  drive().settle(set_of(A, B, C));
  EXPECT_EQ(world.rows(A), (Rows{1, 2, 3}));
  expect_recorded("conflict");
}

TEST_F(Transcript, repair) {
  World& world = begin(3);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  skip();
  chapter("A proposes entry 2, C alone hears of it, and A stops for good. It may have been chosen, by A and C: B can't know.");
  world.submit(A, 2, {.request = 2});
  drive().pass(A, C, M::accept);
  world.flush(C);
  drive().lose();
  chapter("B reads. Its poll finds a vote in entry 2, and nobody finishes it in time.");
  world.submit(B, 3, {.kind = Kind::read});
  drive().settle(set_of(B, C));
  chapter("So B finishes it, with A's value, and reads.");
  drive().retry(B);
  drive().settle(set_of(B, C));
  EXPECT_EQ(world.rows(B), (Rows{1, 2}));
  chapter("The next read needs the poll and nothing else.");
  world.submit(B, 4, {.kind = Kind::read});
  drive().settle(set_of(B, C));
  expect_recorded("repair");
}

TEST_F(Transcript, rejoin) {
  World& world = begin(3);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B));
  drive().lose();
  skip();
  chapter("Entry 1 was chosen by A and B; C never heard of it. B's disk is replaced. It asks both others how far they have voted.");
  world.restart(B, World::Disk::lost);
  drive().retry(B);
  drive().settle(set_of(A, B, C));
  chapter("It may have voted in entry 2, so it votes from entry 3. A write does without it; C is behind, and votes when it is asked again.");
  world.submit(A, 2, {.request = 2});
  drive().settle(set_of(A, B, C));
  drive().retry(A);
  drive().settle(set_of(A, B, C));
  EXPECT_TRUE(world.replica(B).votes());
  chapter("From entry 3 it votes again.");
  world.submit(C, 3, {.request = 3});
  drive().settle(set_of(B, C));
  EXPECT_EQ(world.rows(B), (Rows{1, 2, 3}));
  expect_recorded("rejoin");
}

TEST_F(Transcript, rejoin_of_a_quiet_entity) {
  World& world = begin(3);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  world.restart(B, World::Disk::lost);
  drive().retry(B);
  drive().settle(set_of(A, B, C));
  EXPECT_FALSE(world.replica(B).votes());
  drive().lose();
  skip();
  chapter("Nobody writes, so B asks for an entry, which a peer chooses with nothing in it.");
  drive().retry(B);
  drive().settle(set_of(A, B, C));
  EXPECT_TRUE(world.replica(B).votes());
  expect_recorded("rejoin_quiet");
}

TEST_F(Transcript, retried_elsewhere) {
  World& world = begin(3);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  skip();
  chapter("A caller asks A, hears nothing, and asks B with the same request id. B wins entry 2.");
  world.submit(A, 2, {.request = 2});
  world.submit(B, 3, {.request = 2});
  world.flush(B);
  drive().pass(B, C, M::prepare);
  world.flush(C);
  drive().pass(C, B, M::promise);
  world.flush(B);
  drive().pass(B, C, M::accept);
  world.flush(C);
  drive().pass(C, B, M::accepted);
  chapter("A lost the entry. Its caller's request is evaluated once more, on the state that has it: the same answer, no effect.");
  drive().settle(set_of(A, B, C));
  EXPECT_EQ(world.rows(A), (Rows{1, 2}));
  expect_recorded("retried_elsewhere");
}

// A proposes for entry 2 to C and D, then B says what it says to D and E.
void go_on(World& world, Drive& drive, Message::Kind said_by_b) {
  const auto hear = [&](ReplicaId from, ReplicaId to, Message::Kind kind) {
    drive.pass(from, to, kind);
    while (world.can_flush(to)) world.flush(to);
  };
  world.submit(A, 2, {.request = 2});
  while (world.can_flush(A)) world.flush(A);
  hear(A, C, M::accept);
  hear(A, D, M::accept);
  hear(B, D, said_by_b);
  hear(B, E, said_by_b);
}

TEST_F(Transcript, certain_at_five) {
  World& world = begin(5);
  chapter("Two ballots see one value through: A's, with C and D, and B's, which came upon it at D.");
  two_ballots_one_value(world);
  drive().lose();  // What is late comes never.
  chapter("A is the author, and skips the prepare phase. B finished entry 1 too, and may not skip it: D tells of A's value.");
  go_on(world, drive(), M::prepare);
  chapter("The rest arrives.");
  drive().settle(set_of(A, B, C, D, E));
  EXPECT_EQ(world.rows(A), (Rows{0, 2, 1}));
  EXPECT_EQ(world.rows(B), world.rows(A));
  expect_recorded("certain_at_five");
}

TEST_F(Transcript, what_certain_does_there_chooses_two_values) {
  World& world = begin(5, Mutant::authorship_by_ballot);
  two_ballots_one_value(world);
  ASSERT_EQ(world.violation(), "");
  go_on(world, drive(), M::accept);
  while (world.can_flush(B)) world.flush(B);
  EXPECT_EQ(world.violation(), "two values were chosen in entry 2");
}

TEST_F(Transcript, at_three_the_same_rule_is_not_caught_by_this_trace) {
  // With three, the second proposer's quorum is all that the first's was but itself, so both can't be unaware: 5 is needed.
  World& world = begin(3, Mutant::authorship_by_ballot);
  world.submit(A, 1, {.request = 1});
  drive().settle(set_of(A, B, C));
  world.submit(A, 2, {.request = 2});
  world.submit(B, 3, {.request = 3});
  drive().settle(set_of(A, B, C));
  EXPECT_EQ(world.violation(), "");
}

}  // namespace
}  // namespace hongyan::store::paxos
