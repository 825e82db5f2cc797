// Row keys of a group's entity; the first byte is the section. On disk: never renumber.
//   'I'            GroupRow
//   'M' · uin      MemberRow, also of those who left
//   'L' · seq      LogRow; seq = the entity's visible version: every visible commit is one row of the log
//   'D' · key      DedupRow of a message key
//   'F'            number: the seq up to which everybody has been served, but for those who have a row 'B'
//   'B' · uin      number: the seq up to which this member has been served, whose inbox failed
//   'G'            number: how often a row 'B' was written
//   'H'            number: when the last round of markers was, UTC ms
//   'W' · uin      number: the seq up to which this member has been served, who mutes the group and waits for a marker
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/group/group_rows.pb.h"
#include "store/table/table.h"

namespace hongyan::group {

store::EntityId group_entity(uint64_t group);
store::EntityId attempt_entity(uint64_t uin, const std::string& client_group_id);
std::optional<uint64_t> group_of(const store::EntityId& entity);

std::string info_key();
std::string member_key(uint64_t uin);
std::string log_prefix();
std::string log_key(uint64_t seq);
std::string dedup_key(const std::string& message_key);
std::string cursor_key();
std::string behind_key(uint64_t uin);
std::string behind_writes_key();
std::string marker_time_key();
std::string waiting_key(uint64_t uin);

struct Member {
  MemberRow row;
  uint64_t version = 0;
  bool in() const { return row.spans_size() > 0 && row.spans(row.spans_size() - 1).to() == 0; }
  // Whether the member may see this seq.
  bool sees(uint64_t seq) const;
};

// A group as it stood at header.version. What commits write silently (cursor, behind) was read after the header.
struct Loaded {
  store::Header header;
  GroupRow info;
  uint64_t info_version = 0;
  uint64_t cursor = 0;
  int64_t behind_writes = 0;
  int64_t marker_ms = 0;
  std::map<uint64_t, uint64_t> behind;   // uin -> served up to.
  std::map<uint64_t, uint64_t> waiting;  // uin -> served up to.
  std::map<uint64_t, Member> members;    // Also those who left.

  const Member* member(uint64_t uin) const;  // Null unless in.
};

// Codes: not_found when there is no such group, conflict when it changes all the time.
Result<Loaded> load_group(Call& call, store::Store& store, uint64_t group);
Result<std::optional<Member>> load_member(Call& call, store::Store& store, uint64_t group, uint64_t uin);

// The message of a row of the log, as its members see it; `event`: whether the group's metadata changed there.
Result<client::Message> message_of(uint64_t group, const store::Row& row, bool* event = nullptr);

}  // namespace hongyan::group
