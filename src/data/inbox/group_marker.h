// "New up to n": what a large group, or one that its member mutes, brings instead of its rows. The bodies stay in the
// group's log and are read there by history; here stand one log row, overwritten in place, the last message for the
// list line, and which positions are unread, so that a read mark inside the range counts right.
//
// A marker that follows another directly replaces it; where rows came between, the old one stays, for a device must see
// the gap below those rows. Idempotent: what is at or below the seq that the inbox has counts no second time.
#pragma once

#include "api/internal/inbox.pb.h"
#include "data/inbox/core.h"
#include "data/inbox/view.h"

namespace hongyan::inbox {

// Codes: invalid, too_large, conflict (decided again too often).
Result<internal::AppendFromGroupResponse> append_marker(Call& call, Core& core,
                                                        const internal::AppendFromGroupRequest& request);

// What the marker of a conversation stands for behind a position: unread and mentions.
Counted marked_behind(const MarkedRow& marked, uint64_t position);

}  // namespace hongyan::inbox
