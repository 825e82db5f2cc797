// Any bytes as the settings of a process: the first byte says how many of the others are the file,
// the rest is the value of every variable and command line. What is refused changes nothing; what
// is taken describes itself as a file that gives the same values.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "runtime/config/config.h"

namespace hongyan::runtime {
namespace {

Config declared() {
  Config config;
  config.declare("web.port", 8080, "A port", 0, 65535);
  config.declare("web.any", int64_t{0}, "Any number", INT64_MIN, INT64_MAX);
  config.declare("rate.share", 0.5, "A share", 0.0, 1.0);
  config.declare("rate.factor", 1.5, "Any factor", -1e300, 1e300);
  config.declare("log.quiet", false, "A flag");
  config.declare("data.directory", "data", "A text\nof two lines");
  config.declare_choice("data.engine", "rocksdb", "A choice", {"rocksdb", "log"});
  return config;
}

// Without the comments, which also say where a value is from.
std::string values_of(const Config& config) {
  std::string out;
  const std::string all = config.describe();
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at);
    CHECK(end != std::string::npos);
    if (all[at] != '#') out.append(all, at, end + 1 - at);
    at = end + 1;
  }
  return out;
}

void check(const ConfigSources& sources) {
  Config config = declared();
  const std::string before = values_of(config);
  const Status status = config.load(sources);
  if (!status.ok()) {
    CHECK(status.code() == Code::invalid && !status.detail().empty());
    CHECK(values_of(config) == before);
    return;
  }
  CHECK(config.integer("web.port") >= 0 && config.integer("web.port") <= 65535);
  CHECK(config.number("rate.share") >= 0 && config.number("rate.share") <= 1);
  CHECK(config.text("data.engine") == "rocksdb" || config.text("data.engine") == "log");
  Config again = declared();
  CHECK(again.load({.file_text = config.describe()}).ok());
  CHECK(values_of(again) == values_of(config));
}

}  // namespace
}  // namespace hongyan::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::runtime;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string file(bytes.substr(0, data[0] == 255 ? bytes.size() : data[0]));
  const std::string rest(bytes.substr(file.size()));
  check({.file_name = "config.toml", .file_text = file});
  for (const char* variable :
       {"HONGYAN_WEB_PORT", "HONGYAN_WEB_ANY", "HONGYAN_RATE_SHARE", "HONGYAN_RATE_FACTOR",
        "HONGYAN_LOG_QUIET", "HONGYAN_DATA_DIRECTORY", "HONGYAN_DATA_ENGINE"}) {
    check({.environment = {{variable, rest}}});
  }
  check({.environment = {{"HONGYAN_" + rest, "1"}}});
  check({.file_text = file, .command_line = {{rest, "1"}, {"data.directory", rest}}});
  return 0;
}
