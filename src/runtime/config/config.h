// The settings of one process: flat typed keys, each declared with default, limits and help by the
// room that owns it. A value comes from, in rising order: the default, one TOML file, the
// environment (web.port is HONGYAN_WEB_PORT), the command line. Unknown keys, wrong types and
// values out of range are errors that name the place and what would be right; all of them are
// reported at once. Never a secret: those stand in files of their own.
//
// Declare everything, load once, then read; reading an undeclared key or with another type is a
// CHECK. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace hongyan::runtime {

struct ConfigSources {
  std::string file_name = {};                           // For messages.
  std::string file_text = {};                           // TOML; empty when there is no file.
  std::map<std::string, std::string> environment = {};  // Only HONGYAN_* is looked at.
  std::vector<std::pair<std::string, std::string>> command_line =
      {};  // {"web.port", "8080"}; the last one counts.
};

class Config {
 public:
  using Value = std::variant<bool, int64_t, double, std::string>;

  // A key is words of [a-z0-9_] joined by dots. Limits are inclusive.
  void declare(std::string_view key, int64_t value, std::string_view help, int64_t min,
               int64_t max);
  void declare(std::string_view key, int value, std::string_view help, int64_t min, int64_t max) {
    declare(key, int64_t{value}, help, min, max);
  }
  void declare(std::string_view key, double value, std::string_view help, double min, double max);
  void declare(std::string_view key, bool value, std::string_view help);
  void declare(std::string_view key, const char* value, std::string_view help) {
    declare(key, std::string(value), help);
  }
  void declare(std::string_view key, const std::string& value, std::string_view help);
  // A string that is one of `choices`.
  void declare_choice(std::string_view key, std::string_view value, std::string_view help,
                      std::vector<std::string> choices);

  // Code::invalid with one line for each mistake; nothing of `sources` holds then.
  Status load(const ConfigSources& sources);

  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  bool flag(std::string_view key) const;
  const std::string& text(std::string_view key) const;

  // All keys with value, default, origin, limits and help: valid TOML, so it also serves as a first
  // file.
  std::string describe() const;

 private:
  struct Setting {
    Value value;
    Value standard;
    std::string help = {};
    double min = 0;  // Of numbers. Integers up to 2^53 are exact; wider limits mean "any".
    double max = 0;
    std::vector<std::string> choices = {};
    std::string origin = {};  // Empty: the default.
  };
  using Settings = std::map<std::string, Setting, std::less<>>;

  void add(std::string_view key, Setting setting);
  const Setting& find(std::string_view key) const;

  Settings settings_;
  std::map<std::string, std::string> by_variable_;  // HONGYAN_WEB_PORT -> web.port

  friend class ConfigLoader;
};

}  // namespace hongyan::runtime
