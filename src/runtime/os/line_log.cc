#include "runtime/os/line_log.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

// Longer lines are cut: a log is for people, and whatever comes from outside must not fill the
// disk.
constexpr size_t k_line_bytes_max = 8 * 1024;

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "?";
}

std::string head(LogLevel level) {
  const int64_t ms = utc_milliseconds();
  const time_t seconds = ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {} ", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms % 1000, name_of(level));
}

}  // namespace

LineLog::LineLog(const std::string& path) {
  const int opened = path.empty() ? -1 : open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const int reason = errno;
  if (opened >= 0) descriptor_ = opened, owned_ = true;
  start();
  if (opened < 0 && !path.empty()) error("log: cannot open {}: {}; logging to stderr", path, std::strerror(reason));
}

LineLog::LineLog(int descriptor) : descriptor_(descriptor) { start(); }

LineLog::~LineLog() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  news_.notify_one();
  thread_.join();
  if (owned_) close(descriptor_);
}

void LineLog::start() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // Signals belong to the loop's thread.
  thread_ = std::thread([this] { write_loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LineLog::write(LogLevel level, std::string_view line) {
  std::string out = head(level);
  for (const char c : line.substr(0, k_line_bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  if (line.size() > k_line_bytes_max) out += "...";
  out.push_back('\n');
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + out.size() > k_buffer_bytes) {
      ++dropped_;
      if (drops_ != nullptr) drops_->add(1);
      return;
    }
    wake = waiting_.empty();
    waiting_ += out;
  }
  if (wake) news_.notify_one();
}

void LineLog::count_drops_in(Counter* counter) {
  const std::lock_guard lock(mutex_);
  drops_ = counter;
}

void LineLog::flush() {
  std::unique_lock lock(mutex_);
  written_.wait(lock, [this] { return waiting_.empty() && !writing_; });
}

void LineLog::write_loop() {
  std::string taken;
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return !waiting_.empty() || closing_; });
    if (waiting_.empty()) return;
    taken.swap(waiting_);
    const uint64_t dropped = std::exchange(dropped_, 0);
    writing_ = true;
    lock.unlock();
    if (dropped > 0) taken += head(LogLevel::warning) + fmt::format("log: {} lines were dropped: the disk was too slow\n", dropped);
    // A full disk loses lines; the service goes on.
    for (std::string_view rest = taken; !rest.empty();) {
      const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
      if (count > 0) rest.remove_prefix(static_cast<size_t>(count));
      else if (errno != EINTR) break;
    }
    taken.clear();
    lock.lock();
    writing_ = false;
    written_.notify_all();
  }
}

}  // namespace hongyan::runtime
