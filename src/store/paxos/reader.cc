#include <algorithm>

#include "store/paxos/impl/step.h"
#include "store/paxos/limits.h"

namespace hongyan::store::paxos {

void Step::take(const Read& read) {
  if (s_.waiting.size() >= k_waiting_max) {
    out_.answers.push_back({.ticket = read.ticket, .kind = Answer::Kind::overloaded});
    return;
  }
  s_.waiting.push_back({.ticket = read.ticket, .evaluated_on = {}, .poll = s_.polls + 1});
}

void Step::begin_poll() {
  State::Poll poll{.number = ++s_.polls, .best = record_.chosen, .best_at = birth_.self, .top = record_.chosen};
  if (replica_.votes()) {
    poll.heard = bit(birth_.self);
    if (record_.accepted.any()) poll.top += 1, poll.voted = bit(birth_.self);
  }
  s_.poll = poll;
  Message ask = message(Message::Kind::poll, birth_.self);
  ask.session = birth_.session, ask.number = poll.number;
  to_others(out_.now, ask, 0);
}

void Step::on_poll(const Message& m) {
  Message answer = message(Message::Kind::standing, m.from);
  answer.session = m.session, answer.number = m.number;
  answer.other = record_.accepted;
  answer.sure = replica_.votes();
  out_.now.push_back(std::move(answer));
}

void Step::on_standing(const Message& m) {
  // Who doesn't remember its votes can't say that there were none.
  if (!s_.poll || m.session != birth_.session || m.number != s_.poll->number || !m.sure || m.from == birth_.self) return;
  State::Poll& poll = *s_.poll;
  if ((poll.heard & bit(m.from)) != 0) return;
  poll.heard |= bit(m.from);
  if (m.chosen > poll.best) poll.best = m.chosen, poll.best_at = m.from;
  const Index reached = m.chosen + (m.other.any() ? 1 : 0);
  if (reached > poll.top) poll.top = reached, poll.voted = 0;
  if (reached == poll.top && m.other.any()) poll.voted |= bit(m.from);
}

// True when no entry beyond what this replica has was chosen when the poll began. Whoever had voted in an entry then has
// reached it, and a chosen one was voted in by a majority, which meets any other.
bool Replica::poll_settles(const State::Poll& poll) const {
  if (count(poll.heard) < group_.majority()) return false;
  if (poll.top <= state_.record.chosen) return true;
  const int votes_max = count(poll.voted) + group_.size - count(poll.heard);
  return poll.top == state_.record.chosen + 1 && poll.best <= state_.record.chosen && votes_max < group_.majority();
}

void Step::conclude_poll() {
  if (!s_.poll) return;
  // What this replica voted in before it forgot, was in entries up to top + 1: a vote in an entry needs the one before to be
  // chosen, by a majority that is among those who were heard, but for this replica itself. Of the others a majority of the
  // whole group was heard, so one who voted in that entry is among them.
  if (record_.votes_from == k_never && count(s_.poll->heard) >= group_.majority()) {
    record_.votes_from = s_.poll->top + 2;
    dirty_ = true;
  }
  if (replica_.poll_settles(*s_.poll)) answer_waiting(s_.poll->number);
  const bool asked_for = std::any_of(s_.waiting.begin(), s_.waiting.end(),
                                     [&](const State::Waiting& one) { return one.poll <= s_.poll->number; });
  if (asked_for || record_.votes_from == k_never) return;
  s_.poll.reset();
  s_.repair = false;
}

void Step::answer_waiting(uint64_t poll) {
  std::erase_if(s_.waiting, [&](const State::Waiting& one) {
    if (one.poll > poll) return false;
    out_.answers.push_back({.ticket = one.ticket, .kind = Answer::Kind::current, .index = record_.chosen});
    return true;
  });
}

void Step::take(const Retry&) {
  s_.fetching = record_.chosen;
  if (s_.proposal) retry_proposal();
  if (s_.poll) retry_poll();
  if (!replica_.votes() && record_.votes_from != k_never) nudge(record_.votes_from - 1);
}

void Step::retry_poll() {
  const State::Poll& poll = *s_.poll;
  Message ask = message(Message::Kind::poll, birth_.self);
  ask.session = birth_.session, ask.number = poll.number;
  to_others(out_.now, ask, poll.heard);
  if (count(poll.heard) < group_.majority()) return;
  if (poll.best > record_.chosen) return fetch(poll.best_at);
  // Voted in and not known as chosen, and whoever proposed it had time to finish.
  if (replica_.votes()) s_.repair = true;
  else nudge(record_.chosen + 1);
}

void Step::nudge(Index index) {
  const auto to = static_cast<ReplicaId>((birth_.self + 1 + s_.nudges % (group_.size - 1)) % group_.size);
  s_.nudges = static_cast<uint8_t>((s_.nudges + 1) % (group_.size - 1));
  Message m = message(Message::Kind::nudge, to);
  m.index = index;
  out_.now.push_back(std::move(m));
}

void Step::on_nudge(const Message& m) {
  if (m.index <= record_.chosen) return teach(m);
  // Two beyond what is chosen is all that a replica which forgot can ask for.
  if (m.index <= record_.chosen + 2) s_.wanted = std::max(s_.wanted, m.index);
}

}  // namespace hongyan::store::paxos
