#include "process/observing.h"

#include <fmt/format.h>

#include "process/settings.h"
#include "runtime/log/log.h"
#include "runtime/os/shared_counters.h"
#include "runtime/trace/tracer.h"

namespace hongyan::process {
namespace {

constexpr double k_million = 1'000'000;

runtime::LogLevel log_level(const std::string& level) {
  for (const auto one : {runtime::LogLevel::debug, runtime::LogLevel::warning, runtime::LogLevel::error}) {
    if (level == runtime::name_of(one)) return one;
  }
  return runtime::LogLevel::info;
}

}  // namespace

std::unique_ptr<Env> make_observed_env(const runtime::Config& config, const std::string& home, runtime::Inherited inherited) {
  auto env = runtime::make_os_env({.pool_threads = 2,
                                   .log_path = config.text("log.file"),
                                   .log_json = config.text("log.format") == "json",
                                   .counters_path = runtime::counters_path(config.text("counters.file"), home),
                                   .inherited = std::move(inherited),
                                   .io = runtime::loop_io(config.text("runtime.io")),
                                   .files = runtime::file_io(config.text("runtime.files")),
                                   .spin = config.text("runtime.spin") != "never"});
  runtime::stop_on_signals(*env);
  env->log().set_level(log_level(config.text("log.level")));
  env->scheduler().set_parking(park_after(config));
  return env;
}

Result<std::unique_ptr<runtime::SpanFile>> make_traces(Env& env, const runtime::Config& config, std::string program,
                                                        std::optional<size_t> part) {
  env.tracer().set_share(static_cast<double>(config.integer("trace.per_million")) / k_million);
  const std::string& directory = config.text("trace.directory");
  if (directory.empty()) return std::unique_ptr<runtime::SpanFile>();
  TRY(env.disk().make_directories(directory));
  const std::string path = directory + "/" + program + (part ? fmt::format("-{}", *part) : "") + ".jsonl";
  return std::make_unique<runtime::SpanFile>(
      env, runtime::SpanFileOptions{.path = path,
                                    .source = {.service = std::move(program), .version = HONGYAN_VERSION, .process = runtime::process_id()},
                                    .bytes_max = static_cast<uint64_t>(config.integer("trace.file_mib")) << 20});
}

}  // namespace hongyan::process
