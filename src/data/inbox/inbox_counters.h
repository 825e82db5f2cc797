// What the inbox counts.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::inbox {

struct InboxCounters {
  explicit InboxCounters(runtime::Counters& c)
      : appends(c.counter("hongyan_inbox_appends", "Messages put into an inbox, the sender's or the peer's.")),
        duplicates(c.counter("hongyan_inbox_duplicates", "Appends of a message that was there already.")),
        bytes(c.counter("hongyan_inbox_bytes", "Bytes of log rows put.")),
        group_rows(c.counter("hongyan_inbox_group_rows", "Rows that came from groups.")),
        group_markers(c.counter("hongyan_inbox_group_markers", "Markers of groups put or overwritten.")),
        group_behind(c.counter("hongyan_inbox_group_behind", "Fan-outs of rows that were there already.")),
        open_sends(c.counter("hongyan_inbox_open_sends", "Messages put into the sender's inbox that the peer did not have yet.")),
        closed_sends(c.counter("hongyan_inbox_closed_sends", "Open sends whose message the peer has.")),
        redeliveries(c.counter("hongyan_inbox_redeliveries", "Open sends delivered by the worker or before a later send.")),
        syncs(c.counter("hongyan_inbox_syncs", "Answers of sync.")),
        resets(c.counter("hongyan_inbox_resets", "Answers of sync that said reset.")),
        recounts(c.counter("hongyan_inbox_unread_recounts", "Unread counted anew because the mark moved.")),
        conflicts(c.counter("hongyan_inbox_conflicts", "View changes decided again because another commit came first.")),
        rings(c.counter("hongyan_inbox_rings", "Rings sent to presence.")),
        rings_failed(c.counter("hongyan_inbox_rings_failed", "Rings that failed or were dropped.")),
        purged_rows(c.counter("hongyan_inbox_purged_rows", "Rows that retention removed.")),
        worker_failures(c.counter("hongyan_inbox_worker_failures", "Rounds of a worker that failed and will be repeated.")),
        sync_us(c.histogram("hongyan_inbox_sync_us", "microseconds", "Time of one answer of sync.")) {}

  runtime::Counter &appends, &duplicates, &bytes, &group_rows, &group_markers, &group_behind, &open_sends, &closed_sends,
      &redeliveries, &syncs, &resets, &recounts, &conflicts, &rings, &rings_failed, &purged_rows, &worker_failures;
  runtime::Histogram& sync_us;
};

}  // namespace hongyan::inbox
