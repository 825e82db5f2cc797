// What the fan-out of a group brings: its rows in seq order, the bodies in the member's history rows, one small log
// row a commit. The precondition "group_seq < first seq" makes it idempotent: rows that are here already are skipped,
// whoever brings them. A row of the group may bring two entries of one seq, the message and the event it announces;
// they stay together. A request of ordinary size is one commit; a larger one becomes several, in order.
// A marker ("new up to n") overwrites the marker before it.
#pragma once

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"
#include "data/inbox/inbox_table.h"

namespace hongyan::inbox {

class GroupAppender {
 public:
  explicit GroupAppender(Core& core) : core_(core) {}
  Result<internal::AppendFromGroupResponse> append(Call& call, const internal::AppendFromGroupRequest& request);

 private:
  // One row of the group: a marker, or a message, an event or both.
  struct Item {
    uint64_t seq = 0;
    const client::Message* message = nullptr;
    const client::GroupEvent* event = nullptr;
    const client::Marker* marker = nullptr;
    size_t bytes = 0;
  };
  struct Done {
    bool committed = false;
    uint64_t version = 0;
  };
  static Status add_entry(const client::Entry& entry, std::vector<Item>& items);
  static std::string row_value(const Item& item, uint64_t uin, uint32_t marks);
  Result<std::vector<Item>> checked(const internal::AppendFromGroupRequest& request);
  Result<Done> put_rows(Call& call, uint64_t uin, uint64_t group_id, std::span<const Item> items, uint64_t up_to);
  Result<Done> put_marker(Call& call, uint64_t uin, uint64_t group_id, const client::Marker& marker);
  Result<uint64_t> advance(Call& call, uint64_t uin, uint64_t group_id, uint64_t up_to);
  Core& core_;
};

}  // namespace hongyan::inbox
