#include "store/paxos/replica.h"

#include <algorithm>

#include "store/paxos/impl/step.h"
#include "store/paxos/limits.h"

namespace hongyan::store::paxos {

Replica::Replica(Group group, Birth birth, Record record) : group_(group), birth_(birth) {
  CHECK(group.size >= 1 && group.size <= k_replicas_max && birth.self < group.size);
  state_.record = std::move(record);
  if (birth.memory == Birth::Memory::forgot) state_.record.votes_from = k_never;
}

Output Replica::step(const Input& input) { return Step(*this).run(input); }

bool Replica::idle() const {
  return state_.tickets.empty() && !state_.proposal && state_.waiting.empty() && !state_.poll &&
         state_.wanted <= state_.record.chosen;
}

Output Step::run(const Input& input) {
  std::visit([this](const auto& one) { take(one); }, input);
  if (out_.broken.empty()) drive();
  if (dirty_) out_.record = record_;
  return std::move(out_);
}

// What follows from the state as it is now.
void Step::drive() {
  conclude_poll();
  if (!s_.poll && (!s_.waiting.empty() || record_.votes_from == k_never)) {
    begin_poll();
    conclude_poll();  // A group of one has its answer already.
  }
  if (!s_.proposal && replica_.votes() && (has_work() || s_.repair)) start_proposal();
}

Message Step::message(Message::Kind kind, ReplicaId to) const {
  return {.kind = kind, .from = birth_.self, .to = to, .epoch = group_.epoch, .chosen = record_.chosen, .chosen_id = record_.last};
}

void Step::to_others(std::vector<Message>& out, const Message& m, uint8_t except) {
  for (ReplicaId to = 0; to < group_.size; ++to) {
    if (to == birth_.self || (except & bit(to)) != 0) continue;
    out.push_back(m);
    out.back().to = to;
  }
}

void Step::take(const Message& m) {
  using Kind = Message::Kind;
  if (m.epoch != group_.epoch || m.to != birth_.self || m.from >= group_.size) return;
  if (m.from != birth_.self) {
    learn(m);
    if (!out_.broken.empty()) return;
  } else if (m.kind != Kind::promise && m.kind != Kind::accepted) {
    return;
  }
  switch (m.kind) {
    case Kind::prepare: return on_prepare(m);
    case Kind::promise: return on_promise(m);
    case Kind::accept: return on_accept(m);
    case Kind::accepted: return on_accepted(m);
    case Kind::refuse: return on_refuse(m);
    case Kind::learn: return;
    case Kind::poll: return on_poll(m);
    case Kind::standing: return on_standing(m);
    case Kind::fetch: return teach(m);
    case Kind::entries: return on_entries(m);
    case Kind::nudge: return on_nudge(m);
  }
}

// Every message says what its sender knows as chosen.
void Step::learn(const Message& m) {
  if (m.chosen == record_.chosen && m.chosen_id != record_.last) return broken("two values chosen in one entry");
  if (m.chosen <= record_.chosen) return;
  if (m.chosen == record_.chosen + 1 && record_.accepted.any() && record_.value->id == m.chosen_id) {
    return advance(record_.value);
  }
  // Who asks for something is told too late if its question finds this replica behind once more; news may be late.
  const bool asks = m.kind == Message::Kind::prepare || m.kind == Message::Kind::accept;
  if (m.kind != Message::Kind::entries && (asks || m.chosen > s_.fetching)) {
    s_.fetching = m.chosen;
    fetch(m.from);
  }
}

// True where this replica may vote in the message's entry. It votes in the one after the last that it knows as chosen,
// and no other: one slot is all that a record needs.
bool Step::votes_in(const Message& m) {
  if (m.index <= record_.chosen) {
    teach(m);
    return false;
  }
  return m.index == record_.chosen + 1 && replica_.votes();
}

// True where the ballot of a prepare or an accept may be followed; a lower one than what was promised is refused.
bool Step::heard(const Message& m) {
  if (!votes_in(m)) return false;
  s_.round = std::max(s_.round, m.ballot.round);
  if (m.ballot >= record_.promised) return true;
  Message refuse = message(Message::Kind::refuse, m.from);
  refuse.index = m.index, refuse.ballot = m.ballot, refuse.other = record_.promised;
  out_.now.push_back(std::move(refuse));
  return false;
}

void Step::on_prepare(const Message& m) {
  if (!heard(m)) return;
  if (m.ballot > record_.promised) {
    record_.promised = m.ballot;
    dirty_ = true;
  }
  Message promise = message(Message::Kind::promise, m.from);
  promise.index = m.index, promise.ballot = m.ballot, promise.other = record_.accepted;
  if (record_.accepted.any()) promise.values.push_back(record_.value);
  out_.after.push_back(std::move(promise));
}

void Step::on_accept(const Message& m) {
  if (!heard(m)) return;
  if (m.ballot == record_.accepted) {
    if (m.values[0]->id != record_.value->id) return broken("two values under one ballot");
  } else {
    record_.promised = record_.accepted = m.ballot;
    record_.value = m.values[0];
    dirty_ = true;
  }
  Message accepted = message(Message::Kind::accepted, m.from);
  accepted.index = m.index, accepted.ballot = m.ballot;
  out_.after.push_back(std::move(accepted));
}

void Step::on_entries(const Message& m) {
  for (const ValuePtr& value : m.values) {
    if (value->id.index == record_.chosen && value->id != record_.last) return broken("two values chosen in one entry");
    if (value->id.index == record_.chosen + 1) advance(value);
  }
  if (m.chosen > record_.chosen) fetch(m.from);
}

void Step::advance(const ValuePtr& value) {
  CHECK(value->id.index == record_.chosen + 1);
  out_.chosen.push_back(value);
  close_entry(value->id.index, value->id);
}

void Step::close_entry(Index index, const ValueId& id) {
  record_.chosen = index;
  record_.last = id;
  record_.promised = record_.accepted = {};
  record_.value = nullptr;
  s_.round = 0;
  s_.repair = false;
  dirty_ = true;
  settle(id);
  // Answers made on an older state wait for their turn again.
  std::vector<Ticket> outdated;
  std::erase_if(s_.waiting, [&](const State::Waiting& one) {
    if (one.evaluated_on) outdated.push_back(one.ticket);
    return one.evaluated_on.has_value();
  });
  wait_again(outdated);
}

void Step::fetch(ReplicaId from) { out_.now.push_back(message(Message::Kind::fetch, from)); }

void Step::teach(const Message& m) {
  if (m.chosen < record_.chosen) out_.teach.push_back({.to = m.from, .from = m.chosen + 1});
}

void Step::take(const Installed& installed) {
  if (installed.index <= record_.chosen) return;
  const auto& proposal = s_.proposal;
  if (proposal && proposal->index < installed.index) {
    for (const Ticket ticket : proposal->inside) out_.answers.push_back({.ticket = ticket, .kind = Answer::Kind::unknown});
    s_.proposal->inside.clear();
  }
  close_entry(installed.index, installed.id);
}

}  // namespace hongyan::store::paxos
