// The structured log: one line an event, `time level room: text key=value ... uin=7 trace=<32 hex digits>`. Never a
// secret, a password, a ticket or the content of a message. Any thread; nobody who logs waits.
//
//   log.info("store: opened {} in {} ms", path, ms);                                  text
//   log.warning("rpc: closed", {{"peer", peer}, {"calls", 7}});                       text and fields
//   log.error(call, "entry: foreign code", {{"code", code}});                         of a call: its uin and trace too
//
// The text of a line with fields is a literal, so that lines of one kind are found by it; what varies stands in the
// fields. Whose call it is, and of what trace, is in the Call and nowhere else: who speaks of a call hands it in. A line
// whose level is off costs a load and a branch; arguments are evaluated, so they should be at hand.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

#include "runtime/call.h"

namespace hongyan::runtime {

enum class LogLevel : int { debug, info, warning, error };
std::string_view name_of(LogLevel level);

// Views: it ends with the line.
struct LogField {
  template <std::integral T>
  LogField(std::string_view its_key, T number) : key(its_key) {  // NOLINT: fields read as a list.
    if constexpr (std::same_as<T, bool>) value = number;
    else if constexpr (std::signed_integral<T>) value = static_cast<int64_t>(number);
    else value = static_cast<uint64_t>(number);
  }
  LogField(std::string_view its_key, double number) : key(its_key), value(number) {}
  LogField(std::string_view its_key, std::string_view text) : key(its_key), value(text) {}
  LogField(std::string_view its_key, const char* text) : key(its_key), value(std::string_view(text)) {}
  LogField(std::string_view its_key, const std::string& text) : key(its_key), value(std::string_view(text)) {}

  std::string_view key;  // A word: letters, digits, '_'.
  std::variant<std::string_view, int64_t, uint64_t, double, bool> value;
};
using LogFields = std::initializer_list<LogField>;

struct LogEvent {
  LogLevel level = LogLevel::info;
  std::string_view text;
  std::span<const LogField> fields = {};
  const Call* call = nullptr;
};

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(const LogEvent& event) = 0;
  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  LogLevel level() const { return level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(LogLevel::debug)) write_formatted(LogLevel::debug, format, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(LogLevel::info)) write_formatted(LogLevel::info, format, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(LogLevel::warning)) write_formatted(LogLevel::warning, format, fmt::make_format_args(args...));
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled(LogLevel::error)) write_formatted(LogLevel::error, format, fmt::make_format_args(args...));
  }

  void debug(std::string_view text, LogFields fields) { at(LogLevel::debug, nullptr, text, fields); }
  void info(std::string_view text, LogFields fields) { at(LogLevel::info, nullptr, text, fields); }
  void warning(std::string_view text, LogFields fields) { at(LogLevel::warning, nullptr, text, fields); }
  void error(std::string_view text, LogFields fields) { at(LogLevel::error, nullptr, text, fields); }

  void debug(const Call& call, std::string_view text, LogFields fields = {}) { at(LogLevel::debug, &call, text, fields); }
  void info(const Call& call, std::string_view text, LogFields fields = {}) { at(LogLevel::info, &call, text, fields); }
  void warning(const Call& call, std::string_view text, LogFields fields = {}) { at(LogLevel::warning, &call, text, fields); }
  void error(const Call& call, std::string_view text, LogFields fields = {}) { at(LogLevel::error, &call, text, fields); }

 private:
  void at(LogLevel level, const Call* call, std::string_view text, LogFields fields) {
    if (enabled(level)) write({.level = level, .text = text, .fields = {fields.begin(), fields.size()}, .call = call});
  }
  void write_formatted(LogLevel level, fmt::string_view format, fmt::format_args args);
  std::atomic<LogLevel> level_{LogLevel::info};
};

// `text key=value ... uin=7 trace=...`: control characters as \xNN, so that nobody forges a line; a value that is not
// one word in quotes; too long ones cut.
void put_text(fmt::memory_buffer& out, const LogEvent& event);
// The members of a JSON object, without its braces: "text":"...", the fields, "uin", "trace". Valid UTF-8 whatever comes.
void put_json(fmt::memory_buffer& out, const LogEvent& event);

}  // namespace hongyan::runtime
