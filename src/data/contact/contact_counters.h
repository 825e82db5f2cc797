// What data/contact counts.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::contact {

struct ContactCounters {
  explicit ContactCounters(runtime::Counters& c)
      : asked(c.counter("hongyan_contact_asked", "Friend requests made")),
        accepted(c.counter("hongyan_contact_accepted", "Friend requests accepted")),
        removed(c.counter("hongyan_contact_removed", "Friends removed, requests refused or withdrawn")),
        delivered(c.counter("hongyan_contact_delivered", "Actions that reached the peer's entity")),
        delivered_late(c.counter("hongyan_contact_delivered_late", "Of those, by the worker instead of at once")),
        dropped(c.counter("hongyan_contact_dropped", "Requests dropped: the peer's list was full by then")),
        write_granted(c.counter("hongyan_contact_write_granted", "Grants to write to somebody")),
        write_refused(c.counter("hongyan_contact_write_refused", "Refusals: not friends, or blocked")),
        rings_failed(c.counter("hongyan_contact_rings_failed", "Rings that did not reach presence")) {}

  runtime::Counter& asked;
  runtime::Counter& accepted;
  runtime::Counter& removed;
  runtime::Counter& delivered;
  runtime::Counter& delivered_late;
  runtime::Counter& dropped;
  runtime::Counter& write_granted;
  runtime::Counter& write_refused;
  runtime::Counter& rings_failed;
};

}  // namespace hongyan::contact
