#include "store/paxos/testing/world.h"

#include <algorithm>

#include "base/check.h"

namespace hongyan::store::paxos {
namespace {

std::string body_of(const Rows& requests) {
  std::string body;
  for (const RequestId request : requests) put_u8(body, static_cast<uint8_t>(request));
  return body;
}

bool holds(const Rows& rows, RequestId request) { return std::find(rows.begin(), rows.end(), request) != rows.end(); }

std::string name(ReplicaId id) { return std::string(1, static_cast<char>('A' + id)); }

}  // namespace

Rows requests_in(const std::string& body) {
  Rows requests;
  for (const char c : body) requests.push_back(static_cast<uint8_t>(c));
  return requests;
}

uint32_t Packets::number_of(Packet packet) {
  std::string key = encode(packet.message);
  put_u8(key, packet.snapshot ? 1 : 0);
  key += body_of(packet.rows);
  const auto [at, fresh] = numbers_.emplace(std::move(key), static_cast<uint32_t>(packets_.size()));
  if (fresh) packets_.push_back(std::move(packet));
  return at->second;
}

World::World(const Options& options, Packets& packets) : options_(options), packets_(&packets) {
  for (ReplicaId id = 0; id < options.replicas; ++id) nodes_.push_back(make_node(id, 1, {}, Birth::Memory::whole));
}

World::Node World::make_node(ReplicaId id, uint32_t lives, Stored disk, Birth::Memory memory) const {
  if (options_.mutant == Mutant::lost_disk_unnoticed) memory = Birth::Memory::whole;
  const Birth birth{.self = id, .life = lives * 10u + id, .session = lives * 10u + id, .memory = memory};
  MutantReplica replica(Group{.epoch = 1, .size = options_.replicas}, birth, disk.record, options_.mutant);
  return {.replica = replica, .rows = disk.rows, .log = disk.log, .calls = {}, .evaluate = {}, .disk = std::move(disk),
          .writes = {}, .lives = lives};
}

void World::submit(ReplicaId at, Ticket ticket, const CallerRequest& what) {
  say(name(at) + ": " + (what.kind == CallerRequest::Kind::read ? "read" : what.kind == CallerRequest::Kind::append ? "append" : "append if " + std::to_string(what.length) + " long") +
      (what.kind == CallerRequest::Kind::read ? "" : " r" + std::to_string(what.request)) + " for caller " + std::to_string(ticket));
  nodes_[at].calls.push_back({.ticket = ticket, .what = what, .must = answered_, .evaluated = false, .seen = {}});
  if (what.kind == CallerRequest::Kind::read) step(at, Read{ticket});
  else step(at, Submit{ticket});
  finish_action();
}

void World::deliver(uint32_t number) {
  const Packet& packet = packets_->at(number);
  if (packet.snapshot) {
    install(packet);
  } else {
    say(name(packet.to) + " gets from " + name(packet.message.from) + ": " + text_of(packet.message));
    step(packet.to, packet.message);
  }
  finish_action();
}

bool World::matters(uint32_t number) const {
  const Packet& packet = packets_->at(number);
  const Message& m = packet.message;
  const State& state = nodes_[packet.to].replica.state();
  if (m.chosen > state.record.chosen) return true;
  const auto& p = state.proposal;
  const bool of_proposal = p && m.index == p->index && m.ballot == p->ballot;
  const bool heard = p && (p->heard >> m.from & 1) != 0;
  switch (m.kind) {
    case Message::Kind::promise: return of_proposal && p->phase == State::Proposal::Phase::preparing && !heard;
    case Message::Kind::accepted: return of_proposal && p->phase == State::Proposal::Phase::accepting && !heard;
    case Message::Kind::refuse:
      return m.index == state.record.chosen + 1 && (m.other.round > state.round || (of_proposal && !p->contended));
    case Message::Kind::learn:
    case Message::Kind::entries: return false;
    case Message::Kind::standing:
      return state.poll && m.number == state.poll->number && (state.poll->heard >> m.from & 1) == 0;
    case Message::Kind::prepare:
    case Message::Kind::accept: return m.index > state.record.chosen || m.chosen < state.record.chosen;
    case Message::Kind::poll:
    case Message::Kind::fetch:
    case Message::Kind::nudge: return true;
  }
  return true;
}

void World::flush(ReplicaId at) {
  if (nodes_[at].writes.empty()) return;
  Write write = std::move(nodes_[at].writes.front());
  nodes_[at].writes.pop_front();
  say(name(at) + "'s oldest write is durable");
  become_durable(at, std::move(write));
  finish_action();
}

void World::retry(ReplicaId at) {
  say(name(at) + " retries");
  step(at, Retry{});
  finish_action();
}

void World::restart(ReplicaId at, Disk disk) {
  say(name(at) + (disk == Disk::kept ? " stops and starts again" : " starts again with an empty disk"));
  Node& node = nodes_[at];
  const uint32_t lives = node.lives + 1;
  own_.clear();
  // A replica whose votes_from was never durable has forgotten still.
  const bool forgot = disk == Disk::lost || node.disk.record.votes_from == k_never;
  if (disk == Disk::lost) node.disk = Stored{};
  if (forgot) node.disk.record.votes_from = k_never;
  node = make_node(at, lives, std::move(node.disk), forgot ? Birth::Memory::forgot : Birth::Memory::whole);
  if (options_.mutant == Mutant::lost_disk_unnoticed && forgot) {
    Stored empty = node.disk;
    empty.record.votes_from = 1;
    node = make_node(at, lives, std::move(empty), Birth::Memory::whole);
  }
}

void World::drop_log(ReplicaId at) {
  nodes_[at].log.clear();
  nodes_[at].disk.log.clear();
  for (Write& write : nodes_[at].writes) write.stored.log.clear();
}

// What a replica says to itself, and evaluations where they take no time.
void World::finish_action() {
  for (bool more = true; more && violation_.empty();) {
    more = !own_.empty();
    if (more) {
      const Message m = std::move(own_.front());
      own_.pop_front();
      step(m.to, m);
    }
    for (ReplicaId at = 0; options_.evaluates_at_once && at < nodes_.size(); ++at) {
      if (!nodes_[at].evaluate) continue;
      evaluate_now(at);
      more = true;
    }
  }
  if (options_.forgets_useless) std::erase_if(network_, [&](const uint32_t packet) { return !may_matter_later(packet); });
}

// An entry that is durably known, a proposal or poll that has ended or has heard this sender: none of them comes back.
bool World::may_matter_later(uint32_t number) const {
  const Packet& packet = packets_->at(number);
  const Message& m = packet.message;
  const Node& node = nodes_[packet.to];
  if (m.chosen > node.disk.record.chosen) return true;
  switch (m.kind) {
    case Message::Kind::promise:
    case Message::Kind::accepted:
    case Message::Kind::standing: return matters(number);
    case Message::Kind::learn:
    case Message::Kind::entries: return false;
    case Message::Kind::refuse:
    case Message::Kind::prepare:
    case Message::Kind::accept: return m.index > node.disk.record.chosen;
    case Message::Kind::poll:
    case Message::Kind::fetch:
    case Message::Kind::nudge: return true;
  }
  return true;
}

void World::evaluate(ReplicaId at) {
  evaluate_now(at);
  finish_action();
}

void World::step(ReplicaId at, const Input& input) { carry_out(at, nodes_[at].replica.step_as_mutant(input)); }

void World::carry_out(ReplicaId at, Output out) {
  if (!out.broken.empty()) return fail(std::string(out.broken));
  Node& node = nodes_[at];
  for (const ValuePtr& value : out.chosen) apply(at, value);
  for (const Message& m : out.now) {
    if (m.to == at) own_.push_back(m);  // Only a mutant's.
    else send(m);
  }
  if (out.record || !out.after.empty()) {
    if (out.record) say("  " + name(at) + " writes: " + text_of(*out.record));
    Write write{.stored = {.record = node.replica.state().record, .rows = node.rows, .log = node.log}, .after = std::move(out.after)};
    if (out.record) write.stored.record = *out.record;
    if (options_.writes_at_once || (!out.record && node.writes.empty())) {
      become_durable(at, std::move(write));
    } else if (out.record) {
      node.writes.push_back(std::move(write));
    } else {
      auto& last = node.writes.back().after;
      last.insert(last.end(), write.after.begin(), write.after.end());
    }
  }
  for (const Answer& one : out.answers) answer(at, one);
  for (const Teach& one : out.teach) teach(at, one);
  if (out.evaluate) node.evaluate = std::move(out.evaluate);
}

void World::become_durable(ReplicaId at, Write write) {
  nodes_[at].disk = std::move(write.stored);
  count_vote(at, nodes_[at].disk.record);
  for (const Message& m : write.after) {
    if (m.to == at) own_.push_back(m);
    else send(m);
  }
}

void World::send(const Message& m) { send(Packet{.to = m.to, .message = m, .snapshot = false, .rows = {}}); }

void World::send(Packet packet) {
  if (!packet.snapshot) say("  " + name(packet.message.from) + " -> " + name(packet.to) + ": " + text_of(packet.message));
  const uint32_t number = packets_->number_of(std::move(packet));
  const auto at = std::lower_bound(network_.begin(), network_.end(), number);
  if (at == network_.end() || *at != number) network_.insert(at, number);
}

void World::evaluate_now(ReplicaId at) {
  Node& node = nodes_[at];
  if (!node.evaluate) return;
  const Evaluate asked = std::move(*node.evaluate);
  node.evaluate.reset();
  if (asked.index != node.replica.chosen() + 1) return;  // Overtaken: it asks again.
  Evaluated evaluated{.index = asked.index};
  Rows rows = node.rows, added;
  std::vector<Ticket> replayed;
  for (const Ticket ticket : asked.tickets) {
    Call* call = call_of(at, ticket);
    if (call == nullptr) {
      evaluated.gone.push_back(ticket);
      continue;
    }
    const RequestId request = call->what.request;
    const bool reuses = options_.mutant == Mutant::evaluation_reused && call->evaluated;
    const bool remembers = options_.mutant != Mutant::request_ids_forgotten && !reuses;
    if (remembers && holds(node.rows, request)) {
      evaluated.gone.push_back(ticket);
      replayed.push_back(ticket);
    } else if (holds(added, request)) {
      evaluated.inside.push_back(ticket);  // Twice in one batch: one effect, two answers.
    } else if (!reuses && call->what.kind == CallerRequest::Kind::append_if && rows.size() != call->what.length) {
      evaluated.without.push_back(ticket);
      call->seen = rows;
    } else {
      evaluated.inside.push_back(ticket);
      call->evaluated = true;
      rows.push_back(request);
      added.push_back(request);
    }
  }
  evaluated.body = body_of(added);
  for (const Ticket ticket : replayed) end_call(at, ticket, Ended::How::done, node.rows);
  step(at, evaluated);
}

void World::apply(ReplicaId at, const ValuePtr& value) {
  Node& node = nodes_[at];
  const Index index = value->id.index;
  say("  " + name(at) + " applies entry " + std::to_string(index));
  if (index > chosen_.size() || chosen_[index - 1] != value->id) {
    fail("entry " + std::to_string(index) + " was learned with a value that no majority had voted for");
  }
  for (const RequestId request : requests_in(value->body)) {
    if (holds(node.rows, request)) fail("a request was applied twice");
    node.rows.push_back(request);
  }
  node.log.push_back(value);
  if (node.log.size() > options_.log_kept) node.log.erase(node.log.begin());
  if (states_.size() < index) states_.resize(index);
  if (states_[index - 1].empty()) states_[index - 1] = node.rows;
  if (states_[index - 1] != node.rows) fail("two replicas have different rows at one version");
}

void World::install(const Packet& packet) {
  Node& node = nodes_[packet.to];
  if (packet.message.chosen <= node.replica.chosen()) return;
  say(name(packet.to) + " installs a snapshot up to entry " + std::to_string(packet.message.chosen));
  node.rows = packet.rows;
  node.log.clear();
  step(packet.to, Installed{.index = packet.message.chosen, .id = packet.message.chosen_id});
}

void World::teach(ReplicaId at, const Teach& teach) {
  const Node& node = nodes_[at];
  const Index chosen = node.replica.chosen();
  Message m{.kind = Message::Kind::entries, .from = at, .to = teach.to, .epoch = 1, .chosen = chosen,
            .chosen_id = node.replica.state().record.last};
  const Index oldest = chosen + 1 - node.log.size();
  if (teach.from >= oldest && teach.from <= chosen) {
    m.values.assign(node.log.begin() + static_cast<ptrdiff_t>(teach.from - oldest), node.log.end());
    return send(m);
  }
  say("  " + name(at) + " -> " + name(teach.to) + ": a snapshot up to entry " + std::to_string(chosen));
  send(Packet{.to = teach.to, .message = std::move(m), .snapshot = true, .rows = node.rows});
}

World::Call* World::call_of(ReplicaId at, Ticket ticket) {
  for (Call& call : nodes_[at].calls) {
    if (call.ticket == ticket) return &call;
  }
  return nullptr;
}

void World::answer(ReplicaId at, const Answer& answer) {
  const Call* call = call_of(at, answer.ticket);
  if (call == nullptr) return;
  using Kind = CallerRequest::Kind;
  switch (answer.kind) {
    case Answer::Kind::chosen: return end_call(at, answer.ticket, Ended::How::done, nodes_[at].rows);
    case Answer::Kind::current:
      if (call->what.kind == Kind::read) return end_call(at, answer.ticket, Ended::How::done, nodes_[at].rows);
      return end_call(at, answer.ticket, Ended::How::refused, Rows(call->seen));
    case Answer::Kind::unknown: {
      // What an engine does: the request id tells whether it happened.
      const Call again = *call;
      if (holds(nodes_[at].rows, again.what.request)) return end_call(at, answer.ticket, Ended::How::done, nodes_[at].rows);
      return end_call(at, answer.ticket, Ended::How::unknown, {});
    }
    case Answer::Kind::overloaded: return end_call(at, answer.ticket, Ended::How::overloaded, {});
  }
}

void World::end_call(ReplicaId at, Ticket ticket, Ended::How how, const Rows& rows) {
  auto& calls = nodes_[at].calls;
  const auto found = std::find_if(calls.begin(), calls.end(), [&](const Call& one) { return one.ticket == ticket; });
  const Call call = *found;
  calls.erase(found);
  Ended ended{.ticket = ticket, .what = call.what, .how = how, .rows = rows};
  const bool wrote = how == Ended::How::done && call.what.kind != CallerRequest::Kind::read;
  if (wrote) {
    const auto position = std::find(ended.rows.begin(), ended.rows.end(), call.what.request);
    if (position == ended.rows.end()) return fail("a request was answered that is not in the log");
    ended.rows.erase(position + 1, ended.rows.end());
  }
  say("  " + name(at) + " answers caller " + std::to_string(ticket) +
      (how == Ended::How::done      ? wrote ? ": done, " + std::to_string(ended.rows.size()) + " long" : ": " + std::to_string(rows.size()) + " long"
       : how == Ended::How::refused ? ": refused, it is " + std::to_string(rows.size()) + " long"
       : how == Ended::How::unknown ? ": unknown"
                                    : ": overloaded"));
  if (how == Ended::How::done || how == Ended::How::refused) {
    if (!wrote && (call.must & ~mask_of(rows)) != 0) fail("a read misses what was answered before it began");
    answered_ |= wrote ? mask_of(ended.rows) : mask_of(rows);
  }
  ended_.push_back(std::move(ended));
}

void World::count_vote(ReplicaId at, const Record& record) {
  if (!record.accepted.any()) return;
  const Index index = record.chosen + 1;
  auto votes = std::find_if(votes_.begin(), votes_.end(), [&](const Votes& one) { return one.index == index && one.ballot == record.accepted; });
  if (votes == votes_.end()) {
    votes = votes_.insert(votes_.end(), {.index = index, .ballot = record.accepted, .id = record.value->id, .by = 0});
    std::sort(votes_.begin(), votes_.end(), [](const Votes& a, const Votes& b) { return std::pair(a.index, a.ballot) < std::pair(b.index, b.ballot); });
    votes = std::find_if(votes_.begin(), votes_.end(), [&](const Votes& one) { return one.index == index && one.ballot == record.accepted; });
  }
  if (votes->id != record.value->id) return fail("two values were voted for under one ballot");
  votes->by = static_cast<uint8_t>(votes->by | 1u << at);
  if (__builtin_popcount(votes->by) > options_.replicas / 2) note_chosen(index, votes->id);
}

uint64_t World::unprepared() const {
  return static_cast<uint64_t>(std::count_if(chosen_.begin(), chosen_.end(), [](const ValueId& id) { return id.origin.is_unprepared(); }));
}

void World::note_chosen(Index index, const ValueId& id) {
  if (chosen_.size() < index) chosen_.resize(index);
  ValueId& known = chosen_[index - 1];
  if (known.index == 0) known = id;
  if (known != id) fail("two values were chosen in entry " + std::to_string(index));
}

}  // namespace hongyan::store::paxos
