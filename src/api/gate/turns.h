// Whose turn it is on a gate's loop, and how long somebody has waited for it.
//
// A connection has credit while its last request was answered with success. All that has none (a new connection, one
// whose last request was refused, bytes that are no request) passes a Turnstile, in the order in which they came: one for
// each turn of the loop, and the next not before that one has run. Whatever their number, they stand in the loop's queue
// as one: a stranger's hundred connections hold a friend's request up by one of theirs, not by a hundred. Nobody is
// refused by it, and on an idle loop turns follow each other at once.
//
// Owning thread only.
#pragma once

#include "runtime/coro/sync.h"
#include "runtime/env/env.h"

namespace hongyan::api {

class Turnstile : private runtime::TurnStart {
 public:
  explicit Turnstile(runtime::Scheduler& scheduler) : scheduler_(scheduler) {}

  // Returns when it is the caller's turn: at once when nobody waits and nobody has passed in this turn.
  void pass();

 private:
  void on_turn_start() override;

  runtime::Scheduler& scheduler_;
  runtime::WaitList list_;
  bool passed_ = false;  // Somebody, since this turn began.
  bool called_ = false;  // Somebody, who has not run yet.
};

// Of one connection.
struct Credit {
  bool good = false;
  size_t waiting = 0;  // Requests of it at the turnstile: later ones stay behind them, whatever it has earned meanwhile.

  // Returns when a request of the connection may go on; those of one connection keep their order. True: it had no credit.
  bool pass(Turnstile& turnstile) {
    if (good && waiting == 0) return false;
    ++waiting;
    turnstile.pass();
    --waiting;
    return true;
  }
};

// When what a connection has just read can have come at the latest: its queueing began no later. read() is for the one
// coroutine that reads; whoever reads must keep this alive until the stream is closed.
class Arrivals : private runtime::StreamWatcher {
 public:
  explicit Arrivals(runtime::Scheduler& scheduler) : scheduler_(scheduler) {}
  void watch(runtime::Stream& stream) { stream.watch(this); }

  // As stream.read(). An event that finds nobody reading says nothing: what it told of may have been read already.
  Result<size_t> read(runtime::Stream& stream, Call& call, std::span<char> into);
  // Of what read() gave last: when its socket was said to be readable, or when reading began if it was there before.
  runtime::Time last() const { return arrived_; }

 private:
  void on_ready(bool readable, bool writable) override;

  runtime::Scheduler& scheduler_;
  runtime::Time arrived_{};
  bool reading_ = false;
};

// How long a turn of the loop is, for whoever comes in the middle of one and is not even seen before the next: measured
// apart from any request, from when somebody asks for it to the start of the turn after.
class LoopLag : private runtime::TurnStart {
 public:
  explicit LoopLag(runtime::Scheduler& scheduler) : scheduler_(scheduler) {}
  void measure();
  // What was measured last; nothing when that was long ago.
  runtime::Duration last(runtime::Time now) const;

 private:
  void on_turn_start() override;

  runtime::Scheduler& scheduler_;
  bool measuring_ = false;
  runtime::Time start_{};
  runtime::Time measured_at_{};
  runtime::Duration lag_{};
};

}  // namespace hongyan::api
