// Writes the spans of a Tracer to a file, a line of OTLP/JSON for those of a second, for a collector that follows the file
// (OpenTelemetry's "otlpjsonfile" receiver). When the file is full it becomes PATH.1, in place of the one before. Nothing
// waits for the disk: spans that come faster than it writes are lost and counted. Without spans it does not wake.
//
// start() and stop() from a coroutine, stop() before the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/trace/otlp.h"

namespace hongyan::runtime {

struct SpanFileOptions {
  std::string path;
  SpanSource source = {};
  uint64_t bytes_max = 64 << 20;      // Of each of the two.
  Duration every = std::chrono::seconds(1);
};

class SpanFile {
 public:
  static constexpr size_t k_spans_of_line = 256;
  SpanFile(Env& env, SpanFileOptions options);
  ~SpanFile();
  void start();
  void stop();  // Writes what is left.

 private:
  void write_all();
  Status append(const std::string& line);

  Env& env_;
  const SpanFileOptions options_;
  uint64_t next_ = 0;  // The number of the first span that is not written.
  uint64_t size_ = 0;
  bool failing_ = false;
  std::unique_ptr<File> file_;
  Counter& lost_;
  Nursery nursery_;
};

}  // namespace hongyan::runtime
