// A disk in memory that dies, fills up or fails on demand: what was not synced may be lost, and the write under way may
// be torn at any byte. Names are durable after sync_directory, contents after sync, as in a kernel.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/env/env.h"

namespace hongyan::store {

class FaultDisk : public runtime::Disk {
 public:
  // How much of what was not synced is there after a crash.
  enum class Unsynced { lost, kept };

  // The process dies at its n-th change of the disk, counted from now; an append then writes `torn_bytes` first.
  void die_at(size_t change, size_t torn_bytes) {
    changes_left_ = change;
    torn_bytes_ = torn_bytes;
  }
  bool dead() const { return dead_; }
  size_t changes() const { return changes_; }
  // What a machine finds when it comes back.
  void restart(Unsynced unsynced);
  // Appends fail with no_space once this many more bytes are written; the last one writes what fits.
  void leave_room(size_t bytes) { room_ = bytes; }
  void fail_with(Code code) { failure_ = code; }  // Every change; Code::ok: no more.

  size_t size(const std::string& path) { return names_.at(path)->current.size(); }
  std::string& content(const std::string& path) { return names_.at(path)->current; }
  std::vector<std::string> paths() const {
    std::vector<std::string> found;
    for (const auto& [path, node] : names_) found.push_back(path);
    return found;
  }

  Result<std::unique_ptr<runtime::File>> open(const std::string& path, runtime::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directories(const std::string& path) override {
    directories_.insert(path);
    return {};
  }
  Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) override { return names_.contains(path) || directories_.contains(path); }
  Result<std::unique_ptr<runtime::FileLock>> lock(const std::string&) override {
    return std::make_unique<runtime::FileLock>();
  }

 private:
  struct Node {
    std::string current;
    std::string durable;
  };
  class OpenFile;

  Status change();  // Counts one; an error: dead or failing.

  std::map<std::string, std::shared_ptr<Node>> names_, durable_names_;
  std::set<std::string> directories_;
  size_t changes_ = 0;
  size_t changes_left_ = SIZE_MAX;
  size_t torn_bytes_ = 0;
  size_t room_ = SIZE_MAX;
  Code failure_ = Code::ok;
  bool dead_ = false;
};

class FaultDisk::OpenFile : public runtime::File {
 public:
  OpenFile(FaultDisk& disk, std::shared_ptr<Node> node) : disk_(disk), node_(std::move(node)) {}
  Status append(std::string_view bytes) override {
    const bool was_dead = disk_.dead_;
    if (Status status = disk_.change(); !status.ok()) {
      if (disk_.dead_ && !was_dead) node_->current.append(bytes.substr(0, disk_.torn_bytes_));
      return status;
    }
    const size_t fits = std::min(bytes.size(), disk_.room_);
    node_->current.append(bytes.substr(0, fits));
    if (disk_.room_ != SIZE_MAX) disk_.room_ -= fits;
    return fits == bytes.size() ? Status() : Status(Code::no_space, "no space left");
  }
  Status sync() override {
    TRY(disk_.change());
    node_->durable = node_->current;
    return {};
  }
  Result<std::string> read_at(uint64_t offset, size_t bytes_max) override {
    if (offset >= node_->current.size()) return std::string();
    return node_->current.substr(offset, bytes_max);
  }
  Result<uint64_t> size() override { return node_->current.size(); }
  Status truncate(uint64_t size) override {
    TRY(disk_.change());
    node_->current.resize(size);
    return {};
  }

 private:
  FaultDisk& disk_;
  std::shared_ptr<Node> node_;
};

inline Status FaultDisk::change() {
  if (dead_) return Status(Code::io, "the process is dead");
  ++changes_;
  if (--changes_left_ == 0) {
    dead_ = true;
    return Status(Code::io, "the process died");
  }
  return failure_ == Code::ok ? Status() : Status(failure_, "as told");
}

inline void FaultDisk::restart(Unsynced unsynced) {
  if (unsynced == Unsynced::lost) names_ = durable_names_;
  for (const auto& [path, node] : names_) {
    if (unsynced == Unsynced::lost) node->current = node->durable;
    node->durable = node->current;
  }
  durable_names_ = names_;
  dead_ = false;
  changes_left_ = SIZE_MAX;
}

inline Result<std::unique_ptr<runtime::File>> FaultDisk::open(const std::string& path, runtime::OpenMode mode) {
  const auto found = names_.find(path);
  if (mode != runtime::OpenMode::create) {
    if (found == names_.end()) return Status(Code::not_found, path);
    return std::unique_ptr<runtime::File>(new OpenFile(*this, found->second));
  }
  TRY(change());
  // Emptying a file may reach the disk before its new content does.
  auto node = found == names_.end() ? std::make_shared<Node>() : found->second;
  node->current.clear();
  names_[path] = node;
  return std::unique_ptr<runtime::File>(new OpenFile(*this, node));
}

inline Status FaultDisk::rename(const std::string& from, const std::string& to) {
  TRY(change());
  if (!names_.contains(from)) return Status(Code::not_found, from);
  names_[to] = names_[from];
  names_.erase(from);
  return {};
}

inline Status FaultDisk::remove(const std::string& path) {
  TRY(change());
  return names_.erase(path) > 0 ? Status() : Status(Code::not_found, path);
}

inline Result<std::vector<std::string>> FaultDisk::list(const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& [path, node] : names_) {
    const bool inside = path.starts_with(directory + "/") && path.find('/', directory.size() + 1) == std::string::npos;
    if (inside) found.push_back(path.substr(directory.size() + 1));
  }
  return found;
}

inline Status FaultDisk::sync_directory(const std::string& path) {
  TRY(change());
  const auto inside = [&](const std::string& name) {
    return name.starts_with(path + "/") && name.find('/', path.size() + 1) == std::string::npos;
  };
  std::erase_if(durable_names_, [&](const auto& name) { return inside(name.first); });
  for (const auto& [name, node] : names_) {
    if (inside(name)) durable_names_[name] = node;
  }
  return {};
}

}  // namespace hongyan::store
