// The log as text, one line an event: `2026-11-21T04:07:13.123Z info text key=value`, or as JSON, an object a line:
// `{"time":"2026-11-21T04:07:13.123Z","level":"info","text":"text","key":"value"}`. Control characters are escaped, so
// nobody can forge a line. Any thread; several processes may share a file.
//
// Whoever logs never waits for the disk: lines go to a buffer of 1 MiB and a thread writes them at once. Lines that do
// not fit any more are dropped, counted, and the log says how many were when it can write again. What was handed in
// before an orderly end is written; a crash loses what the disk had not taken.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/counters/counters.h"
#include "runtime/log/log.h"

namespace hongyan::runtime {

class LineLog : public Log {
 public:
  static constexpr size_t k_buffer_bytes = 1024 * 1024;

  enum class Format { text, json };

  // To stderr when `path` is empty or can't be opened.
  explicit LineLog(const std::string& path, Format format = Format::text);
  // To a descriptor that the caller keeps open.
  explicit LineLog(int descriptor, Format format = Format::text);
  ~LineLog() override;
  void write(const LogEvent& event) override;
  // Null: no more. The counter outlives all lines but the last ones of the process.
  void count_drops_in(Counter* counter);
  // Waits until the disk has taken what was handed in before: for ends and tests.
  void flush();

 private:
  void start();
  void write_loop();
  void put_line(std::string& out, int64_t utc_ms, LogLevel level, std::string_view body);
  const Format format_;
  bool owned_ = false;
  int descriptor_ = 2;
  std::mutex mutex_;
  std::condition_variable news_, written_;
  std::string waiting_;         // What the thread takes next.
  bool writing_ = false;
  bool closing_ = false;
  uint64_t dropped_ = 0;        // Not told yet.
  Counter* drops_ = nullptr;
  int64_t second_ = -1;         // That `date_` writes.
  char date_[32] = {};          // "2026-11-21T04:07:13"
  std::thread thread_;
};

}  // namespace hongyan::runtime
