#include "data/contact/delivery.h"

#include <utility>
#include <vector>

#include "data/contact/contact_rules.h"
#include "data/contact/limits.h"
#include "model/tables.h"

namespace hongyan::contact {

class Delivery::Turn {
 public:
  static Result<Turn> take(Call& call, Delivery& delivery, uint64_t uin) {
    Gate& gate = delivery.gates_[uin];
    ++gate.users;
    Turn turn(&delivery, uin);
    while (gate.busy) TRY(gate.waiters.wait(call.deadline));
    gate.busy = true;
    turn.holds_ = true;
    return turn;
  }
  Turn(Turn&& other) noexcept
      : delivery_(std::exchange(other.delivery_, nullptr)), uin_(other.uin_), holds_(other.holds_) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn() {
    if (delivery_ == nullptr) return;
    const auto gate = delivery_->gates_.find(uin_);
    if (holds_) {
      gate->second.busy = false;
      gate->second.waiters.wake_one();
    }
    if (--gate->second.users == 0) delivery_->gates_.erase(gate);
  }

 private:
  Turn(Delivery* delivery, uint64_t uin) : delivery_(delivery), uin_(uin) {}
  Delivery* delivery_;
  uint64_t uin_;
  bool holds_ = false;
};

Status Delivery::deliver(Call& call, uint64_t uin) {
  TRY(deliver_all(call, uin));
  return {};
}

Status Delivery::deliver_marked(Call& call, uint64_t uin) {
  // Whoever left the action is delivering it; if that fails, the mark brings the worker back.
  if (gates_.contains(uin)) return {};
  const Round round = TRY(deliver_all(call, uin));
  counters_.delivered_late.add(static_cast<int64_t>(round.delivered));
  if (round.delivered > 0) return {};
  store::Commit nothing{.entity = contact_entity(uin)};
  nothing.visibility = store::Visibility::silent;
  nothing.work_done = {.tag = model::k_work_edge, .done_up_to = round.version};
  TRY(store_.commit(call, std::move(nothing)));
  return {};
}

Result<Delivery::Round> Delivery::deliver_all(Call& call, uint64_t uin) {
  const Turn turn = TRY(Turn::take(call, *this, uin));
  const store::ReadReply reply = TRY(store_.read(call, {.entity = contact_entity(uin),
                                                        .from = pending_key(0),
                                                        .to = pending_key(UINT64_MAX),
                                                        .rows_max = k_pending_at_once_max}));
  // Marks set by later commits stay: what they left is not among these rows.
  const store::WorkDone all_done{.tag = model::k_work_edge, .done_up_to = reply.header.version};
  Status first_failure;
  for (size_t i = 0; i < reply.rows.size(); ++i) {
    const store::Row& row = reply.rows[i];
    const auto peer = peer_of_pending(row.key);
    ENSURE(peer.has_value());
    const Pending pending{.peer = *peer, .row = TRY(store::parse_row_as<PendingRow>(row)), .version = row.version};
    const bool is_last = i + 1 == reply.rows.size() && !reply.more && first_failure.ok();
    const Status delivered = deliver_one(call, uin, pending, is_last ? std::optional(all_done) : std::nullopt);
    if (first_failure.ok()) first_failure = delivered;  // One peer that can't be reached does not hold up the others.
  }
  TRY(std::move(first_failure));
  return Round{.version = reply.header.version, .delivered = reply.rows.size()};
}

Status Delivery::deliver_one(Call& call, uint64_t uin, const Pending& pending,
                             const std::optional<store::WorkDone>& done) {
  const bool mutual = TRY(change_theirs(call, uin, pending));
  counters_.delivered.add(1);
  return clear(call, uin, pending, mutual, done);
}

Result<bool> Delivery::change_theirs(Call& call, uint64_t uin, const Pending& pending) {
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Edge theirs = TRY(parse_edge(TRY(store_.read(call, edge_read(pending.peer, uin)))));
    const Effect effect = apply(pending.row, theirs.row, env_.utc_ms());
    if (!effect.changed) return effect.mutual;
    store::Commit commit{.entity = contact_entity(pending.peer)};
    change_edge(commit, uin, theirs, effect.edge);
    const store::CommitReply reply = TRY(store_.commit(call, commit));
    if (reply.committed) {
      ring_.ring(call, pending.peer, reply.header.version);
      return effect.mutual;
    }
    if (refused_by_limit(commit, reply)) {
      counters_.dropped.add(1);
      return false;
    }
  }
  return Status(Code::conflict, "the peer's edge is being changed by others");
}

Status Delivery::clear(Call& call, uint64_t uin, const Pending& pending, bool mutual,
                       const std::optional<store::WorkDone>& done) {
  for (int i = 0; i < k_commit_tries_max; ++i) {
    store::Commit commit{.entity = contact_entity(uin)};
    commit.preconditions = {store::row_at(pending_key(pending.peer), pending.version)};
    commit.mutations = {store::erase(pending_key(pending.peer))};
    commit.visibility = store::Visibility::silent;
    commit.work_done = done;
    if (mutual) {
      const Edge mine = TRY(parse_edge(TRY(store_.read(call, edge_read(uin, pending.peer)))));
      const EdgeRow after = befriended(mine.row, env_.utc_ms());
      if (after.state() != mine.row.state()) {
        change_edge(commit, pending.peer, mine, after);
        commit.visibility = store::Visibility::visible;
      }
    }
    const bool visible = commit.visibility == store::Visibility::visible;
    const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
    if (reply.committed) {
      if (visible) ring_.ring(call, uin, reply.header.version);
      return {};
    }
    if (reply.failed_precondition == 0) return {};  // A newer action took its place; its own mark stands.
  }
  return Status(Code::conflict, "the edge is being changed by others");
}

}  // namespace hongyan::contact
