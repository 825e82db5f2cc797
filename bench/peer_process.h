// A server or a load generator of a measurement as a child process on one processor, which answers questions on its
// standard input with one line each. It ends when the input ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace hongyan::bench {

class PeerProcess {
 public:
  PeerProcess() = default;
  ~PeerProcess() { stop(); }
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // Beside this program, or with a path. Waits for its first line, which it gives. `processor` -1: any.
  Result<std::string> start(const std::string& program, const std::vector<std::string>& words, int processor);
  Result<std::string> ask(const std::string& line);
  void stop();
  double cpu_seconds() const;
  // "RssAnon" and its like, from /proc, in bytes.
  double memory_bytes(const char* field) const;
  pid_t pid() const { return pid_; }

 private:
  Result<std::string> read_line();
  pid_t pid_ = 0;
  int input_ = -1, output_ = -1;
  std::string rest_;
};

// What a load generator says of one run: "calls seconds p50_us p99_us max_us".
struct LoadResult {
  double calls = 0, seconds = 0, p50_us = 0, p99_us = 0, max_us = 0;
  double per_second() const { return seconds > 0 ? calls / seconds : 0; }
};
Result<LoadResult> parse_load(const std::string& line);

// Raises the limit of open descriptors as far as it goes; gives it.
size_t raise_descriptor_limit(size_t wanted);

double median(std::vector<double> values);

// Reads questions from standard input until it ends.
bool next_question(std::string& line);
void say(const std::string& line);

}  // namespace hongyan::bench
