// Files of the kernel for coroutines (env/files.h), by a FileEngine. As with KernelDisk new files
// are 0600, and an append() that failed may have left a part of its bytes at the end of the file.
#pragma once

#include "runtime/env/files.h"
#include "runtime/os/file_engine.h"

namespace hongyan::runtime {

class KernelFiles : public Files {
 public:
  explicit KernelFiles(FileEngine& engine) : engine_(engine) {}
  Result<std::unique_ptr<AsyncFile>> open(Call& call, const std::string& path,
                                          OpenMode mode) override;

 private:
  FileEngine& engine_;
};

}  // namespace hongyan::runtime
