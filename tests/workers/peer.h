// The two ends of the workers' test.
#pragma once

#include <string>

#include "runtime/os/inherited.h"
#include "runtime/os/worker_master.h"

namespace hongyan::tests {

// A worker that serves echo.proto. `journal` gets a line for each Delete before its answer: what was truly done.
int serve_echo(const std::string& address, const std::string& journal, runtime::Inherited inherited);

struct LoadOptions {
  std::string address;
  int channels = 4;
  int callers = 4;  // On each channel.
  int fresh = 2;    // Callers that open a channel for every few calls.
};
// Calls until SIGTERM, then prints what came of them as JSON.
int call_echo(const LoadOptions& options);

}  // namespace hongyan::tests
