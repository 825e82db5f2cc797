// One replica of one entity: a pure state machine. step() takes one input and says what is to be sent, made durable,
// applied, evaluated and answered; it does no I/O, knows no time and no chance, and the same inputs give the same outputs.
//
// What it promises, whatever is lost, doubled, reordered or late, and whichever replicas stop and come back with their
// records (docs/decisions/0024 says why):
//   - in an entry at most one value is chosen, and it stays chosen;
//   - a ticket answered `chosen` is in a chosen entry, durable at a majority, and was evaluated for that very entry on the
//     state of all before it; evaluation that finds a request id in that state therefore never applies it twice;
//   - a ticket answered `current` was answered from a state that no chosen entry had overtaken when the ticket came.
// No lease and no leader: any replica proposes and reads at any time. Progress needs a majority, and proposers that wait
// a while, each its own, when contended() before they retry.
//
// What the engine around it owes:
//   - order: outputs are carried out in the order of their steps. What an output `chosen` says is applied to the rows and
//     its record is written in one atomic write; writes become durable in order;
//   - `now` may leave at once. `after` leaves when the record of its output and all before it are durable, never sooner;
//   - life and session are as types.h and Birth say; a replica is dropped from memory only when idle() and durable.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "store/paxos/message.h"
#include "store/paxos/record.h"
#include "store/paxos/types.h"

namespace hongyan::store::paxos {

struct Submit { Ticket ticket = 0; };  // A commit waits; asked for by an Evaluate when its turn has come.
struct Read { Ticket ticket = 0; };    // Somebody wants to read what was answered before now.

// The answer to an Evaluate, made on the state after entry index - 1. A ticket in no list waits for the next entry.
struct Evaluated {
  Index index = 0;
  std::string body = {};             // The effects of `inside`, together and in order.
  std::vector<Ticket> inside = {};   // Have an effect.
  std::vector<Ticket> without = {};  // Have none (a failed precondition): answered when it is sure that this state was current.
  std::vector<Ticket> gone = {};     // Answered by the engine (a request id that is in the state) or given up by their callers.
};
// A snapshot that ends with this entry has replaced the rows, in the write that this step's record is part of. Its
// sender must have known the entry as chosen.
struct Installed { Index index = 0; ValueId id = {}; };
struct Retry {};  // A while has passed without progress.

using Input = std::variant<Message, Submit, Read, Evaluated, Installed, Retry>;

struct Evaluate {
  Index index = 0;
  std::vector<Ticket> tickets;
};
struct Answer {
  enum class Kind : uint8_t {
    chosen = 1,      // In entry `index`.
    current = 2,     // A Read: read the rows as they are now, after entry `index`. A ticket `without`: as evaluated.
    unknown = 3,     // A snapshot jumped over the entry it was proposed for: its request id in the new state tells.
    overloaded = 4,  // Too many wait; nothing was done.
  };
  Ticket ticket = 0;
  Kind kind = Kind::chosen;
  Index index = 0;
};
// The peer knows the log up to `from` - 1: send `entries` while they are kept, a snapshot otherwise.
struct Teach {
  ReplicaId to = 0;
  Index from = 0;
};

struct Output {
  std::vector<Message> now;
  std::vector<ValuePtr> chosen;      // To be applied, in order.
  std::optional<Record> record;      // Without `after` nobody waits for it: it may be written with the next one.
  std::vector<Message> after;        // Those to this replica itself come back as inputs.
  std::optional<Evaluate> evaluate;  // Replaces one that is not answered yet.
  std::vector<Answer> answers;
  std::vector<Teach> teach;
  // Not empty: this or another replica broke the protocol (one ballot with two values, two values chosen). Nothing of
  // this output may be carried out; the entity must not be served here until somebody has looked.
  std::string_view broken = {};
};

struct Birth {
  ReplicaId self = 0;
  Life life = 0;
  // No two times that an entity is loaded at a replica have the same number: answers to questions of an earlier one
  // are known by it.
  uint64_t session = 0;
  // forgot: there is no record, and there may have been one (the disk was replaced). The replica learns, and reads once it
  // has; it votes and proposes again from the entry after those that it may have voted in.
  enum class Memory : uint8_t { whole = 1, forgot = 2 } memory = Memory::whole;
};

// The state, for the transcripts and explorers of tests; nobody else looks into it.
struct State {
  struct Waiting {
    Ticket ticket = 0;
    std::optional<Index> evaluated_on;  // A ticket `without`: on the state after this entry. Otherwise a Read.
    uint64_t poll = 0;                  // The first poll that counts: it began after the ticket came.
  };
  struct Proposal {
    enum class Phase : uint8_t { preparing = 1, evaluating = 2, accepting = 3 };
    Index index = 0;
    Ballot ballot = {};
    Phase phase = Phase::preparing;
    uint8_t heard = 0;                // Who has promised, or voted.
    Ballot found = {};                // preparing: the highest ballot that any of them had accepted a value under,
    ValuePtr value = {};              // and that value. accepting: what is proposed.
    // The value that these tickets are in, once there is one: one for each entry, since any that was proposed may yet be
    // chosen, by whoever comes upon it.
    ValuePtr mine = {};
    std::vector<Ticket> inside = {};
    std::vector<Ticket> without = {};
    uint64_t covers = 0;              // Polls up to this number were asked for before the prepare phase began.
    bool contended = false;
  };
  struct Poll {
    uint64_t number = 0;
    uint8_t heard = 0;      // Of these the answer counts.
    uint8_t voted = 0;      // Of these, who had voted in entry `top`.
    Index best = 0;         // The highest entry known as chosen,
    ReplicaId best_at = 0;  // by whom,
    Index top = 0;          // and the highest voted in.
  };

  Record record;
  uint32_t round = 0;            // The highest round heard of in this entry.
  std::vector<Ticket> tickets;   // Commits that wait for their turn.
  std::optional<Proposal> proposal;
  std::vector<Waiting> waiting;  // For a poll.
  std::optional<Poll> poll;
  uint64_t polls = 0;
  bool repair = false;           // The entry after is voted in somewhere, and nobody seems to finish it.
  Index wanted = 0;              // Something is to be chosen up to here.
  Index fetching = 0;
  uint8_t nudges = 0;            // Sent; they go round.
};

class Step;

class Replica {
 public:
  Replica(Group group, Birth birth, Record record);
  virtual ~Replica() = default;
  Replica(const Replica&) = default;
  Replica& operator=(const Replica&) = default;

  Output step(const Input& input);

  Index chosen() const { return state_.record.chosen; }
  // Nothing is under way: no caller waits, nothing is proposed or asked.
  bool idle() const;
  // A proposal was refused: whoever retries at once meets the same rival again.
  bool contended() const { return state_.proposal && state_.proposal->contended; }
  bool votes() const { return state_.record.chosen + 1 >= state_.record.votes_from; }
  const State& state() const { return state_; }

 protected:
  // Safety hangs on these. Tests derive from Replica to break one, and see that it is noticed.
  virtual bool may_skip_prepare() const;
  virtual bool poll_settles(const State::Poll& poll) const;

  Group group_;
  Birth birth_;
  State state_;

 private:
  friend class Step;
};

}  // namespace hongyan::store::paxos
