// Answers what a device has not seen. The log is read in order behind the device's version and cut at any commit;
// every commit behind the cut comes with the next answer, none comes twice. An inbox that the device knows nothing of,
// or has lost track of (reset), is answered by its conversation list and the last pages of the newest ones; a small
// one, by its list and its whole log. An answer has at most max_bytes, except that it always has one commit's rows.
#pragma once

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"

namespace hongyan::inbox {

class Syncer {
 public:
  explicit Syncer(Core& core) : core_(core) {}

  Result<internal::InboxSyncResponse> sync(Call& call, const internal::InboxSyncRequest& request);
  Result<internal::HeadResponse> head(Call& call, const internal::HeadRequest& request);

 private:
  Status add_log(Call& call, uint64_t uin, uint64_t since, size_t bytes_max, internal::InboxSyncResponse& response);
  Status add_first(Call& call, uint64_t uin, size_t bytes_max, internal::InboxSyncResponse& response);
  Core& core_;
};

}  // namespace hongyan::inbox
