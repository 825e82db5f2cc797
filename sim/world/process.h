// A simulated process: a domain of coroutines and the Env they see. It ends by kill(): nothing of it runs again, its
// objects are forgotten where they are, what it had not synced is lost. Its disk outlives it, its clock and its chance
// do not: a new process on the same disk draws other random bytes.
//
// Lanes run their work in place, then let virtual time pass for what the disk did; the work of a lane with one thread
// stays in order, and nobody sees its results before its time is over. Time of day is the world's plus an offset that
// may jump.
#pragma once

#include <memory>
#include <string>

#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/log/log.h"
#include "runtime/testing/loopback.h"
#include "sim/world/sim_disk.h"
#include "sim/world/world.h"

namespace hongyan::sim {

// The log of a process goes into the trace of the world.
class SimLog : public runtime::Log {
 public:
  SimLog(World& world, std::string process) : world_(world), process_(std::move(process)) {}
  void write(const runtime::LogEvent& event) override;

 private:
  World& world_;
  std::string process_;
};

class SimEnv : public runtime::Env {
 public:
  SimEnv(World& world, SimDisk& disk, const std::string& name, uint64_t incarnation, int64_t utc_offset_ms);

  runtime::Scheduler& scheduler() override { return world_.scheduler(); }
  Time now() override { return world_.scheduler().now(); }
  int64_t utc_ms() override;
  void random(std::span<char> into) override;
  runtime::Network& network() override { return network_; }
  runtime::Disk& disk() override { return disk_; }
  std::unique_ptr<runtime::Lane> make_lane(std::string_view name, int threads) override;
  runtime::Lane& pool() override { return *pool_; }
  runtime::Counters& counters() override { return counters_; }
  runtime::Log& log() override { return log_; }

  void set_utc_offset_ms(int64_t offset) { utc_offset_ms_ = offset; }

 private:
  World& world_;
  SimDisk& disk_;
  Random random_;
  int64_t utc_offset_ms_;
  runtime::LoopbackNetwork network_;
  runtime::Counters counters_;
  SimLog log_;
  std::unique_ptr<runtime::Lane> pool_;
};

class Process {
 public:
  Process(World& world, SimDisk& disk, std::string name, uint64_t incarnation, int64_t utc_offset_ms);
  ~Process();  // Killed, unless it was.
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  SimEnv& env() { return *env_; }
  bool alive() const { return alive_; }
  // A coroutine of this process.
  void spawn(std::string_view name, std::function<void()> body);
  // Not from one of its own coroutines. The disk finds out at revive() what was lost.
  void kill();

 private:
  World& world_;
  SimDisk& disk_;
  const runtime::Domain domain_;
  bool alive_ = true;
  SimEnv* env_;  // Leaks with the process: what it leaves behind still points there.
};

}  // namespace hongyan::sim
