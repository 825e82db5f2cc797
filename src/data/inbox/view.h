// Reads the conversation view of an inbox: the 'C' rows as one aggregate, and as what clients see. Both ends of a
// conversation's rows are read in one read, so an aggregate is of one moment.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/inbox/core.h"
#include "data/inbox/inbox_table.h"

namespace hongyan::inbox {

struct View {
  ConversationId id;
  bool exists = false;               // It has any row.
  uint64_t last_position = 0;
  uint64_t last_version = 0;         // Of the log row of the last message.
  int64_t unread = 0;
  int64_t mentions = 0;
  uint64_t read = 0;
  SettingsRow settings;
  uint64_t state_version = 0;        // Log row that announces this view; 0: none.
  uint64_t group_seq = 0;
  MarkedRow marked;                  // Of the newest marker.
  uint64_t marker_version = 0;       // Its log row; 0: none.
  uint64_t peer_read = 0;
  // Versions of the rows a decision rests on; 0: absent.
  uint64_t unread_row = 0, state_row = 0, group_seq_row = 0, marker_row = 0;

  // The version of its last change, by which lists are sorted.
  uint64_t changed_at() const;
};

struct LoadedView {
  store::Header header;
  View view;
};
Result<LoadedView> load_view(Call& call, Core& core, uint64_t uin, const ConversationId& conversation);

struct LoadedViews {
  store::Header header;              // As it was before the first row was read.
  std::vector<View> views;           // By last change, newest first.
  bool all = true;                   // False: k_conversations_scanned_max cut the scan.
};
Result<LoadedViews> load_views(Call& call, Core& core, uint64_t uin);

// What clients see, with the last message where it is still there and not cleared.
Result<std::vector<client::ConversationState>> states_of(Call& call, Core& core, uint64_t uin,
                                                         const std::vector<View>& views);

struct Page {
  std::vector<client::Message> messages;  // Newest first.
  bool more = false;
};
// Messages before a position (0: from the newest), above what was cleared.
Result<Page> load_page(Call& call, Core& core, uint64_t uin, const ConversationId& conversation,
                       uint64_t before, uint64_t cleared, size_t limit);

struct Counted {
  int64_t unread = 0;
  int64_t mentions = 0;
};
// Unread messages behind a position, from the history rows; at most k_unread_rows_max rows are looked at.
Result<Counted> count_unread(Call& call, Core& core, uint64_t uin, const View& view, uint64_t position);

}  // namespace hongyan::inbox
