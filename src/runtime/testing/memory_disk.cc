#include "runtime/testing/memory_disk.h"

namespace hongyan::runtime {
namespace {

class MemoryFile : public File {
 public:
  MemoryFile(std::shared_ptr<std::string> content, bool writable)
      : content_(std::move(content)), writable_(writable) {}

  Status append(std::string_view bytes) override {
    if (!writable_) return Status(Code::io, "opened for reading");
    content_->append(bytes);
    return {};
  }
  Status sync() override { return {}; }
  Result<std::string> read_at(uint64_t offset, size_t bytes_max) override {
    if (offset >= content_->size()) return std::string();
    return content_->substr(offset, bytes_max);
  }
  Result<uint64_t> size() override { return content_->size(); }
  Status truncate(uint64_t size) override {
    if (!writable_) return Status(Code::io, "opened for reading");
    content_->resize(size);
    return {};
  }

 private:
  std::shared_ptr<std::string> content_;
  bool writable_;
};

class MemoryLock : public FileLock {
 public:
  MemoryLock(std::shared_ptr<std::set<std::string>> locked, std::string path)
      : locked_(std::move(locked)), path_(std::move(path)) {}
  ~MemoryLock() override { locked_->erase(path_); }

 private:
  std::shared_ptr<std::set<std::string>> locked_;
  std::string path_;
};

// Without doubled and trailing slashes, and without "./".
std::string tidy(const std::string& path) {
  std::string out;
  for (size_t start = 0; start <= path.size();) {
    const size_t slash = std::min(path.find('/', start), path.size());
    const std::string part = path.substr(start, slash - start);
    if (start == 0 && part.empty()) {
      out.push_back('/');
    } else if (!part.empty() && part != ".") {
      if (!out.empty() && out.back() != '/') out.push_back('/');
      out += part;
    }
    start = slash + 1;
  }
  return out.empty() ? "." : out;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status missing(const std::string& path) {
  return Status(Code::not_found, path + ": no such file or directory");
}

}  // namespace

MemoryDisk::MemoryDisk()
    : directories_{".", "/", "/tmp"}, locked_(std::make_shared<std::set<std::string>>()) {}

Result<std::unique_ptr<File>> MemoryDisk::open(const std::string& untidy, OpenMode mode) {
  const std::string path = tidy(untidy);
  if (is_directory(path)) return Status(Code::io, path + ": is a directory");
  const auto found = files_.find(path);
  if (mode != OpenMode::create) {
    if (found == files_.end()) return missing(path);
    return std::unique_ptr<File>(new MemoryFile(found->second, mode == OpenMode::append));
  }
  if (!is_directory(parent_of(path))) return missing(path);
  if (found != files_.end()) {
    found->second->clear();
    return std::unique_ptr<File>(new MemoryFile(found->second, true));
  }
  const auto& content = files_.emplace(path, std::make_shared<std::string>()).first->second;
  return std::unique_ptr<File>(new MemoryFile(content, true));
}

Status MemoryDisk::rename(const std::string& untidy_from, const std::string& untidy_to) {
  const std::string from = tidy(untidy_from);
  const std::string to = tidy(untidy_to);
  if (is_directory(from)) return Status(Code::unsupported, from + ": renaming directories");
  const auto found = files_.find(from);
  if (found == files_.end()) return missing(from);
  if (!is_directory(parent_of(to))) return missing(to);
  if (from == to) return {};
  files_[to] = found->second;
  files_.erase(from);
  return {};
}

Status MemoryDisk::remove(const std::string& untidy) {
  const std::string path = tidy(untidy);
  if (files_.erase(path) > 0) return {};
  if (!is_directory(path)) return missing(path);
  if (!TRY(list(path)).empty()) return Status(Code::io, path + ": directory not empty");
  directories_.erase(path);
  return {};
}

Result<std::vector<std::string>> MemoryDisk::list(const std::string& untidy) {
  const std::string directory = tidy(untidy);
  if (!is_directory(directory)) return missing(directory);
  std::set<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != directory && path != "/" && path != "." && parent_of(path) == directory) {
      names.insert(path.substr(path.rfind('/') + 1));
    }
  };
  for (const auto& [path, content] : files_) add(path);
  for (const std::string& path : directories_) add(path);
  return std::vector<std::string>(names.begin(), names.end());
}

Status MemoryDisk::make_directories(const std::string& untidy) {
  for (std::string path = tidy(untidy);; path = parent_of(path)) {
    if (files_.contains(path)) return Status(Code::exists, path + ": is a file");
    if (!directories_.insert(path).second) return {};
  }
}

Status MemoryDisk::sync_directory(const std::string& untidy) {
  const std::string path = tidy(untidy);
  return is_directory(path) ? Status() : missing(path);
}

bool MemoryDisk::exists(const std::string& untidy) {
  const std::string path = tidy(untidy);
  return files_.contains(path) || is_directory(path);
}

Result<std::unique_ptr<FileLock>> MemoryDisk::lock(const std::string& untidy) {
  const std::string path = tidy(untidy);
  if (!is_directory(parent_of(path))) return missing(path);
  if (!locked_->insert(path).second) return Status(Code::busy, path + ": locked by another");
  files_.try_emplace(path, std::make_shared<std::string>());
  return std::unique_ptr<FileLock>(new MemoryLock(locked_, path));
}

}  // namespace hongyan::runtime
