// The command line of a service's executable.
#include <CLI/CLI.hpp>

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdio>

#include "process/caller.h"
#include "process/observing.h"
#include "process/process.h"
#include "runtime/coro/run.h"
#include "runtime/os/os_env.h"
#include "runtime/os/worker_master.h"

namespace hongyan::process {

namespace {

constexpr size_t k_file_bytes_max = 1024 * 1024;
constexpr auto k_drain_limit = std::chrono::seconds(10);

void say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

int fail(const std::string& program, const std::string& text, int status = 1) {
  std::fputs((program + ": " + text + "\n").c_str(), stderr);
  return status;
}

// How many a service runs as; 0: it is one process without a master.
size_t workers_of(const runtime::Config& config, const ServiceSpec& spec) {
  switch (spec.workers) {
    case Workers::none: return 0;
    case Workers::shared: return static_cast<size_t>(config.integer("workers.count"));
    case Workers::own: return static_cast<size_t>(config.integer("workers.data_count"));
  }
  return 0;
}

// Which of the workers that run at the same time; null of a process without a master.
std::optional<size_t> part_of(const runtime::Inherited& inherited) {
  if (inherited.board != nullptr) return inherited.board->own();
  if (inherited.share.count > 1) return inherited.share.index;
  return std::nullopt;
}

// Kept alive by a master that holds the sockets.
int serve_by_workers(const std::string& program, const runtime::Config& config, const ProcessOptions& options,
                     std::vector<std::string> command) {
  const auto address = options.listen.empty() ? listen_address(config, options.spec.name) : options.listen;
  if (!address.ok()) return fail(program, address.status().detail());
  const size_t workers = workers_of(config, options.spec);
  const bool own = options.spec.workers == Workers::own;
  if (own && workers > 1 && options.announce.empty() && options.listen.empty()) {
    return fail(program, "services." + std::string(options.spec.name) + " names one address for " + std::to_string(workers) +
                             " workers: use --listen for the first one's, and a list there");
  }
  return runtime::run_worker_master(
      {.command = std::move(command),
       .name = std::string(options.spec.name),
       .addresses = {*address},
       .sockets = own ? runtime::WorkerSockets::own : runtime::WorkerSockets::shared,
       .rules = {.workers = workers,
                 .restart_every = std::chrono::minutes(config.integer("workers.restart_minutes")),
                 .memory_max_bytes = static_cast<uint64_t>(config.integer("workers.memory_max_mib")) << 20},
       .announce = options.announce});
}

int serve(const std::string& program, const runtime::Config& config, ProcessOptions options, runtime::Inherited inherited,
          const std::function<Status(Process&)>& make) {
  auto settings = room_settings(config);
  if (!settings.ok()) return fail(program, settings.status().detail());
  // Services of one machine differ by program and key file.
  const auto part = part_of(inherited);
  const auto env = make_observed_env(config, (options.spec.keys.empty() ? options.config_file : options.keys_file) + "/" + program,
                                     std::move(inherited));
  auto secrets = options.spec.keys.empty() ? Result<Secrets>(Secrets())
                                           : Secrets::load(*env, options.keys_file, options.spec.keys);
  if (!secrets.ok()) return fail(program, secrets.status().detail());
  auto tls = InternalTls::load(*env, config, options.spec.name);
  if (!tls.ok()) return fail(program, tls.status().detail());
  Process process(*env, config, std::move(*settings), std::move(*secrets), std::move(*tls), std::move(options));
  // Stores recover on the thread's own stack, before the loop runs.
  Status status = make(process);
  if (!status.ok()) return fail(program, status.detail());
  auto traces = make_traces(*env, config, program, part);
  if (!traces.ok()) return fail(program, "trace.directory: " + traces.status().detail());
  const auto spans = std::move(*traces);
  runtime::run_to_end(env->scheduler(), "start", [&] {
    if (spans != nullptr) spans->start();
    status = process.start();
  });
  if (status.ok()) {
    say(process.ready_line());
    env->scheduler().run();
  }
  runtime::run_to_end(env->scheduler(), "stop", [&] {
    Call call = runtime::background_call(*env, k_drain_limit);
    process.stop(call);
    if (spans != nullptr) spans->stop();
  });
  if (!status.ok()) return fail(program, status.detail());
  say("stopped");
  return 0;
}

}  // namespace

int run(int argc, char** argv, std::string_view service, const std::function<Status(Process&)>& make) {
  const auto spec = find_service(service);
  CHECK(spec.has_value());
  std::string program = "hongyan-" + std::string(service);
  std::ranges::replace(program, '_', '-');
  ProcessOptions options;
  options.spec = *spec;
  options.keys_file = std::string(service) + ".keys";
  bool check_config = false;
  CLI::App app{"Hongyan's service " + std::string(service) + " as a process of its own"};
  app.set_version_flag("--version", HONGYAN_VERSION);
  app.add_option("--config", options.config_file, "TOML file with settings; every key is also HONGYAN_<KEY>");
  if (!spec->keys.empty()) {
    app.add_option("--keys", options.keys_file, "Its keys, written by hongyan-server keys")->capture_default_str();
  }
  app.add_option("--listen", options.listen, "Address to listen on, when it is not the one others reach it at");
  if (service == "store") app.add_option("--data", options.data, "Data directory, as hongyan-server's")->required();
  app.add_option("--announce", options.announce,
                 "File that its addresses are written to, one a line: what services.NAME = \"file://...\" of the others reads");
  app.add_flag("--check-config", check_config, "Print every setting with value and origin, then end");
  const auto endpoint = find_endpoint(service);
  CLI::App* list = endpoint ? app.add_subcommand("list", "Its methods, with their policies") : nullptr;
  CLI::App* call = endpoint ? app.add_subcommand("call", "Call a method of a running one: METHOD [--FIELD VALUE ...] [JSON]") : nullptr;
  if (call != nullptr) call->prefix_command();
  if (call != nullptr && service == "store") app.get_option("--data")->required(false);
  CLI11_PARSE(app, argc, argv);

  runtime::set_private_umask();
  google::protobuf::SetLogHandler(nullptr);  // It would write a line for every broken message of a stranger.
  runtime::Config config;
  declare_settings(config);
  declare_endpoints(config);
  declare_internal_tls(config);
  auto reading = runtime::make_os_env({});
  runtime::ConfigSources sources{.environment = runtime::environment_variables()};
  const auto worker = sources.environment.extract(runtime::k_worker_variable);  // No setting.
  if (!options.config_file.empty()) {
    sources.file_name = options.config_file;
    auto file = reading->disk().open(options.config_file, runtime::OpenMode::read);
    if (!file.ok()) return fail(program, options.config_file + ": " + file.status().detail(), 2);
    auto text = (*file)->read_at(0, k_file_bytes_max);
    if (!text.ok()) return fail(program, options.config_file + ": " + text.status().detail(), 2);
    sources.file_text = std::move(*text);
  }
  if (const Status loaded = config.load(sources); !loaded.ok()) return fail(program, loaded.detail(), 2);
  if (check_config) {
    std::fputs(config.describe().c_str(), stdout);
    return 0;
  }
  if (list != nullptr && list->parsed()) {
    say(describe_methods(*endpoint));
    return 0;
  }
  if (call != nullptr && call->parsed()) {
    const auto tls = InternalTls::load(*reading, config, service);
    if (!tls.ok()) return fail(program, tls.status().detail());
    const CallerOptions caller{.address = config.text("services." + std::string(service)),
                               .tls = tls->client(*reading, service),
                               .keys_file = endpoint->audience.empty() ? "" : options.keys_file};
    return call_from_words(*reading, caller, *endpoint, call->remaining());
  }
  if (service == "store" && options.data.empty()) return fail(program, "--data is required", 2);
  if (!worker.empty()) {
    auto inherited = runtime::parse_inherited(worker.mapped());
    if (!inherited.ok()) return fail(program, inherited.status().detail());
    options.share = inherited->share;
    options.announce.clear();  // The master says where all are.
    return serve(program, config, std::move(options), std::move(*inherited), make);
  }
  if (workers_of(config, *spec) == 0) return serve(program, config, std::move(options), {}, make);
  reading.reset();  // And its threads.
  return serve_by_workers(program, config, options, runtime::own_command(argc, argv));
}

}  // namespace hongyan::process
