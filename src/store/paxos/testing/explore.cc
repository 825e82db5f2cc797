#include "store/paxos/testing/explore.h"

#include "base/hash.h"

namespace hongyan::store::paxos {
namespace {

// Hashes with the number of actions that were left when they were looked at. 64 bits: with 10^8 states the chance that two of
// them are taken for one is 3 in 10,000.
class Seen {
 public:
  Seen() : slots_(1 << 16) {}
  // True when it is new, or was looked at with fewer actions left.
  bool insert(uint64_t hash, uint8_t left) {
    if (hash == 0) hash = 1;
    if (count_ * 2 > slots_.size()) grow();
    Slot& slot = find(hash);
    if (slot.hash == hash && slot.left >= left) return false;
    if (slot.hash == 0) ++count_;
    slot = {hash, left};
    return true;
  }
  uint64_t size() const { return count_; }

 private:
  struct Slot { uint64_t hash = 0; uint8_t left = 0; } __attribute__((packed));
  Slot& find(uint64_t hash) {
    size_t at = hash & (slots_.size() - 1);
    while (slots_[at].hash != 0 && slots_[at].hash != hash) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.hash != 0) find(slot.hash) = slot;
    }
  }
  std::vector<Slot> slots_;
  uint64_t count_ = 0;
};

struct Branch {
  World world;
  uint32_t came = 0;
  std::vector<int> retries, restarts, lost_disks;
};

class Explorer {
 public:
  explicit Explorer(const Exploration& exploration) : exploration_(exploration) {}

  Explored run() {
    Branch start{.world = World(exploration_.options, packets_), .came = 0, .retries = exploration_.retries_max,
                 .restarts = exploration_.restarts_max, .lost_disks = exploration_.lost_disks_max};
    start.retries.resize(exploration_.options.replicas);
    start.restarts.resize(exploration_.options.replicas);
    start.lost_disks.resize(exploration_.options.replicas);
    if (exploration_.before) exploration_.before(start.world);
    calm(start);
    start.world.keep_transcript(true);
    visit(start, exploration_.actions_max);
    result_.states = seen_.size();
    result_.closed = result_.closed && result_.complete;
    return std::move(result_);
  }

 private:
  // Where nobody stops any more, a write that waits only makes its messages late, which all messages may be anyway.
  void calm(Branch& branch) {
    for (const auto* budget : {&branch.restarts, &branch.lost_disks}) {
      for (const int left : *budget) {
        if (left > 0) return;
      }
    }
    for (ReplicaId at = 0; at < exploration_.options.replicas; ++at) {
      while (branch.world.can_flush(at)) branch.world.flush(at);
    }
    branch.world.set_writes_at_once();
  }

  void visit(Branch& branch, int left) {
    if (done()) return;
    std::string bytes;
    bytes.reserve(1024);
    branch.world.append_to(bytes);
    put_varint(bytes, branch.came);
    for (const auto* budget : {&branch.retries, &branch.restarts, &branch.lost_disks}) {
      for (const int one : *budget) put_u8(bytes, static_cast<uint8_t>(one));
    }
    if (!seen_.insert(stable_hash(bytes), static_cast<uint8_t>(left))) return;
    if (exploration_.states_max != 0 && seen_.size() >= exploration_.states_max) result_.complete = false;
    if (left == 0) {
      result_.closed = false;
      return;
    }
    const auto go = [&](const std::function<void(Branch&)>& action) {
      if (done()) return;
      Branch next = branch;
      action(next);
      ++result_.actions;
      path_.push_back(next.world.take_transcript());
      if (!next.world.violation().empty()) {
        result_.violation = next.world.violation();
        for (const auto& lines : path_) result_.path.insert(result_.path.end(), lines.begin(), lines.end());
      } else {
        visit(next, left - 1);
      }
      path_.pop_back();
    };
    for (const uint32_t packet : branch.world.network()) {
      if (branch.world.matters(packet)) go([&](Branch& next) { next.world.deliver(packet); });
    }
    for (size_t i = 0; i < exploration_.callers.size(); ++i) {
      const auto& caller = exploration_.callers[i];
      if ((branch.came & 1u << i) != 0 || (branch.came & caller.after) != caller.after) continue;
      go([&](Branch& next) {
        next.came |= 1u << i;
        next.world.submit(caller.at, i + 1, caller.what);
      });
    }
    for (ReplicaId at = 0; at < exploration_.options.replicas; ++at) {
      if (branch.world.can_flush(at)) go([&](Branch& next) { next.world.flush(at); });
      if (branch.retries[at] > 0 && branch.world.can_retry(at)) {
        go([&](Branch& next) {
          --next.retries[at];
          next.world.retry(at);
        });
      }
      if (branch.restarts[at] > 0) {
        go([&](Branch& next) {
          --next.restarts[at];
          next.world.restart(at, World::Disk::kept);
          calm(next);
        });
      }
      if (branch.lost_disks[at] > 0) {
        go([&](Branch& next) {
          --next.lost_disks[at];
          next.world.restart(at, World::Disk::lost);
          calm(next);
        });
      }
    }
  }

  bool done() const { return !result_.violation.empty() || !result_.complete; }

  const Exploration& exploration_;
  Packets packets_;
  Seen seen_;
  Explored result_;
  std::vector<std::vector<std::string>> path_;
};

}  // namespace

Explored explore(const Exploration& exploration) { return Explorer(exploration).run(); }

}  // namespace hongyan::store::paxos
