// Putting messages into inboxes: the owner's own sends, what others send to the owner, what the groups bring.
// An append is a blind commit: it never waits for other appends, and a second one of the same message changes
// nothing. Codes: invalid, too_large, forbidden, client_msg_id_reused; the store's.
#pragma once

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"
#include "data/inbox/open_send.h"

namespace hongyan::inbox {

class Appender {
 public:
  Appender(Core& core, OpenSends& open_sends) : core_(core), open_sends_(open_sends) {}

  Result<internal::AppendResponse> append(Call& call, const internal::AppendRequest& request);
  Result<internal::AppendToPeerResponse> append_to_peer(Call& call, const internal::AppendToPeerRequest& request);

 private:
  Status check_write_grant(std::string_view grant, uint64_t actor, uint64_t object);
  Core& core_;
  OpenSends& open_sends_;
};

// The device of the person who calls; "" for anybody else.
std::string device_of(const Call& call);

}  // namespace hongyan::inbox
