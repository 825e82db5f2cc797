// The mutants that are mistakes of the store's users, as a store around the store. Every third list that should pass as
// a whole is refused, as where its entities live in different places: so the way in steps is walked too.
#pragma once

#include "sim/faults/mutants.h"
#include "store/entity/store.h"

namespace hongyan::sim {

class MutantStore : public store::Store {
 public:
  // `restarted`: this process is not the first one on its disk.
  MutantStore(store::Store& inner, Mutant mutant, bool restarted)
      : inner_(inner), mutant_(mutant), skips_work_(restarted && mutant == Mutant::index_row_skipped) {}

  Result<store::CommitReply> commit(Call& call, store::Commit commit) override;
  std::vector<Result<store::CommitReply>> commit_many(Call& call, std::vector<store::Commit> commits,
                                                      store::Order order) override;
  Result<store::ReadReply> read(Call& call, const store::Read& read) override { return inner_.read(call, read); }
  std::vector<Result<store::ReadReply>> read_many(Call& call, std::span<const store::Read> reads) override {
    return inner_.read_many(call, reads);
  }
  Result<store::ChangesReply> changes(Call& call, const store::EntityId& entity, uint64_t since, size_t rows_max) override {
    return inner_.changes(call, entity, since, rows_max);
  }
  Result<std::vector<store::Work>> scan_work(Call& call, store::WorkTag tag, const store::EntityId* after,
                                             size_t rows_max) override;
  Result<uint64_t> wait_work(Call& call, store::WorkTag tag, uint64_t seen) override {
    return inner_.wait_work(call, tag, seen);
  }

 private:
  void spoil(store::Commit& commit) const;

  store::Store& inner_;
  const Mutant mutant_;
  bool skips_work_;
  int wholes_ = 0;
};

}  // namespace hongyan::sim
