// The structured log: one line an event, `time level room: text key=value ...`. Never a secret, a
// password, a ticket or the content of a message. Any thread.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <string_view>

namespace hongyan::runtime {

enum class LogLevel : int { debug, info, warning, error };

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view line) = 0;
  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    at(LogLevel::info, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    at(LogLevel::warning, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    at(LogLevel::error, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    at(LogLevel::debug, format, std::forward<Args>(args)...);
  }

 private:
  template <typename... Args>
  void at(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
  }
  std::atomic<LogLevel> level_{LogLevel::info};
};

}  // namespace hongyan::runtime
