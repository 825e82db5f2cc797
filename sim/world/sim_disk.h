// A disk that outlives the processes that use it. It knows what has been synced: a crash keeps that, and of each
// write after it chance keeps all, nothing, or a torn part; a name whose directory was not synced may be lost, in the
// order of a journal. Directories themselves are durable at once.
//
// Each write, sync, rename, truncate and remove is a numbered operation and costs virtual time, which the lane that
// runs it spends (take_cost). The disk can be told to fail the process at operation N: before it, in the middle of it
// or after it. From then on every operation fails and changes nothing, until the next process boots.
//
// Full: writes answer no_space, a part of them may have got in. Open files keep their content when their name is
// removed or replaced. Paths are used as they are given, without "." or "//".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/env/env.h"
#include "sim/world/world.h"

namespace hongyan::sim {

class SimDisk : public runtime::Disk {
 public:
  enum class CrashMoment { before, middle, after };

  explicit SimDisk(Random random);

  Result<std::unique_ptr<runtime::File>> open(const std::string& path, runtime::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<std::unique_ptr<runtime::FileLock>> lock(const std::string& path) override;

  // --- for the world ---
  uint64_t operations() const { return operations_; }
  // The process dies at operation `number` (counted from the disk's birth); `died` is called once, outside.
  void crash_at(uint64_t number, CrashMoment moment, std::function<void()> died);
  void no_crash() { crash_at_ = 0; }
  bool dead() const { return dead_; }
  // The power is gone: nothing more gets in. Before revive().
  void die() { dead_ = true; }
  // What a process that boots now finds. Nobody holds a lock.
  void revive();

  void set_full(bool full) { full_ = full; }
  void set_slow(bool slow) { slow_ = slow; }
  // A mutant: every sync of a file but its first says ok at once; what it should have done happens before the file's
  // next write.
  void set_late_sync(bool late) { late_sync_ = late; }
  // Virtual time that operations since the last call have cost.
  Duration take_cost();

  // What is durable now: the names and contents a crash is certain to keep.
  using Image = std::map<std::string, std::string>;
  Image durable_image() const;
  // All files are replaced. Only while no process runs.
  void restore(const Image& image);

 private:
  friend class SimFile;

  struct PendingWrite {
    bool truncates = false;
    uint64_t offset = 0;  // Or the new size.
    std::string bytes;
  };
  struct Inode {
    std::string synced;
    std::string content;
    std::vector<PendingWrite> pending;
    bool sync_due = false;  // Of a late sync.
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct PendingName {  // path now names inode; null: it is removed. A rename takes the old name away with it.
    std::string path;
    InodePtr inode;
    std::string old_path;
  };
  enum class Step { go, tear, refuse };

  // Counts an operation and says how far it gets.
  Step step(Duration least, Duration spread);
  void crash_now();
  Status append_to(const InodePtr& inode, std::string_view bytes);
  Status truncate(const InodePtr& inode, uint64_t size);
  Status sync(const InodePtr& inode);
  void sync_now(Inode& inode);
  void set_name(const PendingName& change);
  static void name_in(std::map<std::string, InodePtr>& names, const PendingName& change);
  void apply(std::string& durable, const PendingWrite& write) const;
  void crash_inode(Inode& inode);
  void crash_names();

  Random random_;
  std::map<std::string, InodePtr> files_;
  std::map<std::string, InodePtr> durable_files_;
  std::map<std::string, std::vector<PendingName>> pending_names_;  // By directory, oldest first.
  std::set<std::string> directories_;
  std::shared_ptr<std::set<std::string>> locked_;
  uint64_t operations_ = 0;
  uint64_t crash_at_ = 0;
  CrashMoment crash_moment_ = CrashMoment::before;
  std::function<void()> died_;
  bool dead_ = false;
  bool full_ = false;
  bool slow_ = false;
  bool late_sync_ = false;
  Duration cost_{};
};

}  // namespace hongyan::sim
