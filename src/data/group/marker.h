// What a round of markers says: the rows of a stretch of the log, and for each member who is served by markers which of
// them are unread and what stands in the list. Pure.
#pragma once

#include <optional>
#include <vector>

#include "api/internal/inbox.pb.h"
#include "data/group/group_table.h"

namespace hongyan::group {

class Stretch {
 public:
  // Rows in seq order, as fan-out reads them: messages, and the group's state behind each event.
  void add(const client::Entry& entry);

  uint64_t up_to() const { return rows_.empty() ? 0 : rows_.back().seq; }
  size_t rows() const { return rows_.size(); }
  int64_t oldest_ms() const { return oldest_ms_; }
  // For a member who has been served up to `after`; nothing when no row is for them. Without `last` when the newest
  // message for a list line is none that this member sees.
  std::optional<internal::GroupMarker> marker_for(uint64_t uin, const Member& member, uint64_t after) const;

 private:
  struct Row {
    uint64_t seq = 0;
    uint64_t sender = 0;
    bool unread = false;  // For everybody but the sender.
    bool event = false;
    bool mentions_all = false;
    std::vector<uint64_t> mentions;
  };
  std::vector<Row> rows_;
  int64_t oldest_ms_ = 0;
  client::Message listed_;         // The newest that lists show.
  client::GroupEvent event_;       // The newest; its state is the group's as it stands.
};

}  // namespace hongyan::group
