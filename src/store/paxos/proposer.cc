#include <algorithm>

#include "store/paxos/impl/step.h"
#include "store/paxos/limits.h"

namespace hongyan::store::paxos {

// The author of the last value, and nobody else, may propose the next one at once. The value chosen in an entry is one, so
// its author is one, whoever finished it and under whatever ballot; in another life it doesn't remember what it proposed.
bool Replica::may_skip_prepare() const {
  const Record& record = state_.record;
  return record.chosen > 0 && record.last.origin.owner == birth_.self + 1 && record.last.life == birth_.life &&
         !record.promised.any() && !record.accepted.any();
}

void Step::take(const Submit& submit) {
  if (s_.tickets.size() >= k_waiting_max) {
    out_.answers.push_back({.ticket = submit.ticket, .kind = Answer::Kind::overloaded});
    return;
  }
  s_.tickets.push_back(submit.ticket);
}

void Step::start_proposal() {
  s_.proposal = Proposal{.index = record_.chosen + 1};
  if (s_.repair || !replica_.may_skip_prepare()) return prepare();
  s_.proposal->ballot = Ballot::unprepared(birth_.self);
  ask_to_evaluate();
}

// Once more with a higher ballot, if it was tried before.
void Step::prepare() {
  Proposal& p = *s_.proposal;
  const uint32_t round = std::max(s_.round, record_.promised.round) + 1;
  if (round > k_round_max) return broken("ballots ran out");
  p.ballot = {.round = round, .owner = static_cast<uint8_t>(birth_.self + 1)};
  p.phase = Proposal::Phase::preparing;
  p.heard = 0;
  p.found = {};
  p.value = nullptr;
  p.covers = s_.polls;
  p.contended = false;
  s_.round = round;
  record_.promised = p.ballot;
  dirty_ = true;
  // After the record: a ballot that others have seen is never made a second time.
  Message prepare = message(Message::Kind::prepare, birth_.self);
  prepare.index = p.index, prepare.ballot = p.ballot;
  to_others(out_.after, prepare, 0);
  Message own = message(Message::Kind::promise, birth_.self);
  own.index = p.index, own.ballot = p.ballot, own.other = record_.accepted;
  if (record_.accepted.any()) own.values.push_back(record_.value);
  out_.after.push_back(std::move(own));
}

void Step::on_promise(const Message& m) {
  if (!s_.proposal) return;
  Proposal& p = *s_.proposal;
  if (p.phase != Proposal::Phase::preparing || m.index != p.index || m.ballot != p.ballot) return;
  p.heard |= bit(m.from);
  if (m.other > p.found) {
    p.found = m.other;
    p.value = m.values[0];
  }
  if (count(p.heard) >= group_.majority()) prepared();
}

void Step::prepared() {
  Proposal& p = *s_.proposal;
  if (p.value) return propose(p.value);
  if (p.mine) return propose(p.mine);
  if (has_work()) return ask_to_evaluate();
  // Nothing was voted for by a majority that votes under no lower ballot any more: when those reads came, the state was this.
  answer_waiting(p.covers);
  s_.repair = false;
  s_.proposal.reset();
}

void Step::ask_to_evaluate() {
  Proposal& p = *s_.proposal;
  p.phase = Proposal::Phase::evaluating;
  if (!s_.tickets.empty()) {
    out_.evaluate = Evaluate{.index = p.index, .tickets = s_.tickets};
    return;
  }
  take(Evaluated{.index = p.index});
}

void Step::take(const Evaluated& evaluated) {
  if (!s_.proposal || s_.proposal->phase != Proposal::Phase::evaluating || s_.proposal->index != evaluated.index) return;
  Proposal& p = *s_.proposal;
  for (const auto* list : {&evaluated.inside, &evaluated.without, &evaluated.gone}) {
    for (const Ticket ticket : *list) std::erase(s_.tickets, ticket);
  }
  if (evaluated.inside.empty() && s_.wanted <= record_.chosen) {
    // Nothing to propose. Whether the state was current, a poll that begins now can tell.
    for (const Ticket ticket : evaluated.without) {
      s_.waiting.push_back({.ticket = ticket, .evaluated_on = record_.chosen, .poll = s_.polls + 1});
    }
    s_.proposal.reset();
    return;
  }
  p.inside = evaluated.inside;
  p.without = evaluated.without;
  p.mine = std::make_shared<const Value>(
      Value{.id = {.index = p.index, .origin = p.ballot, .life = birth_.life}, .body = evaluated.body});
  propose(p.mine);
}

void Step::propose(const ValuePtr& value) {
  Proposal& p = *s_.proposal;
  p.phase = Proposal::Phase::accepting;
  p.value = value;
  p.heard = 0;
  if (p.ballot < record_.promised) {  // Another's ballot came by meanwhile.
    p.contended = true;
    return;
  }
  record_.promised = record_.accepted = p.ballot;
  record_.value = value;
  dirty_ = true;
  // Others may vote while this replica's own vote is on its way to the disk: it counts when it has arrived there. Should it
  // not arrive, this ballot is not used again: a prepared one is in an older record, the other one belongs to this life.
  Message accept = message(Message::Kind::accept, birth_.self);
  accept.index = p.index, accept.ballot = p.ballot;
  accept.values.push_back(value);
  to_others(out_.now, accept, 0);
  Message own = message(Message::Kind::accepted, birth_.self);
  own.index = p.index, own.ballot = p.ballot;
  out_.after.push_back(std::move(own));
}

void Step::on_accepted(const Message& m) {
  if (!s_.proposal) return;
  Proposal& p = *s_.proposal;
  if (p.phase != Proposal::Phase::accepting || m.index != p.index || m.ballot != p.ballot) return;
  p.heard |= bit(m.from);
  if (count(p.heard) < group_.majority()) return;
  const ValuePtr value = p.value;  // The proposal ends with its entry.
  advance(value);
  to_others(out_.now, message(Message::Kind::learn, birth_.self), 0);
}

void Step::on_refuse(const Message& m) {
  if (m.index == record_.chosen + 1) s_.round = std::max(s_.round, m.other.round);
  if (s_.proposal && m.index == s_.proposal->index && m.ballot == s_.proposal->ballot) s_.proposal->contended = true;
}

void Step::retry_proposal() {
  Proposal& p = *s_.proposal;
  if (p.phase == Proposal::Phase::evaluating) return;
  if (p.contended || p.ballot < record_.promised) return prepare();
  const bool preparing = p.phase == Proposal::Phase::preparing;
  Message again = message(preparing ? Message::Kind::prepare : Message::Kind::accept, birth_.self);
  again.index = p.index, again.ballot = p.ballot;
  if (!preparing) again.values.push_back(p.value);
  to_others(preparing ? out_.after : out_.now, again, p.heard);
}

// The entry of the proposal has a value: the one with these tickets in it, or another.
void Step::settle(const ValueId& chosen) {
  if (!s_.proposal) return;
  const Proposal p = std::move(*s_.proposal);
  s_.proposal.reset();
  if (p.mine && p.mine->id == chosen) {
    for (const Ticket ticket : p.inside) {
      out_.answers.push_back({.ticket = ticket, .kind = Answer::Kind::chosen, .index = chosen.index});
    }
    for (const Ticket ticket : p.without) {
      out_.answers.push_back({.ticket = ticket, .kind = Answer::Kind::current, .index = chosen.index - 1});
    }
    return;
  }
  std::vector<Ticket> tickets = p.inside;
  tickets.insert(tickets.end(), p.without.begin(), p.without.end());
  wait_again(tickets);
}

void Step::wait_again(const std::vector<Ticket>& tickets) {
  s_.tickets.insert(s_.tickets.begin(), tickets.begin(), tickets.end());
}

}  // namespace hongyan::store::paxos
