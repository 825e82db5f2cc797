// Counters in a file that other processes map or read: best in a file system in memory (/dev/shm, /run), since a kernel
// that writes pages back to a disk may hold up whoever adds to a counter in them. An orderly end
// removes the file; after a crash it stays, and the next process that takes the path keeps it as PATH.last. Its room is reserved when it is made, so
// that a full file system is an error then and not a signal later.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "runtime/counters/counters.h"

namespace hongyan::runtime {

// Only the owner may read and write it. Code::io, Code::no_space.
Result<std::unique_ptr<CounterMemory>> make_shared_counters(const std::string& path);

// Of a process that runs or of one that ended. Code::not_found, Code::corrupt.
Result<CounterSamples> read_shared_counters(const std::string& path);

// Where a server with that data directory has its counters unless told: in /dev/shm, by user and directory.
std::string default_counters_path(const std::string& data_directory);

// What a setting says: a path, nothing (the default) or "none" (nowhere).
std::string counters_path(const std::string& setting, const std::string& data_directory);

}  // namespace hongyan::runtime
