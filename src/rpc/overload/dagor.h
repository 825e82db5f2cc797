// Which calls an overloaded server still takes (DAGOR, SoCC 2018, with what its authors left open). A pure controller:
// no clock, no chance, no I/O; the same calls at the same times give the same decisions.
//
// Overload is the queueing time alone, from the readable event to the handler's start: over 20 ms on average in a window
// of one second or 2,000 calls, and more than a few calls waiting at a time. Neither response time, which inherits the
// delays of others, nor the CPU says it; single calls that are late because something else has the processor are no
// queue that refusing would shorten.
// At the end of such a window the calls taken, as they really were, become 5 % fewer, and as many fewer as it needs at once when queueing time
// was growing: how fast it grows says how much too much there is. They stay as they are while the queue shrinks by itself. A queue that grows beyond 100 ms ends the window early; of calls that have waited for so
// long only the more important half is taken, so that what has piled up goes away and is not all served too late. At the
// end of a good window 1 % of what arrives is taken more, and twice that for every second after ten good ones. The
// cursor goes along the sums of what arrived on each level: no trial and error.
//
// Callers that honour the level no longer send what is below it, so a level remembers for a while what came when it
// was open, and the cursor does not leap over levels that only look empty. On the level of the cursor itself a share of
// the calls is taken, evenly: when all calls are of one level, some pass. After five seconds without a call everything
// is open again.
//
// Memory: 1.5 KiB for every business priority that was seen. One owner, one thread; times never go back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "rpc/overload/level.h"
#include "runtime/time.h"

namespace hongyan::rpc {

struct DagorOptions {
  runtime::Duration queue_wait_max = std::chrono::milliseconds(20);
  runtime::Duration window = std::chrono::seconds(1);
  uint32_t window_calls = 2000;
  double shed = 0.05;    // Of what is taken, at the end of a bad window.
  double regain = 0.01;  // Of what arrives, at the end of a good one.
};

class Dagor {
 public:
  explicit Dagor(DagorOptions options = {});

  // A call that has queued for so long until now: is it taken?
  bool admit(runtime::Priority priority, runtime::Duration queue_wait, runtime::Time now);
  // How long it had queued: told when the handler of a call starts, and of a refused one when it is refused.
  void waited(runtime::Duration queue_wait, runtime::Time now);
  // A call whose time was over before it could start: it arrived and it queued, and it is no sign of health.
  void late(runtime::Priority priority, runtime::Duration queue_wait, runtime::Time now);
  // The last level of which calls are taken.
  uint32_t level() const { return level_; }
  bool open() const { return level_ == k_level_open; }

  // --- for pages, counters and tests ---
  struct Window {
    uint64_t number = 0;
    uint64_t arrived = 0;
    uint64_t taken = 0;
    runtime::Duration queue_wait{};  // Average.
    bool overloaded = false;
    uint32_t level = k_level_open;   // From its end on.
    double share = 1;                // Of the calls of that very level.
  };
  const Window& last() const { return last_; }

 private:
  struct Block {  // Of one business priority.
    std::array<uint32_t, k_user_levels> count{};    // This window.
    std::array<double, k_user_levels> per_second{};  // As it is, or was when the level was open.
  };
  struct Fit {  // Queueing time over time, for its slope.
    double n = 0, t = 0, w = 0, tt = 0, tw = 0;
  };

  uint32_t arrive(runtime::Priority priority, runtime::Duration queue_wait, runtime::Time now);
  void close_window(runtime::Time now);
  void start_window(runtime::Time now);
  void open_all();
  void learn_rates(double seconds);
  double demand() const;
  double taken_rate() const;
  double slope() const;
  struct Cursor {
    uint32_t level = k_level_open;
    double share = 1;  // Of the calls of that very level.
  };
  Cursor cursor_at(double rate) const;
  void move_cursor(double rate);
  bool window_over(runtime::Duration queue_wait, runtime::Time now) const;

  const DagorOptions options_;
  std::array<std::unique_ptr<Block>, k_business_levels> blocks_;
  uint32_t level_ = k_level_open;
  double share_ = 1;
  uint32_t piled_up_level_ = k_level_open;  // For calls that have waited for long.
  double due_ = 0;  // Of the cursor's level: a call is taken whenever this reaches one.
  bool running_ = false;
  runtime::Time start_{};
  runtime::Time last_call_{};
  runtime::Time last_bad_{};
  uint64_t arrived_ = 0, taken_ = 0;
  uint64_t samples_ = 0;
  runtime::Duration wait_sum_{};
  Fit fit_;
  Window last_;
};

}  // namespace hongyan::rpc
