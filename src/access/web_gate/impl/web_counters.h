// The counters of the web gate.
#pragma once

#include "runtime/counters/counters.h"

namespace hongyan::access {

struct WebCounters {
  explicit WebCounters(runtime::Counters& counters)
      : connections(counters.counter("hongyan_web_connections", "Open connections", runtime::CounterKind::gauge)),
        links(counters.counter("hongyan_web_links", "Open WebSocket links", runtime::CounterKind::gauge)),
        requests(counters.counter("hongyan_web_requests", "HTTP requests answered")),
        bad_requests(counters.counter("hongyan_web_bad_requests", "Requests that broke HTTP")),
        slow(counters.counter("hongyan_web_slow_closed", "Connections closed for being slow")),
        refused(counters.counter("hongyan_web_connections_refused", "Connections over a limit")),
        cut_links(counters.counter("hongyan_web_links_cut", "Links cut because writing to them failed or nobody read them")) {}

  runtime::Counter& connections;
  runtime::Counter& links;
  runtime::Counter& requests;
  runtime::Counter& bad_requests;
  runtime::Counter& slow;
  runtime::Counter& refused;
  runtime::Counter& cut_links;
};

}  // namespace hongyan::access
