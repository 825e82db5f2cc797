// The log as text, one line an event: `2026-11-21T04:07:13.123Z info text`. Control characters are
// written as \xNN, so nobody can forge a line. Any thread; each line is one write(2), so several
// processes may share a file.
#pragma once

#include <string>

#include "runtime/log/log.h"

namespace hongyan::runtime {

class LineLog : public Log {
 public:
  // To stderr when `path` is empty or can't be opened.
  explicit LineLog(const std::string& path);
  ~LineLog() override;
  void write(LogLevel level, std::string_view line) override;

 private:
  int descriptor_ = 2;
};

}  // namespace hongyan::runtime
