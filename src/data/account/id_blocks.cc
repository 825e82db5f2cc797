#include "data/account/id_blocks.h"

#include <algorithm>

#include "base/check.h"
#include "data/account/account_table.h"
#include "data/account/limits.h"
#include "model/ids.h"

namespace hongyan::account {

IdBlocks::IdBlocks(store::Store& store, uint32_t region)
    : store_(store), region_bits_(uint64_t{region} << model::k_counter_bits) {
  CHECK(region < (1u << 10));
}

Result<uint64_t> IdBlocks::take(Call& call, std::string_view kind, int64_t count) {
  store::Commit commit{.entity = block_entity(kind)};
  commit.mutations.push_back({.kind = store::Mutation::Kind::add, .key = std::string(k_row_given), .number = count});
  const store::CommitReply reply = TRY(store_.commit(call, std::move(commit)));
  ENSURE(reply.committed && reply.numbers.size() == 1 && reply.numbers[0] >= count);
  const auto given = static_cast<uint64_t>(reply.numbers[0]);
  // Half of the counter's 43 bits are users', half groups'.
  ENSURE(given + model::k_first_uin < model::k_group_bit);
  return given - static_cast<uint64_t>(count);
}

Result<uint64_t> IdBlocks::next_uin(Call& call) {
  while (next_ == end_) {
    if (leasing_) {
      TRY(leased_.wait(call.deadline));
      continue;
    }
    leasing_ = true;
    const Result<uint64_t> before = take(call, "uin", k_uin_block);
    leasing_ = false;
    leased_.wake_all();
    if (!before.ok()) return before.status();
    next_ = model::k_first_uin + *before;
    end_ = next_ + static_cast<uint64_t>(k_uin_block);
  }
  return region_bits_ | next_++;
}

Result<uint64_t> IdBlocks::lease_groups(Call& call, uint32_t count) {
  if (count == 0) return Status(Code::invalid, "count is 0");
  if (count > k_lease_ids_max) return Status(Code::too_large, "more than 10000 ids at once");
  const uint64_t before = TRY(take(call, "group", count));
  return region_bits_ | model::k_group_bit | (before + 1);
}

}  // namespace hongyan::account
