// One step of a replica: the state it changes and the output it fills. replica.cc votes and learns, proposer.cc proposes,
// reader.cc polls.
#pragma once

#include <bit>

#include "base/check.h"
#include "store/paxos/replica.h"

namespace hongyan::store::paxos {

inline int count(uint8_t replicas) { return std::popcount(replicas); }
inline uint8_t bit(ReplicaId replica) { return static_cast<uint8_t>(1u << replica); }

class Step {
 public:
  explicit Step(Replica& replica)
      : replica_(replica), group_(replica.group_), birth_(replica.birth_), s_(replica.state_), record_(s_.record) {}
  Output run(const Input& input);

 private:
  using Proposal = State::Proposal;

  void take(const Message& m);
  void take(const Submit& submit);
  void take(const Read& read);
  void take(const Evaluated& evaluated);
  void take(const Installed& installed);
  void take(const Retry&);

  // The acceptor and the learner.
  void on_prepare(const Message& m);
  void on_accept(const Message& m);
  void on_entries(const Message& m);
  bool votes_in(const Message& m);
  bool heard(const Message& m);
  void learn(const Message& m);
  void advance(const ValuePtr& value);
  void close_entry(Index index, const ValueId& id);
  void fetch(ReplicaId from);
  void teach(const Message& m);

  // The proposer.
  void start_proposal();
  void prepare();
  void on_promise(const Message& m);
  void prepared();
  void ask_to_evaluate();
  void propose(const ValuePtr& value);
  void on_accepted(const Message& m);
  void on_refuse(const Message& m);
  void retry_proposal();
  void settle(const ValueId& chosen);
  void wait_again(const std::vector<Ticket>& tickets);
  bool has_work() const { return !s_.tickets.empty() || s_.wanted > record_.chosen; }

  // The reader, and the replica that forgot.
  void begin_poll();
  void on_poll(const Message& m);
  void on_standing(const Message& m);
  void on_nudge(const Message& m);
  void conclude_poll();
  void answer_waiting(uint64_t poll);
  void retry_poll();
  void nudge(Index index);

  void drive();
  Message message(Message::Kind kind, ReplicaId to) const;
  void to_others(std::vector<Message>& out, const Message& m, uint8_t except);
  void broken(std::string_view how) { out_.broken = how; }

  Replica& replica_;
  const Group& group_;
  const Birth& birth_;
  State& s_;
  Record& record_;
  Output out_;
  bool dirty_ = false;
};

}  // namespace hongyan::store::paxos
