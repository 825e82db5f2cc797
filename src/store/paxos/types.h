// The words of one entity's Paxos log. An entity has a log of entries 1, 2, …; each entry is one instance of Paxos among
// the N replicas of its group. A value says by itself who wrote it, for which entry, under which ballot and in which life
// of its author, so that two values are equal when their ids are, and authorship needs no other record.
//
// Numbers here are on disk and on the wire: never renumber.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

namespace hongyan::store::paxos {

using Index = uint64_t;      // Of an entry; the first is 1, 0 is none.
using ReplicaId = uint8_t;   // Place in the group, 0 to size - 1.
using Ticket = uint64_t;     // The engine's name for a caller that waits.

// One start of a replica's process. No two starts of one replica have the same number, a start after a lost disk
// included: 64 random bits, or a clock's start and a counter. Safety rests on the difference only, not on the order.
using Life = uint64_t;

inline constexpr size_t k_replicas_max = 7;

struct Group {
  uint32_t epoch = 1;  // Of the membership. Messages of another one are dropped.
  uint8_t size = 3;
  int majority() const { return size / 2 + 1; }
};

// Ordered by round, then owner. Round 0 is the ballot that needs no prepare phase: it is below all others, so there is
// nothing that a prepare could find; who may use it is the author of the entry before, nobody else.
struct Ballot {
  uint32_t round = 0;
  uint8_t owner = 0;  // Replica id + 1; 0: no ballot.

  static Ballot unprepared(ReplicaId replica) { return {.round = 0, .owner = static_cast<uint8_t>(replica + 1)}; }
  bool any() const { return owner != 0; }
  bool is_unprepared() const { return any() && round == 0; }
  auto operator<=>(const Ballot&) const = default;
};

// One author proposes one value of its own under one ballot, so this is unique.
struct ValueId {
  Index index = 0;  // The entry it was made for; it can be chosen there only.
  Ballot origin;    // The ballot it was first proposed under; its owner is the author.
  Life life = 0;    // The author's.
  auto operator<=>(const ValueId&) const = default;
};

struct Value {
  ValueId id;
  std::string body;  // Effects and remembered requests, opaque here; empty: nothing to apply.
};
using ValuePtr = std::shared_ptr<const Value>;

}  // namespace hongyan::store::paxos
