// The commit algebra, once for all engines: preconditions and mutations of a list of commits, evaluated in order over
// what is stored and what the commits before them in the batch have changed. Produces one batch of writes and the
// replies. Deterministic: time and entropy come in as values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "store/engine/backend.h"
#include "store/engine/commit_cache.h"
#include "store/entity/store.h"

namespace hongyan::store {

class Tables {
 public:
  explicit Tables(std::vector<TableSpec> specs);
  const TableSpec* find(TableId id) const;

 private:
  std::map<TableId, TableSpec> specs_;
};

struct Moment {
  int64_t utc_ms = 0;
  uint64_t entropy = 0;          // Mixed into the incarnations of new entities.
  uint64_t restore_salt = 0;     // Of the data directory: reported incarnation = stored ^ salt.
};

// Sizes and shapes, before anything is read: invalid, too_large.
Status check_entity(const Tables& tables, const EntityId& entity);
Status check_commit(const Tables& tables, const Commit& commit);

// What callers are told: the stored incarnation, changed by the directory's restore.
Header reported(Header header, uint64_t restore_salt);

// One batch under evaluation.
class Evaluation {
 public:
  Evaluation(const Tables& tables, Backend& backend, CommitCache& cache, Moment moment);

  // An error of the store, or the reply; only a committed one adds writes.
  Result<CommitReply> evaluate(const Commit& commit);
  // A group that passes as a whole: what was evaluated since begin_group() is taken back by drop_group().
  void begin_group();
  void end_group() { in_group_ = false; }
  void drop_group();
  // What to write, in no order that matters: each key once.
  std::vector<Write> take_writes();
  bool empty() const { return overlay_.empty(); }

 private:
  struct Draft;  // One commit's changes until it is known to pass.
  using Key = std::pair<Space, std::string>;
  using KeyView = std::pair<Space, std::string_view>;
  struct KeyLess {
    using is_transparent = void;
    static KeyView view(const Key& key) { return {key.first, key.second}; }
    static KeyView view(const KeyView& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const { return view(a) < view(b); }
  };
  using Changed = std::optional<std::string>;
  using Changes = std::map<Key, Changed, KeyLess>;

  // What this commit or one before it in the batch has made of the row; null: nothing.
  const Changed* changed(const Draft& draft, Space space, std::string_view key) const;
  Result<std::optional<std::string>> stored(const Draft& draft, Space space, const std::string& key);
  // Of rows that the next commit will ask for again.
  Result<std::optional<std::string>> stored_often(const Draft& draft, const std::string& key);
  Result<std::optional<CommitReply>> recorded(Draft& draft, const Commit& commit);
  Result<bool> preconditions_hold(Draft& draft, const Commit& commit, CommitReply& reply);
  Status apply(Draft& draft, const Commit& commit, CommitReply& reply);
  Status put_row(Draft& draft, std::string_view key, std::string_view payload, Mutation::Stamp stamp = Mutation::Stamp::none);
  Status erase_row(Draft& draft, const std::string& key);
  Status forget_change(Draft& draft, std::string_view key);
  Result<int64_t> number(const Draft& draft, const std::string& key);
  Status apply_work(Draft& draft, const Commit& commit);
  Status raise_floor(Draft& draft, uint64_t floor);
  Status purge_tombstones(Draft& draft);
  Status record_request(Draft& draft, const Commit& commit, const CommitReply& reply);
  Status trim_requests(Draft& draft);
  Header reported(Header header) const { return store::reported(header, moment_.restore_salt); }

  const Tables& tables_;
  Backend& backend_;
  CommitCache& cache_;
  Moment moment_;
  Changes overlay_;
  bool in_group_ = false;
  std::vector<std::pair<Changes::iterator, std::optional<Changed>>> undo_;  // What the group's keys were in the overlay before.
};

}  // namespace hongyan::store
