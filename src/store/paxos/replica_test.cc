// Goal: what one replica owes its engine: when messages may leave, what is said to callers, what it takes from strangers.
// Method: steps by hand.
#include "store/paxos/replica.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "store/paxos/limits.h"

namespace hongyan::store::paxos {
namespace {

using M = Message::Kind;

Replica replica(ReplicaId self, Record record = {}, Life life = 1) {
  return Replica({.epoch = 1, .size = 3}, {.self = self, .life = life, .session = life}, std::move(record));
}

ValueId id(Index index, ReplicaId author, Life life, uint32_t round = 1) {
  return {.index = index, .origin = {.round = round, .owner = static_cast<uint8_t>(author + 1)}, .life = life};
}

Record after_entry_of(ReplicaId author, Life life) { return {.chosen = 1, .last = id(1, author, life)}; }

TEST(Replica, a_prepare_and_a_vote_leave_after_the_record_and_never_before) {
  Replica a = replica(0);
  const Output asked = a.step(Submit{1});
  EXPECT_TRUE(asked.now.empty());
  ASSERT_TRUE(asked.record.has_value());
  ASSERT_EQ(asked.after.size(), 3u);  // Two prepares, and its own promise.

  Replica b = replica(1);
  const Output promised = b.step(asked.after[0]);
  EXPECT_TRUE(promised.now.empty());
  EXPECT_TRUE(promised.record.has_value());
  ASSERT_EQ(promised.after.size(), 1u);
  EXPECT_EQ(promised.after[0].kind, M::promise);
  // The same question again: the answer waits for the same record, which may be under way still.
  EXPECT_TRUE(b.step(asked.after[0]).now.empty());
}

TEST(Replica, the_author_of_this_life_proposes_at_once_and_one_of_an_earlier_life_prepares) {
  Replica now = replica(0, after_entry_of(0, 1), 1);
  EXPECT_TRUE(now.step(Submit{1}).evaluate.has_value());
  Replica later = replica(0, after_entry_of(0, 1), 2);
  const Output prepares = later.step(Submit{1});
  EXPECT_FALSE(prepares.evaluate.has_value());
  EXPECT_EQ(prepares.after.at(0).kind, M::prepare);
  Replica other = replica(1, after_entry_of(0, 1), 1);
  EXPECT_EQ(other.step(Submit{1}).after.at(0).kind, M::prepare);
  // A foreign prepare takes the right away.
  Replica warned = replica(0, after_entry_of(0, 1), 1);
  (void)warned.step(Message{.kind = M::prepare, .from = 2, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .index = 2, .ballot = {.round = 1, .owner = 3}});
  EXPECT_EQ(warned.step(Submit{1}).after.at(0).kind, M::prepare);
}

TEST(Replica, a_proposal_leaves_at_once_and_its_own_vote_counts_when_it_is_durable) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Submit{1});
  const Output proposed = a.step(Evaluated{.index = 2, .body = "x", .inside = {1}});
  ASSERT_EQ(proposed.now.size(), 2u);
  EXPECT_EQ(proposed.now[0].kind, M::accept);
  ASSERT_EQ(proposed.after.size(), 1u);
  EXPECT_EQ(proposed.after[0].to, 0);
  const Message vote{.kind = M::accepted, .from = 1, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .index = 2, .ballot = Ballot::unprepared(0)};
  EXPECT_TRUE(a.step(vote).answers.empty());
  EXPECT_TRUE(a.step(vote).answers.empty());  // Doubled, it is one vote.
  const Output chosen = a.step(proposed.after[0]);
  ASSERT_EQ(chosen.answers.size(), 1u);
  EXPECT_EQ(chosen.answers[0].kind, Answer::Kind::chosen);
  EXPECT_EQ(chosen.answers[0].index, 2u);
  ASSERT_EQ(chosen.chosen.size(), 1u);
  EXPECT_EQ(chosen.chosen[0]->body, "x");
  EXPECT_EQ(chosen.now.at(0).kind, M::learn);
  EXPECT_TRUE(a.idle());
}

TEST(Replica, callers_that_come_while_an_entry_is_under_way_share_the_next) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Submit{1});
  const Output proposed = a.step(Evaluated{.index = 2, .body = "x", .inside = {1}});
  for (Ticket ticket = 2; ticket <= 5; ++ticket) EXPECT_FALSE(a.step(Submit{ticket}).evaluate.has_value());
  (void)a.step(proposed.after[0]);
  Message vote{.kind = M::accepted, .from = 1, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .index = 2, .ballot = Ballot::unprepared(0)};
  const Output next = a.step(vote);
  ASSERT_TRUE(next.evaluate.has_value());
  EXPECT_EQ(next.evaluate->index, 3u);
  EXPECT_EQ(next.evaluate->tickets, (std::vector<Ticket>{2, 3, 4, 5}));
}

TEST(Replica, a_lost_entry_brings_its_callers_back_in_front) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Submit{1});
  (void)a.step(Evaluated{.index = 2, .body = "x", .inside = {1}});
  (void)a.step(Submit{2});
  const auto other = std::make_shared<const Value>(Value{.id = id(2, 1, 9), .body = "y"});
  const Output lost = a.step(Message{.kind = M::entries, .from = 1, .to = 0, .chosen = 2, .chosen_id = other->id, .values = {other}});
  EXPECT_TRUE(lost.answers.empty());
  EXPECT_EQ(lost.chosen.at(0)->body, "y");
  EXPECT_EQ(lost.after.at(0).kind, M::prepare);  // Not the author any more.
  EXPECT_EQ(a.state().tickets, (std::vector<Ticket>{1, 2}));
}

TEST(Replica, a_commit_without_effect_is_answered_when_a_poll_finds_its_state_current) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Submit{1});
  const Output polls = a.step(Evaluated{.index = 2, .without = {1}});
  EXPECT_TRUE(polls.answers.empty());
  ASSERT_EQ(polls.now.size(), 2u);
  EXPECT_EQ(polls.now[0].kind, M::poll);
  const Output current = a.step(Message{.kind = M::standing, .from = 2, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .sure = true, .session = 1, .number = 1});
  ASSERT_EQ(current.answers.size(), 1u);
  EXPECT_EQ(current.answers[0].kind, Answer::Kind::current);
  EXPECT_TRUE(a.idle());
}

TEST(Replica, answers_to_polls_of_another_session_or_of_who_forgot_do_not_count) {
  Replica a = replica(0, after_entry_of(0, 1), 5);
  (void)a.step(Read{1});
  Message standing{.kind = M::standing, .from = 2, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .sure = true, .session = 4, .number = 1};
  EXPECT_TRUE(a.step(standing).answers.empty());
  standing.session = 5, standing.sure = false;
  EXPECT_TRUE(a.step(standing).answers.empty());
  standing.sure = true;
  EXPECT_EQ(a.step(standing).answers.size(), 1u);
}

TEST(Replica, a_read_that_comes_while_a_poll_is_under_way_waits_for_the_next) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Read{1});
  EXPECT_TRUE(a.step(Read{2}).now.empty());
  Message standing{.kind = M::standing, .from = 2, .to = 0, .chosen = 1, .chosen_id = id(1, 0, 1), .sure = true, .session = 1, .number = 1};
  const Output first = a.step(standing);
  ASSERT_EQ(first.answers.size(), 1u);
  EXPECT_EQ(first.answers[0].ticket, 1u);
  ASSERT_EQ(first.now.size(), 2u);
  EXPECT_EQ(first.now[0].number, 2u);
  EXPECT_TRUE(a.step(standing).answers.empty());  // Of the poll before.
  standing.number = 2;
  EXPECT_EQ(a.step(standing).answers.at(0).ticket, 2u);
}

TEST(Replica, a_snapshot_over_a_proposal_leaves_its_outcome_unknown) {
  Replica a = replica(0, after_entry_of(0, 1));
  (void)a.step(Submit{1});
  (void)a.step(Evaluated{.index = 2, .body = "x", .inside = {1}});
  const Output jumped = a.step(Installed{.index = 4, .id = id(4, 2, 9)});
  ASSERT_EQ(jumped.answers.size(), 1u);
  EXPECT_EQ(jumped.answers[0].kind, Answer::Kind::unknown);
  EXPECT_EQ(a.chosen(), 4u);
  // One that ends with the proposal's own entry tells.
  Replica b = replica(0, after_entry_of(0, 1));
  (void)b.step(Submit{1});
  const Output proposed = b.step(Evaluated{.index = 2, .body = "x", .inside = {1}});
  EXPECT_EQ(b.step(Installed{.index = 2, .id = proposed.record->value->id}).answers.at(0).kind, Answer::Kind::chosen);
}

TEST(Replica, two_values_in_one_entry_or_under_one_ballot_are_noticed) {
  Replica a = replica(0, after_entry_of(0, 1));
  EXPECT_FALSE(a.step(Message{.kind = M::learn, .from = 1, .to = 0, .chosen = 1, .chosen_id = id(1, 2, 3)}).broken.empty());
  Replica b = replica(1, after_entry_of(0, 1));
  Message accept{.kind = M::accept, .from = 0, .to = 1, .chosen = 1, .chosen_id = id(1, 0, 1), .index = 2, .ballot = {.round = 1, .owner = 1}};
  accept.values = {std::make_shared<const Value>(Value{.id = id(2, 0, 1), .body = "x"})};
  EXPECT_TRUE(b.step(accept).broken.empty());
  accept.values = {std::make_shared<const Value>(Value{.id = id(2, 0, 2), .body = "y"})};
  EXPECT_FALSE(b.step(accept).broken.empty());
}

TEST(Replica, messages_of_another_epoch_or_for_somebody_else_are_dropped) {
  Replica a = replica(0);
  const Message good{.kind = M::prepare, .from = 1, .to = 0, .index = 1, .ballot = {.round = 1, .owner = 2}};
  Message other = good;
  other.epoch = 2;
  EXPECT_FALSE(a.step(other).record.has_value());
  other = good, other.to = 1;
  EXPECT_FALSE(a.step(other).record.has_value());
  other = good, other.from = 3;
  EXPECT_FALSE(a.step(other).record.has_value());
  EXPECT_TRUE(a.step(good).record.has_value());
}

TEST(Replica, at_most_so_many_wait) {
  Replica a = replica(0);
  for (Ticket ticket = 0; ticket < k_waiting_max; ++ticket) EXPECT_TRUE(a.step(Submit{ticket}).answers.empty());
  EXPECT_EQ(a.step(Submit{k_waiting_max}).answers.at(0).kind, Answer::Kind::overloaded);
}

TEST(Replica, a_group_of_one_chooses_and_reads_by_itself) {
  Replica a({.epoch = 1, .size = 1}, {.self = 0, .life = 1, .session = 1}, {});
  const Output promised = a.step(Submit{1});
  const Output asked = a.step(promised.after.at(0));
  ASSERT_TRUE(asked.evaluate.has_value());
  const Output voted = a.step(Evaluated{.index = 1, .body = "x", .inside = {1}});
  EXPECT_EQ(a.step(voted.after.at(0)).answers.at(0).kind, Answer::Kind::chosen);
  EXPECT_EQ(a.step(Read{2}).answers.at(0).kind, Answer::Kind::current);
}

TEST(Replica, the_same_inputs_give_the_same_outputs) {
  const auto hash_of_run = [](uint64_t seed) {
    Random random(seed);
    std::string said;
    Replica a = replica(0);
    for (int i = 0; i < 300; ++i) {
      Output out;
      switch (random.below(4)) {
        case 0: out = a.step(Submit{static_cast<Ticket>(i)}); break;
        case 1: out = a.step(Read{static_cast<Ticket>(i)}); break;
        case 2: out = a.step(Retry{}); break;
        default:
          out = a.step(Message{.kind = M::prepare, .from = 1, .to = 0, .index = 1, .ballot = {.round = static_cast<uint32_t>(1 + random.below(50)), .owner = 2}});
      }
      for (const auto* list : {&out.now, &out.after}) {
        for (const Message& m : *list) said += encode(m);
      }
    }
    return said;
  };
  EXPECT_EQ(hash_of_run(3), hash_of_run(3));
}

}  // namespace
}  // namespace hongyan::store::paxos
