// The real server as a child: hongyan-server from beside this program, on a data directory of ours, with limits that
// a load generator on one address does not meet. stop() is a clean stop; the destructor makes sure that it is gone.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace hongyan::bench {

class ServerProcess {
 public:
  explicit ServerProcess(std::string data) : data_(std::move(data)) {}
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  Status start();
  Status stop();
  // What the server said when it got ready: addresses are looked up in it. "" when it names none of that name.
  std::string address(const std::string& name) const;

  double cpu_seconds() const;
  double memory_mib(const char* field = "VmRSS") const;  // Or "VmHWM", the most so far.

 private:
  std::string data_;
  std::string ready_;
  pid_t pid_ = 0;
  int output_ = -1;
};

// A directory that is removed with all it holds.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Of all files below.
uint64_t file_bytes(const std::string& directory);

// Writes back and drops every page that the kernel holds of the files below, so that the next read asks the disk.
void drop_page_cache(const std::string& directory);

}  // namespace hongyan::bench
