#include "sim/faults/mutant_store.h"

#include <algorithm>
#include <utility>

#include "data/group/group_table.h"
#include "data/inbox/inbox_table.h"
#include "model/tables.h"

namespace hongyan::sim {

namespace {

constexpr int k_refused_every = 3;

bool is_dedup_row(const store::Commit& commit, const std::string& key) {
  const bool table = commit.entity.table == model::k_table_inbox || commit.entity.table == model::k_table_group;
  return table && key.starts_with('D');
}

bool is_unread_row(const store::Commit& commit, const std::string& key) {
  return commit.entity.table == model::k_table_inbox && key.starts_with('C') &&
         static_cast<uint8_t>(key.back()) == static_cast<uint8_t>(inbox::Field::unread);
}

bool puts_message(const store::Commit& commit) {
  if (commit.entity.table != model::k_table_inbox || commit.visibility != store::Visibility::visible) return false;
  return std::any_of(commit.mutations.begin(), commit.mutations.end(),
                     [](const store::Mutation& mutation) { return mutation.key == inbox::log_prefix(); });
}

}  // namespace

void MutantStore::spoil(store::Commit& commit) const {
  if (mutant_ == Mutant::dedup_off) {
    std::erase_if(commit.preconditions, [&](const store::Precondition& precondition) {
      return precondition.kind == store::Precondition::Kind::row_absent && is_dedup_row(commit, precondition.key);
    });
  }
  if (mutant_ == Mutant::marker_forgotten && commit.entity.table == model::k_table_group) {
    const bool waits = std::any_of(commit.mutations.begin(), commit.mutations.end(), [](const store::Mutation& mutation) {
      return mutation.kind == store::Mutation::Kind::put && mutation.key.starts_with('W');
    });
    if (waits) commit.work_done = store::WorkDone{.tag = model::k_work_fan_out, .done_up_to = UINT64_MAX};
  }
  if (mutant_ == Mutant::unread_not_reset) {
    std::erase_if(commit.mutations, [&](const store::Mutation& mutation) {
      const bool sets = mutation.kind == store::Mutation::Kind::put || mutation.kind == store::Mutation::Kind::erase;
      return sets && is_unread_row(commit, mutation.key);
    });
  }
}

Result<store::CommitReply> MutantStore::commit(Call& call, store::Commit commit) {
  spoil(commit);
  return inner_.commit(call, std::move(commit));
}

std::vector<Result<store::CommitReply>> MutantStore::commit_many(Call& call, std::vector<store::Commit> commits,
                                                                 store::Order order) {
  if (order == store::Order::together && ++wholes_ % k_refused_every == 0) {
    return {commits.size(), Result<store::CommitReply>(Status(Code::unsupported, "in different places"))};
  }
  for (store::Commit& commit : commits) spoil(commit);
  const bool swaps = mutant_ == Mutant::order_swapped && commits.size() >= 2 && puts_message(commits[0]) &&
                     puts_message(commits[1]) && commits[0].entity == commits[1].entity;
  if (swaps) std::swap(commits[0], commits[1]);
  std::vector<Result<store::CommitReply>> replies = inner_.commit_many(call, std::move(commits), order);
  if (swaps) std::swap(replies[0], replies[1]);
  return replies;
}

Result<std::vector<store::Work>> MutantStore::scan_work(Call& call, store::WorkTag tag, const store::EntityId* after,
                                                        size_t rows_max) {
  std::vector<store::Work> work = TRY(inner_.scan_work(call, tag, after, rows_max));
  if (tag != model::k_work_fan_out || !std::exchange(skips_work_, false)) return work;
  for (const store::Work& one : work) {
    store::Commit commit{.entity = one.entity, .visibility = store::Visibility::silent};
    commit.mutations.push_back({.kind = store::Mutation::Kind::max,
                                .key = group::cursor_key(),
                                .number = static_cast<int64_t>(one.marked_at)});
    TRY(inner_.commit(call, std::move(commit)));
  }
  return work;
}

}  // namespace hongyan::sim
