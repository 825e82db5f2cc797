// Ids given out once. Blocks are leased by a durable add to a number row before an id of theirs is used.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/coro/sync.h"
#include "store/table/table.h"

namespace hongyan::account {

class IdBlocks {
 public:
  IdBlocks(store::Store& store, uint32_t region);
  // A uin nobody had; one commit for every k_uin_block of them.
  Result<uint64_t> next_uin(Call& call);
  // `count` consecutive group ids; the first of them.
  Result<uint64_t> lease_groups(Call& call, uint32_t count);

 private:
  // Takes `count` from the counter of this kind; returns how many had been given out before.
  Result<uint64_t> take(Call& call, std::string_view kind, int64_t count);

  store::Store& store_;
  uint64_t region_bits_;
  uint64_t next_ = 0;  // Counter part of the next uin; block empty when it equals end_.
  uint64_t end_ = 0;
  bool leasing_ = false;
  runtime::WaitList leased_;
};

}  // namespace hongyan::account
