// Is there an order of these operations, each at one moment between its call and its return, in which a single copy would
// have given the same answers? The search of Wing and Gong (1993) with Lowe's memory of configurations (2017).
//
// An operation without a return may have happened at any moment after its call, or never; so has one whose outcome is
// unknown. Operations on different entities don't touch each other, and a history is linearizable when that of each entity
// is: check() takes one entity's, check_entities() divides.
//
// A Model is a type with
//   struct State;                                   one copy, with a start value
//   struct Call; struct Return;
//   static bool step(State&, const Call&, const Return*)   applies the call; false: that return is impossible in this state.
//                                                          nullptr: the outcome is unknown.
//   static void append_to(std::string&, const State&)      equal states give equal bytes
// The time that a search may take grows exponentially in how many operations overlap; a verdict may be `undecided`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hongyan::store::history {

template <typename Model>
struct Operation {
  std::string entity = {};
  int64_t called = 0;                  // Moments of one clock, or places in one list of events.
  std::optional<int64_t> returned = {};  // Not before `called`; of equal moments a return comes after a call.
  typename Model::Call call;
  std::optional<typename Model::Return> result = {};  // Without one the outcome is unknown, also when it returned.
};

enum class Verdict : uint8_t { linearizable = 1, not_linearizable = 2, undecided = 3 };

struct Judgement {
  Verdict verdict = Verdict::linearizable;
  std::string entity = {};         // Of the first history that is not linearizable, or undecided.
  size_t placed = 0;               // How many operations the best order that was found could place before it got stuck,
  std::optional<size_t> stuck_at;  // and the operation that it could not (its place in the vector).
};

inline constexpr uint64_t k_steps_max = 20'000'000;  // Some seconds.

template <typename Model>
class Search {
 public:
  explicit Search(const std::vector<Operation<Model>>& operations) : operations_(operations), done_(operations.size()) {
    std::vector<Entry> entries;
    for (size_t i = 0; i < operations.size(); ++i) {
      entries.push_back({.at = operations[i].called, .returns = false, .operation = i});
      // Of an outcome that is unknown the return says nothing: it may happen later still.
      if (operations[i].returned && operations[i].result) {
        entries.push_back({.at = *operations[i].returned, .returns = true, .operation = i});
      }
    }
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return a.at != b.at ? a.at < b.at : !a.returns && b.returns;
    });
    entries_.push_back({});  // The head.
    for (const Entry& entry : entries) entries_.push_back(entry);
    for (size_t i = 0; i < entries_.size(); ++i) {
      entries_[i].next = i + 1 < entries_.size() ? i + 1 : 0;
      entries_[i].previous = i == 0 ? 0 : i - 1;
      if (i > 0 && entries_[i].returns) return_of_[entries_[i].operation] = i;
    }
  }

  Judgement run(uint64_t steps_max) {
    Judgement judgement;
    size_t at = entries_[0].next;
    for (uint64_t steps = 0; at != 0; ++steps) {  // At the end no return is left: all that are known have their place.
      if (steps == steps_max) {
        judgement.verdict = Verdict::undecided;
        return judgement;
      }
      const Entry& entry = entries_[at];
      if (!entry.returns) {
        typename Model::State next = state_;
        const Operation<Model>& operation = operations_[entry.operation];
        const bool possible = Model::step(next, operation.call, operation.result ? &*operation.result : nullptr);
        if (possible && is_new(entry.operation, next)) {
          taken_.push_back({at, state_});
          state_ = std::move(next);
          done_[entry.operation] = true;
          lift(at);
          at = entries_[0].next;
        } else {
          at = entry.next;
        }
        continue;
      }
      if (taken_.size() >= judgement.placed) {
        judgement.placed = taken_.size();
        judgement.stuck_at = entry.operation;
      }
      if (taken_.empty()) {
        judgement.verdict = Verdict::not_linearizable;
        return judgement;
      }
      at = taken_.back().entry;
      state_ = std::move(taken_.back().before);
      taken_.pop_back();
      done_[entries_[at].operation] = false;
      put_back(at);
      at = entries_[at].next;
    }
    judgement.stuck_at = {};
    return judgement;
  }

 private:
  struct Entry {
    int64_t at = 0;
    bool returns = false;
    size_t operation = 0;
    size_t next = 0;
    size_t previous = 0;
  };
  struct Taken {
    size_t entry;
    typename Model::State before;
  };

  bool is_new(size_t operation, const typename Model::State& state) {
    std::string key((done_.size() + 7) / 8, '\0');
    for (size_t i = 0; i < done_.size(); ++i) {
      if (done_[i] || i == operation) key[i / 8] = static_cast<char>(key[i / 8] | 1 << i % 8);
    }
    Model::append_to(key, state);
    return seen_.insert(std::move(key)).second;
  }
  void unlink(size_t entry) {
    entries_[entries_[entry].previous].next = entries_[entry].next;
    if (entries_[entry].next != 0) entries_[entries_[entry].next].previous = entries_[entry].previous;
  }
  void link(size_t entry) {
    entries_[entries_[entry].previous].next = entry;
    if (entries_[entry].next != 0) entries_[entries_[entry].next].previous = entry;
  }
  void lift(size_t call) {
    unlink(call);
    if (const auto found = return_of_.find(entries_[call].operation); found != return_of_.end()) unlink(found->second);
  }
  void put_back(size_t call) {
    if (const auto found = return_of_.find(entries_[call].operation); found != return_of_.end()) link(found->second);
    link(call);
  }

  const std::vector<Operation<Model>>& operations_;
  std::vector<bool> done_;
  std::vector<Entry> entries_;  // A list through next and previous; 0 is its head.
  std::map<size_t, size_t> return_of_;
  std::vector<Taken> taken_;
  typename Model::State state_ = {};
  std::set<std::string> seen_;
};

// Of one entity.
template <typename Model>
Judgement check(const std::vector<Operation<Model>>& operations, uint64_t steps_max = k_steps_max) {
  return Search<Model>(operations).run(steps_max);
}

// Of many. Stops at the first that is not linearizable; undecided only if none is.
template <typename Model>
Judgement check_entities(const std::vector<Operation<Model>>& operations, uint64_t steps_max = k_steps_max) {
  std::map<std::string, std::vector<Operation<Model>>> of_entity;
  for (const Operation<Model>& operation : operations) of_entity[operation.entity].push_back(operation);
  Judgement undecided;
  for (const auto& [entity, its] : of_entity) {
    Judgement judgement = check<Model>(its, steps_max);
    judgement.entity = entity;
    if (judgement.verdict == Verdict::not_linearizable) return judgement;
    if (judgement.verdict == Verdict::undecided) undecided = judgement;
  }
  return undecided;
}

}  // namespace hongyan::store::history
