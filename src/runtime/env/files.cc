#include "runtime/env/files.h"

#include <utility>

#include "runtime/env/run_blocking.h"

namespace hongyan::runtime {
namespace {

class DiskFile : public AsyncFile {
 public:
  DiskFile(Env& env, std::unique_ptr<File> file) : env_(env), file_(std::move(file)) {}

  Result<std::string> read_at(Call& call, uint64_t offset, size_t bytes_max) override {
    return look(call, [&] { return file_->read_at(offset, bytes_max); });
  }
  Result<uint64_t> size(Call& call) override {
    return look(call, [&] { return file_->size(); });
  }
  Status append(std::string bytes) override {
    return run_blocking(env_, [&] { return file_->append(bytes); });
  }
  Status sync() override {
    return run_blocking(env_, [&] { return file_->sync(); });
  }
  Status truncate(uint64_t size) override {
    return run_blocking(env_, [&] { return file_->truncate(size); });
  }

 private:
  template <typename Function>
  auto look(const Call& call, Function function) -> decltype(function()) {
    TRY(check_not_over(env_.scheduler(), call));
    auto result = run_blocking(env_, function);
    TRY(check_not_over(env_.scheduler(), call));
    return result;
  }

  Env& env_;
  std::unique_ptr<File> file_;
};

class DiskFiles : public Files {
 public:
  explicit DiskFiles(Env& env) : env_(env) {}
  Result<std::unique_ptr<AsyncFile>> open(Call& call, const std::string& path,
                                          OpenMode mode) override {
    TRY(check_not_over(env_.scheduler(), call));
    auto file = TRY(run_blocking(env_, [&] { return env_.disk().open(path, mode); }));
    if (mode != OpenMode::create) TRY(check_not_over(env_.scheduler(), call));
    return std::unique_ptr<AsyncFile>(new DiskFile(env_, std::move(file)));
  }

 private:
  Env& env_;
};

}  // namespace

std::shared_ptr<Files> make_disk_files(Env& env) { return std::make_shared<DiskFiles>(env); }

Status check_not_over(Scheduler& scheduler, const Call& call) {
  if (scheduler.cancelled(scheduler.running())) return Status(Code::cancelled, "cancelled");
  if (call.deadline <= scheduler.now()) return Status(Code::deadline, "deadline");
  return {};
}

}  // namespace hongyan::runtime
