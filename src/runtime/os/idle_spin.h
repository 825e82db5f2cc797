// Whether a loop that has nothing to do asks for news a few more times before it sleeps. Sleeping
// and being woken costs both sides more than a short answer takes; asking costs a processor. A pure
// policy: times are arguments.
//
// A loop tries it when most of its waits were short: one that is woken more than 16,000 times a
// second. It goes on while most end before it would have slept, and nobody else wants the processor
// for long; else it leaves it for a while, and for twice as long each time, up to a second. So an
// idle loop never asks in vain, and a busy one spends only time in which its processor had nothing
// to do.
#pragma once

#include "runtime/time.h"

namespace hongyan::runtime {

class IdleSpin {
 public:
  // How long a wait asks before it sleeps, at most; being woken is a part of a wait that slept.
  static constexpr Duration k_ask = std::chrono::microseconds(60);
  // Waits that are judged together, and how many of them must be short.
  static constexpr int k_waits = 64;
  static constexpr int k_short_min = 48;
  // The processor was away for so long between two questions: an interrupt is over by then.
  static constexpr Duration k_away = std::chrono::microseconds(50);
  // What others may take of the processor during so many waits.
  static constexpr Duration k_taken_max = std::chrono::milliseconds(2);
  static constexpr Duration k_pause_min = std::chrono::milliseconds(20);
  static constexpr Duration k_pause_max = std::chrono::seconds(1);

  // How long a wait that begins now may ask; 0: it sleeps at once.
  Duration limit() const { return on_ ? k_ask : Duration(0); }
  // Of every wait that may sleep: what it lasted until something came.
  void waited(Duration took, Time now);
  // Another thread had the processor meanwhile. False: ask no more.
  bool taken_away(Duration took, Time now);

 private:
  void begin_window() { waits_ = short_ = 0, taken_ = {}; }
  void leave_it(Time now);

  bool on_ = false;
  int waits_ = 0;
  int short_ = 0;
  Duration taken_{};
  Duration pause_ = k_pause_min;
  Time not_before_{};
};

}  // namespace hongyan::runtime
