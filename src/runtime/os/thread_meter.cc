#include "runtime/os/thread_meter.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <string_view>

namespace hongyan::runtime {
namespace {

// "R (running)": the letter behind the name, which may hold spaces and brackets itself.
char state_of(std::string_view stat) {
  const size_t name_end = stat.rfind(')');
  return name_end == std::string_view::npos || name_end + 2 >= stat.size() ? '?'
                                                                           : stat[name_end + 2];
}

// "ns on a processor, ns in the queue for one, turns"
Duration waited_of(std::string_view schedstat) {
  const size_t space = schedstat.find(' ');
  if (space == std::string_view::npos) return {};
  int64_t nanoseconds = 0;
  std::from_chars(schedstat.data() + space + 1, schedstat.data() + schedstat.size(), nanoseconds);
  return Duration(nanoseconds);
}

class KernelThreadMeter : public ThreadMeter {
 public:
  ~KernelThreadMeter() override { close_files(); }

  void attach() override {
    close_files();
    known_ = pthread_getcpuclockid(pthread_self(), &clock_) == 0;
    const std::string directory = "/proc/self/task/" + std::to_string(gettid());
    stat_ = open((directory + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    schedstat_ = open((directory + "/schedstat").c_str(), O_RDONLY | O_CLOEXEC);
  }

  ThreadUse read() override {
    ThreadUse use{.blocked = true};
    timespec time{};
    if (known_ && clock_gettime(clock_, &time) == 0)
      use.on_cpu = std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    char buffer[512];
    if (const auto text = text_of(schedstat_, buffer); !text.empty())
      use.kept_waiting = waited_of(text);
    if (const auto text = text_of(stat_, buffer); !text.empty())
      use.blocked = state_of(text) != 'R';
    return use;
  }

 private:
  static std::string_view text_of(int file, std::span<char> buffer) {
    const ssize_t bytes = file < 0 ? -1 : pread(file, buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0))};
  }
  void close_files() {
    if (stat_ >= 0) close(stat_);
    if (schedstat_ >= 0) close(schedstat_);
    stat_ = schedstat_ = -1;
  }

  bool known_ = false;
  clockid_t clock_{};
  int stat_ = -1;
  int schedstat_ = -1;
};

}  // namespace

Duration own_time(const ThreadUse& before, const ThreadUse& now, Duration wall) {
  const Duration on_cpu = std::max(now.on_cpu - before.on_cpu, Duration(0));
  if (!now.blocked) return std::min(on_cpu, wall);
  const Duration kept_waiting = std::max(now.kept_waiting - before.kept_waiting, Duration(0));
  return std::clamp(wall - kept_waiting, std::min(on_cpu, wall), wall);
}

std::unique_ptr<ThreadMeter> make_kernel_thread_meter() {
  return std::make_unique<KernelThreadMeter>();
}

}  // namespace hongyan::runtime
