#include "runtime/os/line_log.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/os/clock.h"

namespace hongyan::runtime {
namespace {

constexpr size_t k_date_bytes = 19;
constexpr size_t k_head_bytes_max = 64;  // Date, level and what JSON has around them.

}  // namespace

LineLog::LineLog(const std::string& path, Format format) : format_(format) {
  const int opened = path.empty() ? -1 : open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const int reason = errno;
  if (opened >= 0) descriptor_ = opened, owned_ = true;
  start();
  if (opened < 0 && !path.empty()) error("log: cannot open the file; logging to stderr", {{"path", path}, {"error", std::strerror(reason)}});
}

LineLog::LineLog(int descriptor, Format format) : format_(format), descriptor_(descriptor) { start(); }

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

void LineLog::write(const LogEvent& event) {
  fmt::memory_buffer body;
  if (format_ == Format::json) put_json(body, event);
  else put_text(body, event);
  const int64_t now = utc_milliseconds();
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + body.size() + k_head_bytes_max > k_buffer_bytes) {
      ++dropped_;
      if (drops_ != nullptr) drops_->add(1);
      return;
    }
    wake = waiting_.empty();
    put_line(waiting_, now, event.level, {body.data(), body.size()});
  }
  if (wake) news_.notify_one();
}

// With the mutex held: the date is written once a second.
void LineLog::put_line(std::string& out, int64_t utc_ms, LogLevel level, std::string_view body) {
  if (const time_t second = utc_ms / 1000; second != second_) {
    second_ = second;
    tm parts{};
    gmtime_r(&second, &parts);
    fmt::format_to_n(date_, sizeof(date_), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  const auto ms = static_cast<int>(utc_ms % 1000);
  const char fraction[] = {'.', static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10),
                           static_cast<char>('0' + ms % 10), 'Z'};
  if (format_ == Format::json) out += "{\"time\":\"";
  out.append(date_, k_date_bytes).append(fraction, sizeof(fraction));
  out += format_ == Format::json ? "\",\"level\":\"" : " ";
  out += name_of(level);
  out += format_ == Format::json ? "\"," : " ";
  out += body;
  out += format_ == Format::json ? "}\n" : "\n";
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
    if (dropped > 0) {
      fmt::memory_buffer body;
      const LogField fields[] = {{"lines", dropped}};
      const LogEvent event{.level = LogLevel::warning, .text = "log: lines were dropped: the disk was too slow", .fields = fields};
      if (format_ == Format::json) put_json(body, event);
      else put_text(body, event);
      put_line(taken, utc_milliseconds(), event.level, {body.data(), body.size()});
    }
    lock.unlock();
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
