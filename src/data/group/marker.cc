#include "data/group/marker.h"

#include <algorithm>

#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::group {

namespace {

// Ascending; of very many only the newest stay: each counts at least one, and no more are shown.
template <typename Rows>
void keep_newest(Rows& rows) {
  const int over = rows.size() - static_cast<int>(model::k_unread_shown_max);
  if (over > 0) rows.erase(rows.begin(), rows.begin() + over);
}

}  // namespace

void Stretch::add(const client::Entry& entry) {
  if (entry.has_group()) {
    event_ = entry.group();
    if (!rows_.empty()) rows_.back().event = true;
    return;
  }
  const client::Message& message = entry.message();
  if (rows_.empty()) oldest_ms_ = message.server_time_ms();
  rows_.push_back({.seq = message.position(),
                   .sender = message.sender(),
                   .unread = (message.flags() & model::k_flag_no_unread) == 0,
                   .mentions_all = message.mention_scope() == 1,
                   .mentions = {message.mentions().begin(), message.mentions().end()}});
  if ((message.flags() & model::k_flag_no_list) == 0) listed_ = message;
}

std::optional<internal::GroupMarker> Stretch::marker_for(uint64_t uin, const Member& member, uint64_t after) const {
  internal::GroupMarker marker;
  uint64_t event = 0;
  for (const Row& row : rows_) {
    if (row.seq <= after || !member.sees(row.seq)) continue;
    marker.set_up_to(row.seq);
    if (row.event) event = row.seq;
    if (!row.unread || row.sender == uin) continue;
    const int size = marker.counted_size();
    if (size > 0 && marker.counted(size - 1).last() + 1 == row.seq) {
      marker.mutable_counted(size - 1)->set_last(row.seq);
    } else {
      internal::SeqRange& range = *marker.add_counted();
      range.set_first(row.seq);
      range.set_last(row.seq);
    }
    if (row.mentions_all || std::ranges::find(row.mentions, uin) != row.mentions.end()) marker.add_mentions(row.seq);
  }
  if (marker.up_to() == 0) return {};
  keep_newest(*marker.mutable_counted());
  keep_newest(*marker.mutable_mentions());
  if (listed_.position() > after && member.sees(listed_.position())) *marker.mutable_last() = listed_;
  if (event != 0) {
    *marker.mutable_event() = event_;
    marker.mutable_event()->set_seq(event);
  }
  return marker;
}

}  // namespace hongyan::group
