#include "runtime/os/line_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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
  if (path.empty()) return;
  const int opened = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (opened >= 0) {
    descriptor_ = opened;
  } else {
    error("log: cannot open {}: {}; logging to stderr", path, std::strerror(errno));
  }
}

LineLog::~LineLog() {
  if (descriptor_ != 2) close(descriptor_);
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
  // A full disk loses lines; the service goes on.
  while (::write(descriptor_, out.data(), out.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace hongyan::runtime
