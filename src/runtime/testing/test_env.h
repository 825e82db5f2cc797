// A small Env for unit tests: virtual time that jumps when everybody waits, chance from a seed, a
// disk in memory, a network inside the process, lanes in place, the log kept. Deterministic,
// without faults: those are the simulator's.
//
//   TestEnv env;
//   run_in_coroutine(env, [&] { Call call = env.call(); EXPECT_TRUE(thing.do_it(call).ok()); });
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/coro/manual_poller.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/log/log.h"
#include "runtime/testing/loopback.h"
#include "runtime/testing/memory_disk.h"
#include "runtime/testing/run_in_coroutine.h"

namespace hongyan::runtime {

class TestLog : public Log {
 public:
  TestLog() { set_level(LogLevel::debug); }
  void write(const LogEvent& event) override;
  const std::vector<std::string>& lines() const { return lines_; }  // "warning disk nearly full"
  bool contains(std::string_view text) const;

 private:
  std::vector<std::string> lines_;
};

class TestEnv : public Env {
 public:
  explicit TestEnv(uint64_t seed = 1) : random_(seed) {}

  Scheduler& scheduler() override { return scheduler_; }
  Time now() override { return scheduler_.now(); }
  int64_t utc_ms() override;
  void random(std::span<char> into) override;
  Network& network() override { return network_; }
  Disk& disk() override { return disk_; }
  std::unique_ptr<Lane> make_lane(std::string_view name, int threads) override;
  Lane& pool() override { return *pool_; }
  Counters& counters() override { return counters_; }
  TestLog& log() override { return log_; }

  // A call with a deadline of a virtual minute.
  Call call() { return background_call(*this, 60s); }
  // Time passes; timers that became due run with the next run of the scheduler.
  void advance(Duration duration) { poller_.advance(duration); }
  void jump_utc_ms(int64_t by) { utc_jump_ms_ += by; }

 private:
  ManualPoller poller_;
  Scheduler scheduler_{poller_};
  Random random_;
  int64_t utc_jump_ms_ = 0;
  LoopbackNetwork network_;
  MemoryDisk disk_;
  Counters counters_;
  TestLog log_;
  std::unique_ptr<Lane> pool_ = make_lane("pool", 1);
};

}  // namespace hongyan::runtime
