// What the fan-out of a group brings: its rows in seq order, the bodies in the member's history rows, one small log
// row a commit. The precondition "group_seq < first seq" makes it idempotent: rows that are here already are skipped,
// whoever brings them. A row of the group may bring two entries of one seq, the message and the event it announces;
// they stay together. A request of ordinary size is one commit; a larger one becomes several, in order.
// A member who mutes the group gets no rows: the answer is `muted`, and a marker is to be brought (group_marker.h).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"
#include "data/inbox/inbox_table.h"

namespace hongyan::inbox {

// What the rows and the markers of groups have in common.
Status check_group_member(uint64_t uin, uint64_t group_id);
Status check_group_message(const client::Message& message, uint64_t group_id);
uint32_t group_marks(const client::Message* message, uint64_t uin);
std::string group_row_value(const client::Message* message, const client::GroupEvent* event, uint64_t uin, uint32_t marks);
bool is_listed(const client::Message& message);
// The last message of a group's list line: its seq, then the version.
store::Mutation put_last_of_group(const ConversationId& id, uint64_t seq);

class GroupAppender {
 public:
  explicit GroupAppender(Core& core) : core_(core) {}
  Result<internal::AppendFromGroupResponse> append(Call& call, const internal::AppendFromGroupRequest& request);

 private:
  // One row of the group: a message, an event or both.
  struct Item {
    uint64_t seq = 0;
    const client::Message* message = nullptr;
    const client::GroupEvent* event = nullptr;
    size_t bytes = 0;
  };
  struct Done {
    bool committed = false;
    bool muted = false;
    uint64_t version = 0;
  };
  static Status add_entry(const client::Entry& entry, std::vector<Item>& items);
  Result<std::vector<Item>> checked(const internal::AppendFromGroupRequest& request);
  Result<Done> put_rows(Call& call, uint64_t uin, uint64_t group_id, std::span<const Item> items, uint64_t up_to);
  Result<uint64_t> advance(Call& call, uint64_t uin, uint64_t group_id, uint64_t up_to);
  Core& core_;
};

}  // namespace hongyan::inbox
