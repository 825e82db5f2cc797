// What replicas of one entity say to each other. Every message tells how far its sender knows the log to be chosen and
// what stands there; that alone makes a receiver learn an entry it had accepted, or notice that it is behind.
//
// Format 1, integers as varints: format · kind · from · to · epoch · chosen · chosen id · index · ballot · other · flags ·
// session · number · count of values · values. Which are used stands at each kind; the others are zero. Never renumber.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/paxos/types.h"

namespace hongyan::store::paxos {

inline constexpr uint64_t k_message_format = 1;

struct Message {
  enum class Kind : uint8_t {
    prepare = 1,   // index, ballot: what have you accepted in this entry? Vote under no lower ballot any more.
    promise = 2,   // index, ballot; other and a value: what was accepted, if anything.
    accept = 3,    // index, ballot, a value: vote for it.
    accepted = 4,  // index, ballot: voted.
    refuse = 5,    // index, ballot; other: the higher ballot that was promised.
    learn = 6,     // Nothing but how far the sender knows.
    poll = 7,      // session, number: how far do you know, and have you voted beyond it?
    standing = 8,  // session, number; other: the ballot accepted in the entry after, if any; sure.
    fetch = 9,     // Teach me from my chosen + 1.
    entries = 10,  // Values that are chosen, in order, without gaps.
    nudge = 11,    // index: have something chosen at it, so that I may vote again.
  };
  Kind kind = Kind::learn;
  ReplicaId from = 0;
  ReplicaId to = 0;
  uint32_t epoch = 1;
  Index chosen = 0;
  ValueId chosen_id = {};
  Index index = 0;
  Ballot ballot = {};
  Ballot other = {};
  bool sure = false;  // standing: the sender remembers every vote it may have given after `chosen`.
  uint64_t session = 0;
  uint64_t number = 0;
  std::vector<ValuePtr> values = {};
};

std::string encode(const Message& message);
Result<Message> parse_message(std::string_view bytes);

}  // namespace hongyan::store::paxos
