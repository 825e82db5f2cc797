// Worlds as bytes, for explorers, and as words, for transcripts.
#include "base/bytes.h"
#include "store/paxos/testing/world.h"

namespace hongyan::store::paxos {
namespace {

std::string text_of(const Ballot& ballot) {
  if (!ballot.any()) return "nothing";
  return std::to_string(ballot.round) + "." + static_cast<char>('A' + ballot.owner - 1);
}

std::string text_of(const ValueId& id) {
  if (id.index == 0) return "nothing";
  return "v" + std::to_string(id.index) + "/" + text_of(id.origin);
}

std::string text_of(const Value& value) {
  std::string text = text_of(value.id) + "{";
  for (const RequestId request : requests_in(value.body)) {
    text += (text.back() == '{' ? "r" : " r") + std::to_string(request);
  }
  return text + "}";
}

void put_rows(std::string& out, const Rows& rows) {
  put_u8(out, static_cast<uint8_t>(rows.size()));
  for (const RequestId request : rows) put_u8(out, static_cast<uint8_t>(request));
}

void put_log(std::string& out, const std::vector<ValuePtr>& log) {
  put_u8(out, static_cast<uint8_t>(log.size()));
  for (const ValuePtr& value : log) put(out, value->id);
}

void put_tickets(std::string& out, const std::vector<Ticket>& tickets) {
  put_varint(out, tickets.size());
  for (const Ticket ticket : tickets) put_varint(out, ticket);
}

void put_state(std::string& out, const State& state) {
  out += encode(state.record);
  put_varint(out, state.round);
  put_tickets(out, state.tickets);
  put_u8(out, state.proposal ? 1 : 0);
  if (state.proposal) {
    const State::Proposal& p = *state.proposal;
    put_varint(out, p.index);
    put(out, p.ballot);
    put_u8(out, static_cast<uint8_t>(p.phase));
    put_u8(out, p.heard);
    put(out, p.found);
    put(out, p.value ? p.value->id : ValueId{});
    put(out, p.mine ? p.mine->id : ValueId{});
    put_tickets(out, p.inside);
    put_tickets(out, p.without);
    put_varint(out, p.covers);
    put_u8(out, p.contended ? 1 : 0);
  }
  put_varint(out, state.waiting.size());
  for (const State::Waiting& one : state.waiting) {
    put_varint(out, one.ticket);
    put_varint(out, one.evaluated_on ? *one.evaluated_on + 1 : 0);
    put_varint(out, one.poll);
  }
  put_u8(out, state.poll ? 1 : 0);
  if (state.poll) {
    put_varint(out, state.poll->number);
    put_u8(out, state.poll->heard);
    put_u8(out, state.poll->voted);
    put_varint(out, state.poll->best);
    put_u8(out, state.poll->best_at);
    put_varint(out, state.poll->top);
  }
  put_varint(out, state.polls);
  put_u8(out, state.repair ? 1 : 0);
  put_varint(out, state.wanted);
  put_varint(out, state.fetching);
  put_u8(out, state.nudges);
}

}  // namespace

std::string text_of(const Message& m) {
  const std::string at = " entry " + std::to_string(m.index) + " under " + text_of(m.ballot);
  std::string text;
  switch (m.kind) {
    case Message::Kind::prepare: text = "prepare" + at; break;
    case Message::Kind::promise:
      text = "promise" + at + (m.values.empty() ? ", accepted nothing" : ", accepted " + text_of(*m.values[0]) + " under " + text_of(m.other));
      break;
    case Message::Kind::accept: text = "accept" + at + ": " + text_of(*m.values[0]); break;
    case Message::Kind::accepted: text = "accepted" + at; break;
    case Message::Kind::refuse: text = "refuse" + at + ", promised " + text_of(m.other); break;
    case Message::Kind::learn: text = "learn"; break;
    case Message::Kind::poll: text = "poll " + std::to_string(m.number); break;
    case Message::Kind::standing:
      text = "standing for poll " + std::to_string(m.number) + ", accepted " + text_of(m.other) + (m.sure ? "" : ", unsure");
      break;
    case Message::Kind::fetch: text = "fetch"; break;
    case Message::Kind::entries:
      text = "entries";
      for (const ValuePtr& value : m.values) text += " " + text_of(*value);
      break;
    case Message::Kind::nudge: text = "nudge to entry " + std::to_string(m.index); break;
  }
  return text + " (chosen " + text_of(m.chosen_id) + ")";
}

std::string text_of(const Record& record) {
  std::string text = "chosen " + text_of(record.last);
  if (record.votes_from == k_never) text += ", votes in nothing yet";
  else if (record.votes_from > record.chosen + 1) text += ", votes from entry " + std::to_string(record.votes_from);
  if (record.promised.any()) text += ", promised " + text_of(record.promised);
  if (record.accepted.any()) text += ", accepted " + text_of(*record.value) + " under " + text_of(record.accepted);
  return text;
}

void World::append_to(std::string& out) const {
  for (const Node& node : nodes_) {
    put_state(out, node.replica.state());
    put_u8(out, static_cast<uint8_t>(node.replica.finishing()));
    put_varint(out, node.lives);
    put_rows(out, node.rows);
    put_log(out, node.log);
    put_u8(out, static_cast<uint8_t>(node.calls.size()));
    for (const Call& call : node.calls) {
      put_varint(out, call.ticket);
      put_varint(out, call.must);
      put_u8(out, call.evaluated ? 1 : 0);
      put_rows(out, call.seen);
    }
    put_varint(out, node.evaluate ? node.evaluate->index : 0);
    const auto put_stored = [&](const Stored& stored) {
      out += encode(stored.record);
      put_rows(out, stored.rows);
      put_log(out, stored.log);
    };
    put_stored(node.disk);
    put_u8(out, static_cast<uint8_t>(node.writes.size()));
    for (const Write& write : node.writes) {
      put_stored(write.stored);
      put_varint(out, write.after.size());
      for (const Message& m : write.after) put_sized(out, encode(m));
    }
  }
  put_varint(out, network_.size());
  for (const uint32_t packet : network_) put_varint(out, packet);
  for (const Votes& votes : votes_) {
    put_varint(out, votes.index);
    put(out, votes.ballot);
    put_u8(out, votes.by);
  }
  put_varint(out, answered_);
}

}  // namespace hongyan::store::paxos
