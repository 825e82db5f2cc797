#include "runtime/config/config.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/check.h"
#include "base/utf8.h"

namespace hongyan::runtime {
namespace {

// A configuration file is a page; what is larger is another file.
constexpr size_t k_file_bytes_max = 1 << 20;
// Beyond these a report helps nobody.
constexpr size_t k_mistakes_max = 50;
constexpr std::string_view k_prefix = "HONGYAN_";

std::string variable_of(std::string_view key) {
  std::string name(k_prefix);
  for (const char c : key)
    name.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '.' ? '_' : c);
  return name;
}

bool well_formed(std::string_view key) {
  char before = '.';
  for (const char c : key) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!word && (c != '.' || before == '.')) return false;
    before = c;
  }
  return !key.empty() && before != '.';
}

// Single-character edits between two words (Levenshtein), of which the second is bounded by the
// declarations.
size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

// Text from the environment or the command line, as the type of `like`.
std::optional<Config::Value> parse_like(const Config::Value& like, const std::string& text) {
  const auto lifted = [](auto parsed) -> std::optional<Config::Value> {
    if (!parsed) return std::nullopt;
    return Config::Value(*parsed);
  };
  if (std::holds_alternative<std::string>(like)) return Config::Value(text);
  if (std::holds_alternative<int64_t>(like)) return lifted(parse_number<int64_t>(text));
  if (std::holds_alternative<double>(like)) return lifted(parse_number<double>(text));
  if (text == "true" || text == "1") return Config::Value(true);
  if (text == "false" || text == "0") return Config::Value(false);
  return std::nullopt;
}

// A node of the file, as the type of `like`. An integer serves where a number is wanted, nothing
// else is converted.
std::optional<Config::Value> node_like(const Config::Value& like, const toml::node& node) {
  if (std::holds_alternative<std::string>(like) && node.is_string())
    return Config::Value(**node.as_string());
  if (std::holds_alternative<int64_t>(like) && node.is_integer())
    return Config::Value(**node.as_integer());
  if (std::holds_alternative<bool>(like) && node.is_boolean())
    return Config::Value(**node.as_boolean());
  if (!std::holds_alternative<double>(like)) return std::nullopt;
  if (node.is_integer()) return Config::Value(static_cast<double>(**node.as_integer()));
  if (node.is_floating_point()) return Config::Value(**node.as_floating_point());
  return std::nullopt;
}

std::string_view type_of(const Config::Value& value) {
  static constexpr std::string_view k_names[] = {"true or false", "a whole number", "a number",
                                                 "a string"};
  return k_names[value.index()];
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out.push_back('\\');
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04X}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
  return out;
}

std::string written(const Config::Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) {
    std::string text =
        fmt::format("{}", *number);  // TOML wants a point or an exponent, inf and nan are refused.
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  return quoted(std::get<std::string>(value));
}

}  // namespace

// Loads into a copy, so that a refused load changes nothing.
class ConfigLoader {
 public:
  explicit ConfigLoader(const Config& config) : config_(config), settings_(config.settings_) {}

  void take_file(const std::string& name, const std::string& text) {
    file_name_ = name.empty() ? "config" : name;
    if (text.size() > k_file_bytes_max) return mistake(file_name_, "longer than 1 MiB");
    try {
      take_table("", toml::parse(text));
    } catch (const toml::parse_error& error) {
      mistake(place(error.source()), std::string(error.description()));
    }
  }

  void take_environment(const std::map<std::string, std::string>& variables) {
    for (const auto& [name, text] : variables) {
      if (!name.starts_with(k_prefix)) continue;
      const auto known = config_.by_variable_.find(name);
      if (known == config_.by_variable_.end()) {
        mistake("environment", name + " is no setting" + nearest_variable(name));
      } else {
        take_text("environment " + name, known->second, text);
      }
    }
  }

  void take_command_line(const std::vector<std::pair<std::string, std::string>>& pairs) {
    for (const auto& [key, text] : pairs) {
      if (!settings_.contains(key)) {
        mistake("command line", key + " is no setting" + nearest_key(key));
      } else {
        take_text("command line", key, text);
      }
    }
  }

  Result<Config::Settings> finish() {
    if (mistakes_.empty()) return std::move(settings_);
    std::string all;
    const size_t shown = std::min(mistakes_.size(), k_mistakes_max);
    for (size_t i = 0; i < shown; ++i) all += (i == 0 ? "" : "\n") + mistakes_[i];
    if (shown < mistakes_.size()) all += fmt::format("\nand {} more", mistakes_.size() - shown);
    return Status(Code::invalid, all);
  }

 private:
  void mistake(const std::string& where, const std::string& what) {
    mistakes_.push_back(where + ": " + what);
  }

  std::string place(const toml::source_region& source) const {
    return fmt::format("{}:{}", file_name_, static_cast<int64_t>(source.begin.line));
  }

  // toml++ limits nesting itself.
  void take_table(const std::string& prefix, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const std::string key =
          prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
      const auto known = settings_.find(key);
      if (known == settings_.end() && node.is_table()) {
        take_table(key, *node.as_table());
      } else if (known == settings_.end()) {
        mistake(place(node.source()), key + " is no setting" + nearest_key(key));
      } else {
        set(place(node.source()), known->first, known->second,
            node_like(known->second.value, node));
      }
    }
  }

  void take_text(const std::string& where, const std::string& key, const std::string& text) {
    Config::Setting& setting = settings_.find(key)->second;
    set(where, key, setting, parse_like(setting.value, text));
  }

  void set(const std::string& where, const std::string& key, Config::Setting& setting,
           const std::optional<Config::Value>& value) {
    if (!value) return mistake(where, fmt::format("{} must be {}", key, type_of(setting.value)));
    // A file could not say it, so describe() could not either.
    if (const auto* text = std::get_if<std::string>(&*value); text != nullptr && !is_utf8(*text))
      return mistake(where, key + " is not UTF-8");
    if (const std::string wrong = outside_limits(setting, *value); !wrong.empty()) {
      return mistake(where, key + " " + wrong);
    }
    setting.value = *value;
    setting.origin = where;
  }

  static std::string outside_limits(const Config::Setting& setting, const Config::Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      const auto& choices = setting.choices;
      if (choices.empty() || std::find(choices.begin(), choices.end(), *text) != choices.end())
        return "";
      return fmt::format("is {}, must be one of: {}", quoted(*text), fmt::join(choices, ", "));
    }
    if (std::holds_alternative<bool>(value)) return "";
    const bool whole = std::holds_alternative<int64_t>(value);
    const double number =
        whole ? static_cast<double>(std::get<int64_t>(value)) : std::get<double>(value);
    if (number >= setting.min && number <= setting.max) return "";  // Refuses NaN too.
    return fmt::format("is {}, must be from {} to {}", written(value), setting.min, setting.max);
  }

  std::string nearest_key(const std::string& wrong) const {
    std::vector<std::string> keys;
    for (const auto& [key, setting] : settings_) keys.push_back(key);
    return nearest(wrong, keys);
  }

  std::string nearest_variable(const std::string& wrong) const {
    std::vector<std::string> names;
    for (const auto& [name, key] : config_.by_variable_) names.push_back(name);
    return nearest(wrong, names);
  }

  static std::string nearest(const std::string& wrong, const std::vector<std::string>& known) {
    if (wrong.size() > 100) return "";  // The comparison is quadratic.
    std::string best;
    size_t best_edits = 1 + std::max<size_t>(2, wrong.size() / 4);
    for (const std::string& candidate : known) {
      const size_t edits = edits_between(wrong, candidate);
      if (edits < best_edits) {
        best_edits = edits;
        best = candidate;
      }
    }
    return best.empty() ? "" : "; did you mean " + best + "?";
  }

  const Config& config_;
  Config::Settings settings_;
  std::string file_name_;
  std::vector<std::string> mistakes_;
};

void Config::declare(std::string_view key, int64_t value, std::string_view help, int64_t min,
                     int64_t max) {
  CHECK(min <= value && value <= max);
  add(key, Setting{.value = value,
                   .standard = value,
                   .help = std::string(help),
                   .min = static_cast<double>(min),
                   .max = static_cast<double>(max)});
}

void Config::declare(std::string_view key, double value, std::string_view help, double min,
                     double max) {
  CHECK(min <= value && value <= max);
  add(key,
      Setting{
          .value = value, .standard = value, .help = std::string(help), .min = min, .max = max});
}

void Config::declare(std::string_view key, bool value, std::string_view help) {
  add(key, Setting{.value = value, .standard = value, .help = std::string(help)});
}

void Config::declare(std::string_view key, const std::string& value, std::string_view help) {
  add(key, Setting{.value = value, .standard = value, .help = std::string(help)});
}

void Config::declare_choice(std::string_view key, std::string_view value, std::string_view help,
                            std::vector<std::string> choices) {
  CHECK(std::find(choices.begin(), choices.end(), value) != choices.end());
  add(key, Setting{.value = std::string(value),
                   .standard = std::string(value),
                   .help = std::string(help),
                   .choices = std::move(choices)});
}

void Config::add(std::string_view key, Setting setting) {
  CHECK(well_formed(key));
  const bool declared_once = settings_.emplace(key, std::move(setting)).second;
  CHECK(declared_once);
  const bool variable_is_unique = by_variable_.emplace(variable_of(key), key).second;
  CHECK(variable_is_unique);
}

const Config::Setting& Config::find(std::string_view key) const {
  const auto found = settings_.find(key);
  const bool declared = found != settings_.end();
  CHECK(declared);
  return found->second;
}

Status Config::load(const ConfigSources& sources) {
  ConfigLoader loader(*this);
  loader.take_file(sources.file_name, sources.file_text);
  loader.take_environment(sources.environment);
  loader.take_command_line(sources.command_line);
  settings_ = TRY(loader.finish());
  return {};
}

int64_t Config::integer(std::string_view key) const { return std::get<int64_t>(find(key).value); }
double Config::number(std::string_view key) const { return std::get<double>(find(key).value); }
bool Config::flag(std::string_view key) const { return std::get<bool>(find(key).value); }
const std::string& Config::text(std::string_view key) const {
  return std::get<std::string>(find(key).value);
}

std::string Config::describe() const {
  std::string out;
  auto write = std::back_inserter(out);
  for (const auto& [key, setting] : settings_) {
    std::istringstream lines(setting.help);
    for (std::string line; std::getline(lines, line);) fmt::format_to(write, "# {}\n", line);
    std::string limits;
    if (!setting.choices.empty()) {
      limits = fmt::format("; one of: {}", fmt::join(setting.choices, ", "));
    } else if (setting.min < setting.max) {
      limits = fmt::format("; from {} to {}", setting.min, setting.max);
    }
    fmt::format_to(write, "# default {}{}; {}\n", written(setting.standard), limits,
                   variable_of(key));
    if (!setting.origin.empty()) fmt::format_to(write, "# set by {}\n", setting.origin);
    fmt::format_to(write, "{} = {}\n\n", key, written(setting.value));
  }
  return out;
}

}  // namespace hongyan::runtime
