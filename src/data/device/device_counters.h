// What data/device counts.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::device {

struct DeviceCounters {
  explicit DeviceCounters(runtime::Counters& c)
      : opened(c.counter("hongyan_device_opened", "Sessions opened by a login")),
        refreshed(c.counter("hongyan_device_refreshed", "Sessions refreshed")),
        refresh_refused(c.counter("hongyan_device_refresh_refused", "Refresh tokens refused")),
        closed(c.counter("hongyan_device_closed", "Sessions closed by logout, kick or a newer login elsewhere")),
        forgotten(c.counter("hongyan_device_forgotten", "Devices forgotten because a user had too many")),
        cursors_saved(c.counter("hongyan_device_cursors_saved", "Sync cursors written")),
        cursors_skipped(c.counter("hongyan_device_cursors_skipped", "Sync cursors not written: one was just before")),
        rings_failed(c.counter("hongyan_device_rings_failed", "Logout rings that did not reach presence")) {}

  runtime::Counter& opened;
  runtime::Counter& refreshed;
  runtime::Counter& refresh_refused;
  runtime::Counter& closed;
  runtime::Counter& forgotten;
  runtime::Counter& cursors_saved;
  runtime::Counter& cursors_skipped;
  runtime::Counter& rings_failed;
};

}  // namespace hongyan::device
