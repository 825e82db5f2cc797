// The physical limit a store of messages is measured beside: a bare log. Writers hand in a record and wait; one
// thread takes what waits, appends it and syncs it once for all (group commit). No index, no format, no recovery.
#pragma once

#include <string>

#include "bench/report.h"

namespace hongyan::bench {

struct LogResult {
  Samples latency;
  double seconds = 0;
};

// `writers` threads append records of `record_bytes`, each as soon as its last one is durable, for `seconds`.
LogResult run_append_log(const std::string& directory, int writers, size_t record_bytes, double seconds);

}  // namespace hongyan::bench
