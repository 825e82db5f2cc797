// Read marks, settings, lists and history of conversations. A change of a view is decided from what was read and
// committed only if that still holds; after k_conflict_retries_max failures the answer is Code::conflict. Its log row
// replaces the one it supersedes, so the log stays proportional to what differs.
#pragma once

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"
#include "data/inbox/view.h"

namespace hongyan::inbox {

class Conversations {
 public:
  explicit Conversations(Core& core) : core_(core) {}

  Result<internal::ConversationStateResponse> mark_read(Call& call, const internal::InboxMarkReadRequest& request);
  Result<internal::ConversationStateResponse> set(Call& call, const internal::InboxSetConversationRequest& request);
  Result<internal::ConversationStateResponse> get(Call& call, const internal::InboxConversationRequest& request);
  Result<internal::InboxConversationsResponse> list(Call& call, const internal::InboxConversationsRequest& request);
  Result<internal::InboxHistoryResponse> history(Call& call, const internal::InboxHistoryRequest& request);

 private:
  Result<internal::ConversationStateResponse> answer(Call& call, uint64_t uin, const ConversationId& id);
  Result<bool> commit_view(Call& call, uint64_t uin, const View& view, std::vector<store::Mutation> mutations);
  Status add_read_mark(Call& call, uint64_t uin, const View& view, uint64_t position,
                       std::vector<store::Mutation>& mutations);
  Core& core_;
};

}  // namespace hongyan::inbox
