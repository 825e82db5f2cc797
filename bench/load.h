// Load generators: how much for how long, and what they count.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/peer_process.h"

namespace hongyan::bench {

struct Load {
  int connections = 1;
  int depth = 1;      // Calls in flight on each.
  int warm_ms = 100;  // Before anything counts.
  int run_ms = 500;
  int rate = 0;       // Calls a second, sent by the clock and timed from when they were due; 0: as many as are answered.
};
// "connections depth warm_ms run_ms rate"
Load parse_question(const std::string& line);
std::string question(const Load& load);

inline int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Counts what ends inside the window.
class Meter {
 public:
  explicit Meter(const Load& load);
  void tick() { now_ = now_ns(); }
  bool over() const { return now_ >= end_; }
  bool counts() const { return now_ >= start_ && now_ < end_; }
  void add(size_t calls, int64_t took_ns) {
    if (!counts()) return;
    calls_ += calls;
    if (samples_.size() < k_samples_max) samples_.push_back(took_ns);
  }
  std::string said();

 private:
  static constexpr size_t k_samples_max = 2'000'000;
  int64_t start_, end_, now_;
  size_t calls_ = 0;
  std::vector<int64_t> samples_;
};

int connect_to(const std::string& host, int port);
int serve_raw();
std::string load_raw(int port, const Load& load, const std::string& message, size_t answer_bytes);

// Ours, in this process, until the standard input ends. "port of the frames and of HTTP".
struct LoopWays {
  bool uring = false;
  bool spin = true;  // Before it sleeps, with epoll.
};
int serve_hongyan(bool bare, size_t connections_max, LoopWays ways = {});
int load_hongyan(int port, LoopWays ways);  // Answers questions.
int serve_overload(const std::string& how);  // "level", "chance", "nobody": whom it takes; "idle": a call is no work.
int load_overload(int port);
int load_bytes(int port, bool http);
int hold_connections(int port);  // "count": opens so many, speaks once on each, holds them.

// What `hongyan-bench peer ROLE PORT` does.
int run_peer(const std::string& role, int port);

inline constexpr size_t k_echo_bytes = 100;

}  // namespace hongyan::bench
