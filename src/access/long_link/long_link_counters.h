// The counters of the long link.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::access {

struct LongLinkCounters {
  explicit LongLinkCounters(runtime::Counters& counters)
      : connections(counters.counter("hongyan_long_link_connections", "Open connections", runtime::CounterKind::gauge)),
        refused(counters.counter("hongyan_long_link_refused", "Connections over a limit")),
        commands(counters.counter("hongyan_long_link_commands", "Commands answered")),
        noops(counters.counter("hongyan_long_link_noops", "Heartbeats answered")),
        pushes(counters.counter("hongyan_long_link_pushes", "Rings sent")),
        broken(counters.counter("hongyan_long_link_broken", "Connections closed because their framing was broken")),
        slow(counters.counter("hongyan_long_link_slow_closed", "Connections closed for being idle or slow to send")),
        sealed(counters.counter("hongyan_long_link_sealed", "Links that agreed on a session key")),
        unsealed(counters.counter("hongyan_long_link_seal_broken", "Links closed over a handshake or a body that did not open")),
        cut(counters.counter("hongyan_long_link_cut", "Connections cut because nobody read them")) {}

  runtime::Counter& connections;
  runtime::Counter& refused;
  runtime::Counter& commands;
  runtime::Counter& noops;
  runtime::Counter& pushes;
  runtime::Counter& broken;
  runtime::Counter& slow;
  runtime::Counter& sealed;
  runtime::Counter& unsealed;
  runtime::Counter& cut;
};

}  // namespace hongyan::access
