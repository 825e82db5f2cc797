// Counters in a file that other processes map or read: best in a file system in memory (/dev/shm, /run), since a kernel
// that writes pages back to a disk may hold up whoever adds to a counter in them. An orderly end
// removes the file; after a crash it stays, and the next process that takes the path keeps it as PATH.last. Its room is reserved when it is made, so
// that a full file system is an error then and not a signal later. The writer holds a lock on its file, which the kernel
// lets go when it dies: that tells the living from the dead, across containers too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/counters/counters.h"

namespace hongyan::runtime {

// Only the owner may read and write it. Code::io, Code::no_space.
Result<std::unique_ptr<CounterMemory>> make_shared_counters(const std::string& path);

// Of a process that runs or of one that ended. Code::not_found, Code::corrupt.
Result<CounterSamples> read_shared_counters(const std::string& path);

struct CountersFile {
  std::string path;
  uint32_t process = 0;
  int64_t born_utc_ms = 0;
  bool alive = false;
};
// Those of this user in a directory, by name: of servers that run, and of dead ones that nobody has cleaned up.
std::vector<CountersFile> find_shared_counters(const std::string& directory);

// At a start: removes what dead processes of this user have left where `path` is. Of this server's own (`path`, and
// `path`-N of its workers) the latest is kept as PATH.last; so is the PATH.last of any server that runs.
void clean_shared_counters(const std::string& path);
// Of one of several workers that share a setting.
std::string worker_counters_path(const std::string& path, int process);

// Where a server with that data directory has its counters unless told: in /dev/shm, by user and directory.
std::string default_counters_path(const std::string& data_directory);

// What a setting says: a path, a directory (the default's name in it), nothing (the default) or "none" (nowhere).
std::string counters_path(const std::string& setting, const std::string& data_directory);

}  // namespace hongyan::runtime
