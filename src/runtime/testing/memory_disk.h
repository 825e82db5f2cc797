// A disk in memory for unit tests: never full, never failing, durable at once. Open files keep
// their content when their name is removed or replaced, as in a kernel. Tests of crashes and full
// disks need the simulator's.
#pragma once

#include <map>
#include <set>

#include "runtime/env/env.h"

namespace hongyan::runtime {

class MemoryDisk : public Disk {
 public:
  MemoryDisk();
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  bool is_directory(const std::string& path) const { return directories_.contains(path); }

  std::map<std::string, std::shared_ptr<std::string>> files_;
  std::set<std::string> directories_;
  std::shared_ptr<std::set<std::string>> locked_;  // Locks may outlive the disk.
};

}  // namespace hongyan::runtime
