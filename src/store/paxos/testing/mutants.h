// Bugs that somebody could write, one at a time, so that tests can show that they are noticed. They exist only here: the
// protocol's own code has no switch for them.
#pragma once

#include <array>
#include <string_view>

#include "store/paxos/replica.h"

namespace hongyan::store::paxos {

enum class Mutant : uint8_t {
  none,
  // Of the replica.
  authorship_by_ballot,    // Skips prepare where its own ballot finished the entry before, as Tencent's Certain does.
  accept_not_persisted,    // Says that it voted before the vote is durable.
  promise_not_persisted,   // Answers a prepare before the promise is durable.
  ballot_not_persisted,    // Sends its prepares before its own promise is durable.
  stale_read,              // Reads at once what it has.
  votes_unseen_by_reads,   // A poll that looks at what is known as chosen, not at votes.
  life_ignored,            // Takes a value of an earlier life for its own.
  // Of the engine around it.
  request_ids_forgotten,   // Evaluates without looking for the request id in the state.
  evaluation_reused,       // Proposes for the next entry what was evaluated for the one it lost.
  lost_disk_unnoticed,     // Votes at once though it forgot what it had voted for.
};

struct MutantName { Mutant mutant; std::string_view name; };
inline constexpr std::array k_mutants = {
    MutantName{Mutant::authorship_by_ballot, "authorship_by_ballot"},
    MutantName{Mutant::accept_not_persisted, "accept_not_persisted"},
    MutantName{Mutant::promise_not_persisted, "promise_not_persisted"},
    MutantName{Mutant::ballot_not_persisted, "ballot_not_persisted"},
    MutantName{Mutant::stale_read, "stale_read"},
    MutantName{Mutant::votes_unseen_by_reads, "votes_unseen_by_reads"},
    MutantName{Mutant::life_ignored, "life_ignored"},
    MutantName{Mutant::request_ids_forgotten, "request_ids_forgotten"},
    MutantName{Mutant::evaluation_reused, "evaluation_reused"},
    MutantName{Mutant::lost_disk_unnoticed, "lost_disk_unnoticed"},
};

class MutantReplica : public Replica {
 public:
  MutantReplica(Group group, Birth birth, Record record, Mutant mutant)
      : Replica(group, birth, std::move(record)), mutant_(mutant) {}

  Output step_as_mutant(const Input& input) {
    if (mutant_ == Mutant::none) return step(input);
    const Message* m = std::get_if<Message>(&input);
    const auto& proposal = state_.proposal;
    if (m != nullptr && proposal && m->kind == Message::Kind::accepted && m->index == proposal->index && m->ballot == proposal->ballot) {
      finishing_ = m->index;
    }
    Output out = step(input);
    if (mutant_ == Mutant::accept_not_persisted) hurry(out, Message::Kind::accepted);
    if (mutant_ == Mutant::promise_not_persisted) hurry(out, Message::Kind::promise);
    if (mutant_ == Mutant::ballot_not_persisted) hurry(out, Message::Kind::prepare);
    return out;
  }

  Index finishing() const { return finishing_; }

 protected:
  bool may_skip_prepare() const override {
    const Record& record = state_.record;
    if (mutant_ == Mutant::authorship_by_ballot) {
      return record.chosen > 0 && finishing_ == record.chosen && !record.promised.any() && !record.accepted.any();
    }
    if (mutant_ == Mutant::life_ignored) {
      return record.chosen > 0 && record.last.origin.owner == birth_.self + 1 && !record.promised.any() && !record.accepted.any();
    }
    return Replica::may_skip_prepare();
  }
  bool poll_settles(const State::Poll& poll) const override {
    if (mutant_ == Mutant::stale_read) return true;
    if (mutant_ == Mutant::votes_unseen_by_reads) {
      return __builtin_popcount(poll.heard) >= group_.majority() && poll.best <= state_.record.chosen;
    }
    return Replica::poll_settles(poll);
  }

 private:
  static void hurry(Output& out, Message::Kind kind) {
    for (const Message& m : out.after) {
      if (m.kind == kind) out.now.push_back(m);
    }
    std::erase_if(out.after, [&](const Message& m) { return m.kind == kind; });
  }

  Mutant mutant_;
  Index finishing_ = 0;  // The entry whose vote for its own ballot came last.
};

}  // namespace hongyan::store::paxos
