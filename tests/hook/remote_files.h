// Both sides of files over RPC, for tests: a service that keeps files in memory, and the
// FileService that calls it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "rpc/testing/files.rpc.pb.h"
#include "runtime/hook/mount.h"

namespace hongyan {

using rpc::testing::FileReply;
using rpc::testing::FileRequest;

class MemoryFiles : public rpc::testing::FilesService {
 public:
  size_t calls() const { return calls_; }
  size_t syncs() const { return syncs_; }
  size_t open_handles() const { return handles_.size(); }
  bool has(const std::string& path) const { return files_.contains(path); }

  Result<FileReply> open(Call& call, const FileRequest& request) override;
  Result<FileReply> close(Call& call, const FileRequest& request) override;
  Result<FileReply> read(Call& call, const FileRequest& request) override;
  Result<FileReply> write(Call& call, const FileRequest& request) override;
  Result<FileReply> append(Call& call, const FileRequest& request) override;
  Result<FileReply> truncate(Call& call, const FileRequest& request) override;
  Result<FileReply> sync(Call& call, const FileRequest& request) override;
  Result<FileReply> status(Call& call, const FileRequest& request) override;
  Result<FileReply> lock(Call& call, const FileRequest& request) override;
  Result<FileReply> unlock(Call& call, const FileRequest& request) override;
  Result<FileReply> rename(Call& call, const FileRequest& request) override;
  Result<FileReply> remove(Call& call, const FileRequest& request) override;
  Result<FileReply> make_directory(Call& call, const FileRequest& request) override;
  Result<FileReply> remove_directory(Call& call, const FileRequest& request) override;
  Result<FileReply> list(Call& call, const FileRequest& request) override;

 private:
  struct File {
    std::string bytes;
    bool directory = false;
    uint64_t locked_by = 0;
  };
  Result<File*> by_handle(const FileRequest& request);
  bool has_children(const std::string& path) const;

  std::map<std::string, std::shared_ptr<File>> files_{
      {"/", std::make_shared<File>(File{.bytes = {}, .directory = true})}};
  std::map<uint64_t, std::shared_ptr<File>> handles_;
  uint64_t last_handle_ = 0;
  size_t calls_ = 0;
  size_t syncs_ = 0;
};

class RemoteFiles : public runtime::hook::FileService {
 public:
  explicit RemoteFiles(rpc::Channel& channel) : client_(channel) {}

  Result<uint64_t> open(Call& call, const std::string& path,
                        runtime::hook::OpenFlags flags) override;
  void close(Call& call, uint64_t handle) override;
  Result<std::string> read(Call& call, uint64_t handle, uint64_t offset, size_t bytes) override;
  Status write(Call& call, uint64_t handle, uint64_t offset, std::string_view bytes) override;
  Status append(Call& call, uint64_t handle, std::string_view bytes) override;
  Status truncate(Call& call, uint64_t handle, uint64_t bytes) override;
  Status sync(Call& call, uint64_t handle) override;
  Result<runtime::hook::FileStatus> status(Call& call, uint64_t handle) override;
  Result<runtime::hook::FileStatus> status(Call& call, const std::string& path) override;
  Status lock(Call& call, uint64_t handle, bool exclusive) override;
  Status unlock(Call& call, uint64_t handle) override;
  Status rename(Call& call, const std::string& from, const std::string& to) override;
  Status remove(Call& call, const std::string& path) override;
  Status make_directory(Call& call, const std::string& path) override;
  Status remove_directory(Call& call, const std::string& path) override;
  Result<std::vector<std::string>> list(Call& call, const std::string& path) override;

 private:
  rpc::testing::FilesClient client_;
};

}  // namespace hongyan
