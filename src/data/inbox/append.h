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

  // Into the sender's inbox and the peer's: in one batch of the store where it can, else one after the other, the
  // sender's first, with an open send between (open_send.h). An answered message is in both.
  Result<internal::AppendResponse> send(Call& call, const internal::AppendRequest& request);
  // Into the owner's inbox alone; to another person, as an open send.
  Result<internal::AppendResponse> append(Call& call, const internal::AppendRequest& request);
  Result<internal::AppendToPeerResponse> append_to_peer(Call& call, const internal::AppendToPeerRequest& request);

 private:
  // What of a request may be stored: the messages before the first one that is refused.
  struct Given {
    uint64_t uin = 0;
    uint64_t peer = 0;
    int64_t now_ms = 0;
    std::vector<client::Message> messages;
    Status refused;
  };
  Result<Given> checked(const internal::AppendRequest& request);
  Result<internal::AppendResponse> append_own(Call& call, const Given& given);
  Result<std::optional<internal::AppendResponse>> send_together(Call& call, const Given& given);
  Result<internal::AppendResponse> send_in_steps(Call& call, const Given& given);
  Status check_write_grant(std::string_view grant, uint64_t actor, uint64_t object);
  Core& core_;
  OpenSends& open_sends_;
};

// The device of the person who calls; "" for anybody else.
std::string device_of(const Call& call);

}  // namespace hongyan::inbox
