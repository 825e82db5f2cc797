// Some replicas of one entity, their disks, the network between them and the callers, as one value: it can be copied, so
// that an explorer can go every way from it, and driven, so that a schedule or a transcript can go one.
//
// The network is the set of all messages that were ever sent: any of them may arrive at any time, any number of times, or
// never. That is loss, duplication, reordering and delay at once. A disk is a queue of writes; a crash keeps those
// that became durable. The rows are a list of request ids, which a commit appends to; so a request that is applied twice
// or lost is seen at once.
//
// What must hold is checked at every action (violation()): at most one value is chosen in an entry, by the durable votes
// themselves and not only by what a replica believes; what a replica learns was chosen; no request is applied twice; what
// is answered is in the log; what is read has all that was answered or read before the read began; replicas that have
// applied as much have equal rows.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "store/paxos/replica.h"
#include "store/paxos/testing/mutants.h"

namespace hongyan::store::paxos {

using RequestId = uint32_t;           // 0 to 63.
using Rows = std::vector<RequestId>;
inline uint64_t mask_of(const Rows& rows) {
  uint64_t mask = 0;
  for (const RequestId request : rows) mask |= uint64_t{1} << request;
  return mask;
}

// Every message and snapshot of an exploration, each once, so that a world holds numbers.
struct Packet {
  ReplicaId to = 0;
  Message message;
  bool snapshot = false;  // Of the rows after the entry message.chosen.
  Rows rows;
};
class Packets {
 public:
  uint32_t number_of(Packet packet);
  const Packet& at(uint32_t number) const { return packets_[number]; }
  size_t size() const { return packets_.size(); }

 private:
  std::map<std::string, uint32_t> numbers_;
  std::deque<Packet> packets_;
};

struct CallerRequest {
  enum class Kind : uint8_t { append, append_if, read } kind = Kind::append;
  RequestId request = 0;
  size_t length = 0;  // append_if: passes when the list is this long.
};

// How a call ended; what a history is made of.
struct Ended {
  Ticket ticket = 0;
  CallerRequest what;
  enum class How : uint8_t { done, refused, unknown, overloaded } how = How::done;
  Rows rows;  // read, refused: the list. done: up to and with the request.
};

class World {
 public:
  struct Options {
    uint8_t replicas = 3;
    Mutant mutant = Mutant::none;
    bool writes_at_once = false;     // What is written is durable before anything else happens.
    bool evaluates_at_once = true;
    bool forgets_useless = false;    // Messages that can't change anything any more are as good as lost.
    size_t log_kept = 64;            // Entries that a replica can teach; older ones are in snapshots only.
  };
  World(const Options& options, Packets& packets);

  // Actions.
  void submit(ReplicaId at, Ticket ticket, const CallerRequest& what);
  void deliver(uint32_t packet);
  void flush(ReplicaId at);     // The oldest write becomes durable, and what waited for it is sent.
  void evaluate(ReplicaId at);
  void retry(ReplicaId at);
  enum class Disk : uint8_t { kept, lost };
  void restart(ReplicaId at, Disk disk);  // What was not durable is gone, and so is who waited.
  void drop_log(ReplicaId at);            // Only snapshots can teach from now on.

  bool can_flush(ReplicaId at) const { return !nodes_[at].writes.empty(); }
  bool can_evaluate(ReplicaId at) const { return nodes_[at].evaluate.has_value(); }
  bool can_retry(ReplicaId at) const { return !nodes_[at].replica.idle() || !nodes_[at].replica.votes(); }
  // False: its arrival changes nothing, and nothing is sent because of it.
  bool matters(uint32_t packet) const;
  const MutantReplica& replica(ReplicaId at) const { return nodes_[at].replica; }
  const Rows& rows(ReplicaId at) const { return nodes_[at].rows; }
  size_t log_size(ReplicaId at) const { return nodes_[at].log.size(); }
  const std::vector<uint32_t>& network() const { return network_; }  // Ascending.
  Packets& packets() const { return *packets_; }
  const Options& options() const { return options_; }
  void set_writes_at_once() { options_.writes_at_once = true; }
  // Not empty: which promise was broken.
  const std::string& violation() const { return violation_; }
  // Since the last time it was taken.
  std::vector<Ended> take_ended() { return std::move(ended_); }
  // What happened in the last action, a line each.
  // Chosen values that were proposed without a prepare phase.
  uint64_t unprepared() const;
  void keep_transcript(bool keep) { keeps_transcript_ = keep; }
  std::vector<std::string> take_transcript() { return std::move(transcript_); }

  // Equal worlds have equal bytes.
  void append_to(std::string& out) const;

 private:
  struct Call {
    Ticket ticket = 0;
    CallerRequest what;
    uint64_t must = 0;    // What was answered or read before it began.
    bool evaluated = false;
    Rows seen;            // append_if that did not pass: the rows it was evaluated on.
  };
  struct Stored {
    Record record;
    Rows rows;
    std::vector<ValuePtr> log;  // The last of it is entry record.chosen.
  };
  struct Write {
    Stored stored;
    std::vector<Message> after;
  };
  struct Node {
    MutantReplica replica;
    Rows rows;
    std::vector<ValuePtr> log;
    std::vector<Call> calls;
    std::optional<Evaluate> evaluate;
    Stored disk;
    std::deque<Write> writes;
    uint32_t lives = 1;
  };
  struct Votes {
    Index index = 0;
    Ballot ballot;
    ValueId id;
    uint8_t by = 0;
  };

  Node make_node(ReplicaId id, uint32_t lives, Stored disk, Birth::Memory memory) const;
  void step(ReplicaId at, const Input& input);
  void carry_out(ReplicaId at, Output out);
  void finish_action();
  void apply(ReplicaId at, const ValuePtr& value);
  void become_durable(ReplicaId at, Write write);
  void send(const Message& m);
  void send(Packet packet);
  void teach(ReplicaId at, const Teach& teach);
  void evaluate_now(ReplicaId at);
  void answer(ReplicaId at, const Answer& answer);
  void end_call(ReplicaId at, Ticket ticket, Ended::How how, const Rows& rows);
  void install(const Packet& packet);
  void count_vote(ReplicaId at, const Record& record);
  void note_chosen(Index index, const ValueId& id);
  Call* call_of(ReplicaId at, Ticket ticket);
  bool may_matter_later(uint32_t packet) const;
  void fail(std::string why) {
    if (violation_.empty()) violation_ = std::move(why);
  }
  void say(std::string line) {
    if (keeps_transcript_) transcript_.push_back(std::move(line));
  }

  Options options_;
  Packets* packets_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> network_;
  std::deque<Message> own_;  // From a replica to itself, within one action.
  // Known to nobody but the checker.
  std::vector<Votes> votes_;
  std::vector<ValueId> chosen_;       // By index - 1.
  std::vector<Rows> states_;          // After each entry, as the first replica to get there had them.
  uint64_t answered_ = 0;
  std::string violation_;
  std::vector<Ended> ended_;
  bool keeps_transcript_ = false;
  std::vector<std::string> transcript_;
};

// Words of transcripts: replicas are A, B, C, …; a ballot is round.owner.
std::string text_of(const Message& m);
std::string text_of(const Record& record);
Rows requests_in(const std::string& body);

}  // namespace hongyan::store::paxos
