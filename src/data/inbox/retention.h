// Retention: forever (nothing is done), days:N, or delivered (every device seen in the last 30 days has passed it).
// A purge raises the floor and removes log and history rows up to it, in silent commits of bounded size; conversation
// views stay, dedup rows stay k_dedup_days at least, and no open send is ever passed. A reader below the floor is told
// to reset.
#pragma once

#include <string>

#include "api/internal/device.rpc.pb.h"
#include "data/inbox/core.h"

namespace hongyan::inbox {

class Purge {
 public:
  Purge(Core& core, internal::DeviceClient device) : core_(core), device_(std::move(device)) {}

  // One commit at most. True: there is more to remove now.
  Result<bool> purge_step(Call& call, uint64_t uin);
  // Removes dedup rows that are old enough, a page at a time; `from` is moved on. False: that was the last page.
  Result<bool> trim_dedup_step(Call& call, uint64_t uin, std::string& from);
  // Every marked inbox, as far as it goes now.
  Status purge_all(Call& call);
  // The worker: a round every purge_interval, until its waits are cancelled.
  void run();

 private:
  struct Bound {
    uint64_t version = 0;   // Rows up to here may go ...
    int64_t time_ms = 0;    // ... if they are older.
  };
  Result<Bound> bound_of(Call& call, uint64_t uin, const store::Header& header);
  Result<uint64_t> delivered_up_to(Call& call, uint64_t uin, const store::Header& header);
  Result<bool> take_row(Call& call, uint64_t uin, const store::Row& row, int64_t before_ms, store::Commit& commit);
  Core& core_;
  internal::DeviceClient device_;
};

}  // namespace hongyan::inbox
