#include "tests/hook/remote_files.h"

namespace hongyan {
namespace {

constexpr size_t k_file_bytes_max = 64 << 20;  // Of one file in memory.

FileRequest about(uint64_t handle) {
  FileRequest request;
  request.set_handle(handle);
  return request;
}

FileRequest about(const std::string& path) {
  FileRequest request;
  request.set_path(path);
  return request;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

// --- the server's side ---

Result<MemoryFiles::File*> MemoryFiles::by_handle(const FileRequest& request) {
  ++calls_;
  const auto found = handles_.find(request.handle());
  if (found == handles_.end()) return Status(Code::not_found, "no such handle");
  return found->second.get();
}

bool MemoryFiles::has_children(const std::string& path) const {
  const auto next = files_.upper_bound(path + "/");
  return next != files_.end() && next->first.starts_with(path + "/");
}

Result<FileReply> MemoryFiles::open(Call&, const FileRequest& request) {
  ++calls_;
  const auto parent = files_.find(parent_of(request.path()));
  if (parent == files_.end() || !parent->second->directory)
    return Status(Code::not_found, "no such directory");
  auto found = files_.find(request.path());
  if (found == files_.end()) {
    if (!request.create()) return Status(Code::not_found, request.path());
    found = files_.emplace(request.path(), std::make_shared<File>()).first;
  } else if (request.exclusive()) {
    return Status(Code::exists, request.path());
  }
  if (request.truncate()) found->second->bytes.clear();
  FileReply reply;
  reply.set_handle(++last_handle_);
  handles_.emplace(last_handle_, found->second);
  return reply;
}

Result<FileReply> MemoryFiles::close(Call& call, const FileRequest& request) {
  TRY(unlock(call, request));
  handles_.erase(request.handle());
  return FileReply();
}

Result<FileReply> MemoryFiles::read(Call&, const FileRequest& request) {
  const File* file = TRY(by_handle(request));
  FileReply reply;
  if (request.offset() < file->bytes.size())
    reply.set_bytes(file->bytes.substr(request.offset(), request.size()));
  return reply;
}

Result<FileReply> MemoryFiles::write(Call&, const FileRequest& request) {
  File* file = TRY(by_handle(request));
  if (request.offset() > k_file_bytes_max ||
      request.bytes().size() > k_file_bytes_max - request.offset())
    return Status(Code::no_space, "too long");
  if (file->bytes.size() < request.offset() + request.bytes().size())
    file->bytes.resize(request.offset() + request.bytes().size());
  file->bytes.replace(request.offset(), request.bytes().size(), request.bytes());
  return FileReply();
}

Result<FileReply> MemoryFiles::append(Call&, const FileRequest& request) {
  File* file = TRY(by_handle(request));
  file->bytes += request.bytes();
  return FileReply();
}

Result<FileReply> MemoryFiles::truncate(Call&, const FileRequest& request) {
  File* file = TRY(by_handle(request));
  if (request.size() > k_file_bytes_max) return Status(Code::no_space, "too long");
  file->bytes.resize(request.size());
  return FileReply();
}

Result<FileReply> MemoryFiles::sync(Call&, const FileRequest& request) {
  TRY(by_handle(request));
  ++syncs_;
  return FileReply();
}

Result<FileReply> MemoryFiles::status(Call&, const FileRequest& request) {
  const File* file = nullptr;
  if (request.handle() != 0) {
    file = TRY(by_handle(request));
  } else {
    ++calls_;
    const auto found = files_.find(request.path());
    if (found == files_.end()) return Status(Code::not_found, request.path());
    file = found->second.get();
  }
  FileReply reply;
  reply.set_directory(file->directory);
  reply.set_size(file->bytes.size());
  return reply;
}

Result<FileReply> MemoryFiles::lock(Call&, const FileRequest& request) {
  File* file = TRY(by_handle(request));
  if (file->locked_by != 0 && file->locked_by != request.handle())
    return Status(Code::busy, "held by another");
  file->locked_by = request.handle();
  return FileReply();
}

Result<FileReply> MemoryFiles::unlock(Call&, const FileRequest& request) {
  File* file = TRY(by_handle(request));
  if (file->locked_by == request.handle()) file->locked_by = 0;
  return FileReply();
}

Result<FileReply> MemoryFiles::rename(Call&, const FileRequest& request) {
  ++calls_;
  const auto from = files_.find(request.path());
  if (from == files_.end()) return Status(Code::not_found, request.path());
  if (from->second->directory) return Status(Code::unsupported, "directories stay where they are");
  files_[request.to()] = from->second;
  if (request.to() != request.path()) files_.erase(from);
  return FileReply();
}

Result<FileReply> MemoryFiles::remove(Call&, const FileRequest& request) {
  ++calls_;
  const auto found = files_.find(request.path());
  if (found == files_.end()) return Status(Code::not_found, request.path());
  if (found->second->directory) return Status(Code::invalid, "a directory");
  files_.erase(found);
  return FileReply();
}

Result<FileReply> MemoryFiles::make_directory(Call&, const FileRequest& request) {
  ++calls_;
  if (files_.contains(request.path())) return Status(Code::exists, request.path());
  files_[request.path()] = std::make_shared<File>(File{.bytes = {}, .directory = true});
  return FileReply();
}

Result<FileReply> MemoryFiles::remove_directory(Call&, const FileRequest& request) {
  ++calls_;
  const auto found = files_.find(request.path());
  if (found == files_.end() || !found->second->directory)
    return Status(Code::not_found, request.path());
  if (has_children(request.path())) return Status(Code::conflict, "not empty");
  files_.erase(found);
  return FileReply();
}

Result<FileReply> MemoryFiles::list(Call&, const FileRequest& request) {
  ++calls_;
  if (!files_.contains(request.path())) return Status(Code::not_found, request.path());
  FileReply reply;
  const std::string prefix = request.path() == "/" ? "/" : request.path() + "/";
  for (const auto& [path, file] : files_) {
    if (path.starts_with(prefix) && path != prefix &&
        path.find('/', prefix.size()) == std::string::npos)
      reply.add_names(path.substr(prefix.size()));
  }
  return reply;
}

// --- the caller's side ---

Result<uint64_t> RemoteFiles::open(Call& call, const std::string& path,
                                   runtime::hook::OpenFlags flags) {
  FileRequest request = about(path);
  request.set_create(flags.create);
  request.set_exclusive(flags.exclusive);
  request.set_truncate(flags.truncate);
  return TRY(client_.open(call, request)).handle();
}

void RemoteFiles::close(Call& call, uint64_t handle) { (void)client_.close(call, about(handle)); }

Result<std::string> RemoteFiles::read(Call& call, uint64_t handle, uint64_t offset, size_t bytes) {
  FileRequest request = about(handle);
  request.set_offset(offset);
  request.set_size(bytes);
  return TRY(client_.read(call, request)).bytes();
}

Status RemoteFiles::write(Call& call, uint64_t handle, uint64_t offset, std::string_view bytes) {
  FileRequest request = about(handle);
  request.set_offset(offset);
  request.set_bytes(std::string(bytes));
  return client_.write(call, request).status();
}

Status RemoteFiles::append(Call& call, uint64_t handle, std::string_view bytes) {
  FileRequest request = about(handle);
  request.set_bytes(std::string(bytes));
  return client_.append(call, request).status();
}

Status RemoteFiles::truncate(Call& call, uint64_t handle, uint64_t bytes) {
  FileRequest request = about(handle);
  request.set_size(bytes);
  return client_.truncate(call, request).status();
}

Status RemoteFiles::sync(Call& call, uint64_t handle) {
  return client_.sync(call, about(handle)).status();
}

Result<runtime::hook::FileStatus> RemoteFiles::status(Call& call, uint64_t handle) {
  const FileReply reply = TRY(client_.status(call, about(handle)));
  return runtime::hook::FileStatus{
      .directory = reply.directory(), .bytes = reply.size(), .modified_ms = 0};
}

Result<runtime::hook::FileStatus> RemoteFiles::status(Call& call, const std::string& path) {
  const FileReply reply = TRY(client_.status(call, about(path)));
  return runtime::hook::FileStatus{
      .directory = reply.directory(), .bytes = reply.size(), .modified_ms = 0};
}

Status RemoteFiles::lock(Call& call, uint64_t handle, bool) {
  return client_.lock(call, about(handle)).status();
}
Status RemoteFiles::unlock(Call& call, uint64_t handle) {
  return client_.unlock(call, about(handle)).status();
}

Status RemoteFiles::rename(Call& call, const std::string& from, const std::string& to) {
  FileRequest request = about(from);
  request.set_to(to);
  return client_.rename(call, request).status();
}

Status RemoteFiles::remove(Call& call, const std::string& path) {
  return client_.remove(call, about(path)).status();
}
Status RemoteFiles::make_directory(Call& call, const std::string& path) {
  return client_.make_directory(call, about(path)).status();
}
Status RemoteFiles::remove_directory(Call& call, const std::string& path) {
  return client_.remove_directory(call, about(path)).status();
}

Result<std::vector<std::string>> RemoteFiles::list(Call& call, const std::string& path) {
  const FileReply reply = TRY(client_.list(call, about(path)));
  return std::vector<std::string>(reply.names().begin(), reply.names().end());
}

}  // namespace hongyan
