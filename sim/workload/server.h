// The server of a run: the whole bundle in a simulated process on a simulated disk, which crashes, boots again, has its
// clock moved and an old backup put under it. Access is the real Entry and the real table of links; only the bytes of a
// wire are left out: a request is a command's path and its protobuf.
//
// Called from events, outside coroutines. What nobody is there to take is dropped, as by a machine that is down.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "api/client/sync.pb.h"
#include "sim/check/ledger.h"
#include "sim/faults/mutants.h"
#include "sim/workload/net.h"
#include "sim/world/process.h"

namespace hongyan::sim {

class Server {
 public:
  // An answer's bytes, and when it was given.
  using Answer = std::function<void(const std::string& bytes, const Said& said)>;
  // What a device's link hears.
  struct Link {
    std::function<void(const client::Ring&)> ring;
    std::function<void()> closed;
  };

  Server(World& world, Ledger& ledger, Net& net, Mutant mutant);
  ~Server();

  void boot();
  bool up() const { return running_ != nullptr; }
  SimDisk& disk() { return disk_; }

  void request(size_t device, const std::string& path, const std::string& bytes, const Answer& answer);
  // `bytes` is a PollRequest: the link is of the device whose ticket it carries.
  void connect(size_t device, uint64_t connection, const std::string& bytes, const Link& link, const Answer& answer);
  void disconnect(uint64_t connection);

  // --- faults ---
  void crash(Duration down_for);
  // As an operator does it: what is under way is finished, everything stops in order, a new process starts.
  void restart();
  // The next crash comes by itself: at the operation of the disk that many from now.
  void crash_at_operation(uint64_t from_now, SimDisk::CrashMoment moment, Duration down_for);
  void jump_clock(int64_t by_ms);
  void take_backup();
  bool has_backup() const { return backup_.has_value(); }
  // The backup replaces everything; the next process finds it marked as restored.
  void restore_backup(Duration down_for);

 private:
  struct Running;  // What a process is made of; it leaks with its process.
  struct Backup {
    SimDisk::Image image;
    Time at{};
  };

  void start(Process& process);
  Status open(SimEnv& env, Running& running);
  std::string handle(Running& running, size_t device, const std::string& path, const std::string& bytes);
  std::string attach(Running& running, size_t device, uint64_t connection, const std::string& bytes, const Link& link);
  void late_logout(Running& running, size_t device, const std::string& bytes);
  std::string with_foreign_snapshot(Running& running, const std::string& bytes);
  std::string with_swapped_rows(size_t device, const std::string& bytes);
  void stop(Running& running);
  void go_down(const std::string& why, Duration down_for);

  World& world_;
  Ledger& ledger_;
  Net& net_;
  const Mutant mutant_;
  SimDisk disk_;
  size_t row_members_max_;  // In some runs a group of three is large: it is served by markers.
  std::unique_ptr<Process> process_;
  Running* running_ = nullptr;
  size_t under_way_ = 0;   // Requests of the present process.
  uint64_t incarnation_ = 0;
  int64_t utc_offset_ms_ = 0;
  bool restored_ = false;  // The next process must mark its data.
  std::optional<Backup> backup_;
  std::map<size_t, client::Entry> held_;  // For the mutant that swaps rows at a cut.
  std::set<std::pair<uint64_t, std::string>> seen_;  // Users and devices: for the mutant that mixes them up.
};

}  // namespace hongyan::sim
