// Files of the kernel. New files are 0600 and directories 0700: they hold people's messages.
#pragma once

#include "runtime/env/env.h"

namespace hongyan::runtime {

int open_flags(OpenMode mode);  // Of open(2).

// An append() that failed may have left a part of its bytes at the end of the file.
class KernelDisk : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  // Each new directory is durable in its parent.
  Status make_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
};

}  // namespace hongyan::runtime
