#include "runtime/os/os_env.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "runtime/counters/counters.h"
#include "runtime/os/clock.h"
#include "runtime/os/epoll_poller.h"
#include "runtime/os/file_engine.h"
#include "runtime/os/kernel_disk.h"
#include "runtime/os/kernel_files.h"
#include "runtime/os/kernel_network.h"
#include "runtime/os/kernel_profiler.h"
#include "runtime/os/kernel_readiness.h"
#include "runtime/os/line_log.h"
#include "runtime/os/loop_counters.h"
#include "runtime/os/shared_counters.h"
#include "runtime/os/stall_detector.h"
#include "runtime/os/thread_lane.h"
#include "runtime/os/uring_poller.h"

namespace hongyan::runtime {
namespace {

// Turns the first SIGTERM or SIGINT into stop().
class StopSignals : public Watcher {
 public:
  StopSignals(DescriptorPoller& poller, Scheduler& scheduler, Log& log)
      : poller_(poller), scheduler_(scheduler), log_(log) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    descriptor_ = signalfd(-1, &signals_, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(descriptor_ >= 0 && poller_.add(descriptor_, this));
  }
  ~StopSignals() override {
    poller_.remove(descriptor_);
    close(descriptor_);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

  void on_events(uint32_t) override {
    signalfd_siginfo info{};
    if (read(descriptor_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return;
    log_.info("runtime: stopping", {{"signal", info.ssi_signo}});
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);  // Whoever asks twice does not want to wait.
    scheduler_.stop();
  }

 private:
  DescriptorPoller& poller_;
  Scheduler& scheduler_;
  Log& log_;
  sigset_t signals_;
  int descriptor_ = -1;
};

// Nobody stops because nobody can look: without a file the counters are this process's alone.
std::unique_ptr<CounterMemory> counter_memory(const OsEnvOptions& options, Log& log) {
  if (options.counters_path.empty()) return nullptr;
  clean_shared_counters(options.counters_path);
  const bool worker = options.inherited.board != nullptr || options.inherited.share.count > 1;
  auto memory = make_shared_counters(worker ? worker_counters_path(options.counters_path, getpid()) : options.counters_path);
  if (memory.ok()) return std::move(*memory);
  log.warning("runtime: no shared counters: {}", memory.status().detail());
  return nullptr;
}

// Null: the kernel has none, or refuses it.
std::unique_ptr<UringPoller> make_uring_poller(const OsEnvOptions& options, Log& log) {
  if (options.io != LoopIo::uring) return nullptr;
  auto ring = Uring::make({.refused = options.refuse_rings});
  if (ring.ok() && (*ring)->can(IORING_OP_POLL_ADD) && (*ring)->can(IORING_OP_ASYNC_CANCEL))
    return std::make_unique<UringPoller>(std::move(*ring));
  log.warning("runtime: epoll instead of io_uring: {}",
              ring.ok() ? "it knows no polls" : ring.status().detail());
  return nullptr;
}

class OsEnv : public Env {
 public:
  explicit OsEnv(const OsEnvOptions& options) : options_(options), log_(options.log_path, options.log_json ? LineLog::Format::json : LineLog::Format::text), counters_(counter_memory(options, log_), static_cast<uint32_t>(getpid()), utc_milliseconds()) {
    log_.count_drops_in(&counters_.counter("hongyan_runtime_log_drops", "Lines of the log that a slow disk did not take"));
    poller_.count_in(&loop_counters_);
  }
  ~OsEnv() override {
    poller_.count_in(nullptr);
    log_.count_drops_in(nullptr);
  }

  Scheduler& scheduler() override { return scheduler_; }
  Time now() override { return scheduler_.now(); }
  int64_t utc_ms() override { return utc_milliseconds(); }

  void random(std::span<char> into) override {
    while (!into.empty()) {
      const ssize_t got = getrandom(into.data(), into.size(), 0);
      CHECK(got > 0 || errno == EINTR);
      if (got > 0) into = into.subspan(static_cast<size_t>(got));
    }
  }

  Network& network() override { return network_; }
  Disk& disk() override { return disk_; }
  Files& files() override { return files_; }
  std::unique_ptr<Lane> make_lane(std::string_view name, int threads) override {
    return std::make_unique<ThreadLane>(scheduler_, name, threads);
  }
  Lane& pool() override {
    if (pool_ == nullptr) pool_ = make_lane("pool", options_.pool_threads);
    return *pool_;
  }
  Counters& counters() override { return counters_; }
  Log& log() override { return log_; }
  Readiness* readiness() override {
    if (readiness_ == nullptr)
      readiness_ = std::make_unique<KernelReadiness>(poller_, scheduler_, file_engine_);
    return readiness_.get();
  }

  Profiler* profiler() override {
    if (profiler_ == nullptr) profiler_ = std::make_unique<KernelProfiler>(*this);
    return profiler_.get();
  }

  std::string describe_io() {
    return std::string(uring_poller_ != nullptr ? "io_uring" : "epoll") + ", files by " +
           (file_engine_.by_ring() ? "io_uring" : "threads");
  }

  void stop_on_signals() {
    signal(SIGPIPE, SIG_IGN);
    if (signals_ == nullptr) signals_ = std::make_unique<StopSignals>(poller_, scheduler_, log_);
  }

 private:
  OsEnvOptions options_;
  LineLog log_;
  Counters counters_;
  std::unique_ptr<UringPoller> uring_poller_{make_uring_poller(options_, log_)};
  std::unique_ptr<EpollPoller> epoll_poller_{uring_poller_ == nullptr ? new EpollPoller(options_.spin) : nullptr};
  DescriptorPoller& poller_ = uring_poller_ != nullptr ? static_cast<DescriptorPoller&>(*uring_poller_) : *epoll_poller_;
  Scheduler scheduler_{poller_};
  LoopCounters loop_counters_{counters_, scheduler_};
  StallDetector stall_detector_{scheduler_, counters_, log_};
  KernelNetwork network_{poller_, counters_, log_, std::move(options_.inherited)};
  KernelDisk disk_;
  FileEngine file_engine_{poller_,
                          scheduler_,
                          counters_,
                          log_,
                          uring_poller_ != nullptr ? &uring_poller_->ring() : nullptr,
                          {.threads_only = options_.files == FileIo::threads, .ring = {.refused = options_.refuse_rings}}};
  KernelFiles files_{file_engine_};
  std::unique_ptr<KernelReadiness> readiness_;
  std::unique_ptr<Lane> pool_;
  std::unique_ptr<StopSignals> signals_;
  std::unique_ptr<KernelProfiler> profiler_;
};

}  // namespace

std::unique_ptr<Env> make_os_env(const OsEnvOptions& options) {
  return std::make_unique<OsEnv>(options);
}

namespace {

OsEnv& real(Env& env) {
  auto* one = dynamic_cast<OsEnv*>(&env);
  const bool of_make_os_env = one != nullptr;
  CHECK(of_make_os_env);
  return *one;
}

}  // namespace

void stop_on_signals(Env& env) { real(env).stop_on_signals(); }

std::string describe_io(Env& env) { return real(env).describe_io(); }

LoopIo loop_io(std::string_view word) { return word == "uring" ? LoopIo::uring : LoopIo::epoll; }

FileIo file_io(std::string_view word) { return word == "threads" ? FileIo::threads : FileIo::automatic; }

int process_id() { return ::getpid(); }

void set_private_umask() { ::umask(077); }

std::map<std::string, std::string> environment_variables() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos)
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace hongyan::runtime
