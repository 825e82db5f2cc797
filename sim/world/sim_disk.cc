#include "sim/world/sim_disk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hongyan::sim {

using runtime::OpenMode;

namespace {

std::string tidy(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '/' && !out.empty() && out.back() == '/') continue;
    out.push_back(c);
  }
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out.empty() ? "." : out;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status missing(const std::string& path) { return Status(Code::not_found, path + ": no such file or directory"); }
Status power_lost() { return Status(Code::io, "the process is dying"); }

class SimLock : public runtime::FileLock {
 public:
  SimLock(std::shared_ptr<std::set<std::string>> locked, std::string path)
      : locked_(std::move(locked)), path_(std::move(path)) {}
  ~SimLock() override { locked_->erase(path_); }

 private:
  std::shared_ptr<std::set<std::string>> locked_;
  std::string path_;
};

}  // namespace

class SimFile : public runtime::File {
 public:
  SimFile(SimDisk& disk, SimDisk::InodePtr inode, bool writable)
      : disk_(disk), inode_(std::move(inode)), writable_(writable) {}

  Status append(std::string_view bytes) override {
    if (!writable_) return Status(Code::io, "opened for reading");
    return disk_.append_to(inode_, bytes);
  }
  Status sync() override { return disk_.sync(inode_); }
  Result<std::string> read_at(uint64_t offset, size_t bytes_max) override {
    if (offset >= inode_->content.size()) return std::string();
    return inode_->content.substr(offset, bytes_max);
  }
  Result<uint64_t> size() override { return inode_->content.size(); }
  Status truncate(uint64_t size) override {
    if (!writable_) return Status(Code::io, "opened for reading");
    return disk_.truncate(inode_, size);
  }

 private:
  SimDisk& disk_;
  SimDisk::InodePtr inode_;
  bool writable_;
};

SimDisk::SimDisk(Random random)
    : random_(random), directories_{".", "/", "/data"}, locked_(std::make_shared<std::set<std::string>>()) {}

// --- operations ---

SimDisk::Step SimDisk::step(Duration least, Duration spread) {
  if (dead_) return Step::refuse;
  cost_ += least + Duration(random_.below(static_cast<uint64_t>(spread.count())));
  if (slow_) cost_ += Duration(random_.below(200'000'000));
  ++operations_;
  if (operations_ != crash_at_) return Step::go;
  switch (crash_moment_) {
    case CrashMoment::before: crash_now(); return Step::refuse;
    case CrashMoment::middle: return Step::tear;
    case CrashMoment::after: return Step::tear;
  }
  return Step::go;
}

void SimDisk::crash_now() {
  dead_ = true;
  crash_at_ = 0;
  if (died_) std::exchange(died_, nullptr)();
}

void SimDisk::crash_at(uint64_t number, CrashMoment moment, std::function<void()> died) {
  crash_at_ = number;
  crash_moment_ = moment;
  died_ = std::move(died);
}

Duration SimDisk::take_cost() { return std::exchange(cost_, Duration{}); }

Status SimDisk::append_to(const InodePtr& inode, std::string_view bytes) {
  const Step how = step(5us, 20us);
  if (how == Step::refuse) return power_lost();
  if (inode->sync_due) sync_now(*inode);
  if (how == Step::tear && crash_moment_ == CrashMoment::middle) bytes = bytes.substr(0, random_.below(bytes.size()));
  const bool full = full_;
  if (full) bytes = bytes.substr(0, random_.below(bytes.size() + 1));
  inode->pending.push_back({.offset = inode->content.size(), .bytes = std::string(bytes)});
  inode->content.append(bytes);
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return full ? Status(Code::no_space, "the disk is full") : Status();
}

Status SimDisk::truncate(const InodePtr& inode, uint64_t size) {
  const Step how = step(5us, 20us);
  if (how == Step::refuse) return power_lost();
  inode->pending.push_back({.truncates = true, .offset = size, .bytes = {}});
  inode->content.resize(size);
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return {};
}

void SimDisk::sync_now(Inode& inode) {
  inode.synced = inode.content;
  inode.pending.clear();
  inode.sync_due = false;
}

Status SimDisk::sync(const InodePtr& inode) {
  const Step how = step(200us, 800us);
  if (how == Step::refuse) return power_lost();
  const bool done = how == Step::go || crash_moment_ == CrashMoment::after;
  if (done && late_sync_ && !inode->synced.empty()) inode->sync_due = true;
  else if (done) sync_now(*inode);
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return {};
}

void SimDisk::name_in(std::map<std::string, InodePtr>& names, const PendingName& change) {
  if (!change.old_path.empty()) names.erase(change.old_path);
  if (change.inode == nullptr) {
    names.erase(change.path);
  } else {
    names[change.path] = change.inode;
  }
}

void SimDisk::set_name(const PendingName& change) {
  name_in(files_, change);
  pending_names_[parent_of(change.path)].push_back(change);
}

Result<std::unique_ptr<runtime::File>> SimDisk::open(const std::string& untidy, OpenMode mode) {
  const std::string path = tidy(untidy);
  if (directories_.contains(path)) return Status(Code::io, path + ": is a directory");
  const auto found = files_.find(path);
  if (mode != OpenMode::create) {
    if (found == files_.end()) return missing(path);
    return std::unique_ptr<runtime::File>(new SimFile(*this, found->second, mode == OpenMode::append));
  }
  if (!directories_.contains(parent_of(path))) return missing(path);
  const Step how = step(5us, 20us);
  if (how == Step::refuse) return power_lost();
  if (found == files_.end()) {
    set_name({.path = path, .inode = std::make_shared<Inode>(), .old_path = {}});
  } else if (!found->second->content.empty()) {
    found->second->pending.push_back({.truncates = true, .offset = 0, .bytes = {}});
    found->second->content.clear();
  }
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return std::unique_ptr<runtime::File>(new SimFile(*this, files_.at(path), true));
}

Status SimDisk::rename(const std::string& untidy_from, const std::string& untidy_to) {
  const std::string from = tidy(untidy_from);
  const std::string to = tidy(untidy_to);
  if (directories_.contains(from)) return Status(Code::unsupported, from + ": renaming directories");
  const auto found = files_.find(from);
  if (found == files_.end()) return missing(from);
  if (!directories_.contains(parent_of(to))) return missing(to);
  if (from == to) return {};
  const Step how = step(5us, 20us);
  if (how == Step::refuse) return power_lost();
  const InodePtr inode = found->second;
  set_name({.path = to, .inode = inode, .old_path = from});
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return {};
}

Status SimDisk::remove(const std::string& untidy) {
  const std::string path = tidy(untidy);
  if (files_.contains(path)) {
    const Step how = step(5us, 20us);
    if (how == Step::refuse) return power_lost();
    set_name({.path = path, .inode = nullptr, .old_path = {}});
    if (how == Step::tear) {
      crash_now();
      return power_lost();
    }
    return {};
  }
  if (!directories_.contains(path)) return missing(path);
  if (!TRY(list(path)).empty()) return Status(Code::io, path + ": directory not empty");
  directories_.erase(path);
  return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& untidy) {
  const std::string directory = tidy(untidy);
  if (!directories_.contains(directory)) return missing(directory);
  std::set<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != directory && path != "/" && path != "." && parent_of(path) == directory) {
      names.insert(path.substr(path.rfind('/') + 1));
    }
  };
  for (const auto& [path, inode] : files_) add(path);
  for (const std::string& path : directories_) add(path);
  return std::vector<std::string>(names.begin(), names.end());
}

Status SimDisk::make_directories(const std::string& untidy) {
  for (std::string path = tidy(untidy);; path = parent_of(path)) {
    if (files_.contains(path)) return Status(Code::exists, path + ": is a file");
    if (!directories_.insert(path).second) return {};
  }
}

Status SimDisk::sync_directory(const std::string& untidy) {
  const std::string path = tidy(untidy);
  if (!directories_.contains(path)) return missing(path);
  const Step how = step(100us, 400us);
  if (how == Step::refuse) return power_lost();
  const bool done = how == Step::go || crash_moment_ == CrashMoment::after;
  if (done) {
    for (const PendingName& change : pending_names_[path]) name_in(durable_files_, change);
    pending_names_.erase(path);
  }
  if (how == Step::tear) {
    crash_now();
    return power_lost();
  }
  return {};
}

bool SimDisk::exists(const std::string& untidy) {
  const std::string path = tidy(untidy);
  return files_.contains(path) || directories_.contains(path);
}

Result<std::unique_ptr<runtime::FileLock>> SimDisk::lock(const std::string& untidy) {
  const std::string path = tidy(untidy);
  if (!directories_.contains(parent_of(path))) return missing(path);
  if (!locked_->insert(path).second) return Status(Code::busy, path + ": locked by another");
  if (!files_.contains(path)) set_name({.path = path, .inode = std::make_shared<Inode>(), .old_path = {}});
  return std::unique_ptr<runtime::FileLock>(new SimLock(locked_, path));
}

// --- crashes ---

void SimDisk::apply(std::string& durable, const PendingWrite& write) const {
  if (write.truncates) {
    durable.resize(write.offset);
    return;
  }
  if (durable.size() < write.offset + write.bytes.size()) durable.resize(write.offset + write.bytes.size());
  durable.replace(write.offset, write.bytes.size(), write.bytes);
}

void SimDisk::crash_inode(Inode& inode) {
  for (PendingWrite& write : inode.pending) {
    const uint64_t fate = random_.below(3);
    if (fate == 0) continue;
    if (fate == 1 && !write.bytes.empty()) write.bytes.resize(random_.below(write.bytes.size()) + 1);
    apply(inode.synced, write);
  }
  inode.pending.clear();
  inode.sync_due = false;
  inode.content = inode.synced;
}

// Of each directory's changes a first part was kept.
void SimDisk::crash_names() {
  for (auto& [directory, changes] : pending_names_) {
    const size_t kept = random_.below(changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) name_in(durable_files_, changes[i]);
  }
  pending_names_.clear();
  files_ = durable_files_;
}

void SimDisk::revive() {
  crash_names();
  std::set<Inode*> done;  // Only to visit each once: nothing depends on its order.
  for (auto& [path, inode] : files_) {
    if (done.insert(inode.get()).second) crash_inode(*inode);
  }
  locked_ = std::make_shared<std::set<std::string>>();
  dead_ = false;
  crash_at_ = 0;
  cost_ = {};
}

SimDisk::Image SimDisk::durable_image() const {
  Image image;
  for (const auto& [path, inode] : durable_files_) image[path] = inode->synced;
  return image;
}

void SimDisk::restore(const Image& image) {
  files_.clear();
  durable_files_.clear();
  pending_names_.clear();
  for (const auto& [path, content] : image) {
    auto inode = std::make_shared<Inode>();
    inode->synced = inode->content = content;
    files_[path] = durable_files_[path] = inode;
  }
}

}  // namespace hongyan::sim
