#include "store/paxos/testing/schedule.h"

#include <algorithm>

#include "base/random.h"
#include "store/history/linearizable.h"
#include "store/history/models.h"

namespace hongyan::store::paxos {
namespace {

using History = std::vector<history::Operation<history::ListModel>>;

std::string items_of(const Rows& rows) {
  std::string items;
  for (const RequestId request : rows) items.push_back(static_cast<char>('0' + request));
  return items;
}

class Run {
 public:
  Run(const Schedule& schedule, bool transcript)
      : schedule_(schedule), random_(schedule.seed), world_(options(), packets_) {
    world_.keep_transcript(transcript);
    // Some runs are calm, some are wild; some with one busy replica, where prepare phases are skipped.
    restarts_left_ = random_.one_in(3) ? 0 : static_cast<int>(random_.below(6));
    lost_disks_left_ = random_.one_in(4) ? 1 : 0;
    favourite_ = static_cast<ReplicaId>(random_.below(schedule.replicas));
    loyalty_ = random_.below(100);
    flushes_ = 4 + random_.below(16);  // Slow disks and fast ones.
    newest_ = 2 + random_.below(20);
    apart_ = random_.one_in(4) ? static_cast<int>(random_.below(schedule.replicas)) : -1;
  }

  Ran run(std::vector<std::string>* transcript) {
    for (int i = 0; i < schedule_.actions && world_.violation().empty(); ++i) {
      ++ran_.actions;
      act();
      note();
      if (transcript != nullptr) {
        for (auto& line : world_.take_transcript()) transcript->push_back(std::move(line));
      }
    }
    ran_.violation = world_.violation();
    for (ReplicaId at = 0; at < schedule_.replicas; ++at) ran_.entries = std::max(ran_.entries, world_.replica(at).chosen());
    for (size_t i = 0; i < packets_.size(); ++i) ran_.snapshots += packets_.at(static_cast<uint32_t>(i)).snapshot ? 1 : 0;
    ran_.unprepared = world_.unprepared();
    if (ran_.violation.empty()) judge();
    return ran_;
  }

 private:
  struct Attempts {
    size_t operation = 0;       // In the history.
    CallerRequest what;
    std::vector<Ticket> tickets;
  };

  World::Options options() {
    Random random(schedule_.seed ^ 0x5eed);
    return {.replicas = schedule_.replicas, .mutant = schedule_.mutant, .writes_at_once = random.one_in(4),
            .evaluates_at_once = random.one_in(2), .forgets_useless = random.one_in(2), .log_kept = random.one_in(3) ? 1u : 64u};
  }

  ReplicaId somebody() {
    return random_.below(100) < loyalty_ ? favourite_ : static_cast<ReplicaId>(random_.below(schedule_.replicas));
  }

  void act() {
    const uint64_t dice = random_.below(100);
    if (dice < 6) return call();
    if (dice < 8 && !open_.empty()) return call_again();
    if (dice < 8 + flushes_) return world_.flush(static_cast<ReplicaId>(random_.below(schedule_.replicas)));
    if (dice < 28) return world_.evaluate(static_cast<ReplicaId>(random_.below(schedule_.replicas)));
    if (dice < 32) {
      const auto at = static_cast<ReplicaId>(random_.below(schedule_.replicas));
      if (world_.can_retry(at)) world_.retry(at);
      return;
    }
    if (dice == 36 && restarts_left_ > 0) {
      --restarts_left_;
      ++ran_.restarts;
      ReplicaId at = somebody();
      if (!world_.can_flush(at)) at = somebody();  // Rather one that has something to lose.
      return world_.restart(at, World::Disk::kept);
    }
    // One disk in all: two of three lost disks are lost data, which no protocol brings back.
    if (dice == 37 && lost_disks_left_ > 0) {
      --lost_disks_left_;
      ++ran_.lost_disks;
      return world_.restart(static_cast<ReplicaId>(random_.below(schedule_.replicas)), World::Disk::lost);
    }
    if (dice == 38 && apart_ >= 0 && random_.one_in(4)) apart_ = -1;
    deliver();
  }

  void deliver() {
    const auto& network = world_.network();
    if (network.empty()) return;
    const size_t size = network.size();
    const size_t among = random_.one_in(6) ? size : std::min<size_t>(size, newest_);
    uint32_t packet = network[size - 1 - random_.below(among)];
    // Mostly what makes a difference, or runs would get nowhere.
    for (int tries = 0; tries < 6 && !world_.matters(packet); ++tries) packet = network[size - 1 - random_.below(among)];
    const Packet& one = packets_.at(packet);
    if (apart_ >= 0 && (one.to == apart_) != (one.message.from == apart_)) return;  // A partition of one.
    world_.deliver(packet);
  }

  void call() {
    CallerRequest what;
    const uint64_t dice = random_.below(10);
    what.kind = dice < 5 ? CallerRequest::Kind::append : dice < 7 ? CallerRequest::Kind::append_if : CallerRequest::Kind::read;
    if (what.kind != CallerRequest::Kind::read) {
      if (next_request_ == 40) return;  // A history stays short enough to be judged.
      what.request = next_request_++;
    }
    const ReplicaId at = somebody();
    if (what.kind == CallerRequest::Kind::append_if) what.length = world_.rows(at).size() + random_.below(2);
    history::ListModel::Call call{.kind = static_cast<history::ListModel::Call::Kind>(what.kind),
                                  .item = what.kind == CallerRequest::Kind::read ? "" : items_of({what.request}), .length = what.length};
    history_.push_back({.called = static_cast<int64_t>(ran_.actions), .call = std::move(call)});
    ++ran_.requests;
    open_.push_back({.operation = history_.size() - 1, .what = what, .tickets = {next_ticket_}});
    world_.submit(at, next_ticket_++, what);
  }

  // The same request through another replica, while the first may be still under way. Not where an answer may be a refusal:
  // that is not remembered, and says nothing about the other attempt.
  void call_again() {
    Attempts& attempts = open_[random_.below(open_.size())];
    if (attempts.what.kind == CallerRequest::Kind::append_if) return;
    attempts.tickets.push_back(next_ticket_);
    world_.submit(static_cast<ReplicaId>(random_.below(schedule_.replicas)), next_ticket_++, attempts.what);
  }

  void note() {
    for (const Ended& ended : world_.take_ended()) {
      const auto found = std::find_if(open_.begin(), open_.end(), [&](const Attempts& one) {
        return std::find(one.tickets.begin(), one.tickets.end(), ended.ticket) != one.tickets.end();
      });
      // Answered through another replica before.
      if (found == open_.end() || ended.how == Ended::How::unknown || ended.how == Ended::How::overloaded) continue;
      auto& operation = history_[found->operation];
      operation.returned = static_cast<int64_t>(ran_.actions);
      operation.result = history::ListModel::Return{.done = ended.how == Ended::How::done, .items = items_of(ended.rows)};
      open_.erase(found);
      ++ran_.answered;
    }
  }

  // Without an answer, and seen in none: it may never have happened, and whether it did makes no difference to the others.
  void drop_unseen() {
    std::string seen;
    for (const auto& operation : history_) seen += operation.result ? operation.result->items : "";
    std::erase_if(history_, [&](const auto& operation) {
      return !operation.result && (operation.call.item.empty() || seen.find(operation.call.item) == std::string::npos);
    });
  }

  void judge() {
    drop_unseen();
    const history::Judgement judgement = history::check<history::ListModel>(history_, 200'000);
    if (judgement.verdict == history::Verdict::not_linearizable) ran_.violation = "the history is not linearizable";
    ran_.undecided = judgement.verdict == history::Verdict::undecided;
  }

  Schedule schedule_;
  Random random_;
  Packets packets_;
  World world_;
  Ran ran_;
  History history_;
  std::vector<Attempts> open_;
  Ticket next_ticket_ = 1;
  RequestId next_request_ = 1;
  int restarts_left_ = 0;
  int lost_disks_left_ = 0;
  ReplicaId favourite_ = 0;
  uint64_t loyalty_ = 0;
  uint64_t flushes_ = 0;
  size_t newest_ = 1;
  int apart_ = -1;
};

}  // namespace

void Ran::count(const Ran& other) {
  actions += other.actions;
  requests += other.requests;
  answered += other.answered;
  entries += other.entries;
  unprepared += other.unprepared;
  restarts += other.restarts;
  lost_disks += other.lost_disks;
  snapshots += other.snapshots;
  undecided += other.undecided;
}

Ran run(const Schedule& schedule, std::vector<std::string>* transcript) {
  return Run(schedule, transcript != nullptr).run(transcript);
}

}  // namespace hongyan::store::paxos
