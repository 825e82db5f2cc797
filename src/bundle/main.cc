// hongyan-server: the whole backend in one process. `hongyan-server --data DIR` serves until SIGTERM or SIGINT.
// `hongyan-server keys --data DIR --to DIR2` writes the key files of services that run as processes of their own,
// `certificates` likewise what TLS between them needs (process/internal_tls.h).
// `hongyan-server backup --data DIR --to DIR2` and `restore --from DIR2 --data DIR` copy a data directory (backup.h).
// Exit status: 0 a clean stop, 1 it failed, 2 wrong usage.
#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdio>
#include <functional>

#include "base/bytes.h"
#include "bundle/backup.h"
#include "bundle/bundle.h"
#include "bundle/demo.h"
#include "process/internal_tls.h"
#include "process/secrets.h"
#include "process/services.h"
#include "process/settings.h"
#include "runtime/config/config.h"
#include "runtime/coro/run.h"
#include "runtime/log/log.h"
#include "runtime/os/os_env.h"
#include "runtime/os/shared_counters.h"
#include "runtime/tls/tls.h"
#include "store/engine/open.h"

namespace hongyan::bundle {
namespace {

constexpr size_t k_file_bytes_max = 1024 * 1024;  // Of a configuration or a certificate.

constexpr size_t k_tool_cache_bytes = 16 * 1024 * 1024;  // A copy reads each block once.

struct Options {
  std::string data = "data";
  std::string config_file;
  bool check_config = false;
  bool demo = false;
  std::vector<std::pair<std::string, std::string>> settings;
};

void say(const std::string& text) {
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

int fail(const std::string& text) {
  std::fputs(("hongyan-server: " + text + "\n").c_str(), stderr);
  return 1;
}

Result<std::string> read_file(Env& env, const std::string& path) {
  auto file = TRY(env.disk().open(path, runtime::OpenMode::read));
  return file->read_at(0, k_file_bytes_max);
}

Status write_file(Env& env, const std::string& path, std::string_view content) {
  auto file = TRY(env.disk().open(path + ".new", runtime::OpenMode::create));
  TRY(file->append(content));
  TRY(file->sync());
  return env.disk().rename(path + ".new", path);
}

Result<runtime::Config> load_config(Env& env, const Options& options) {
  runtime::Config config;
  process::declare_settings(config);
  runtime::ConfigSources sources;
  sources.environment = runtime::environment_variables();
  sources.command_line = options.settings;
  if (!options.config_file.empty()) {
    sources.file_name = options.config_file;
    sources.file_text = TRY(read_file(env, options.config_file));
  }
  TRY(config.load(sources));
  return config;
}

// Anything but loopback is TLS: with the operator's certificate, or one that is made once and kept.
Status load_tls(Env& env, const runtime::Config& config, const std::string& data, BundleConfig& bundle) {
  const bool own = !config.text("tls.certificate").empty();
  const bool web = own || !process::is_loopback(config.text("web.listen"));
  const bool long_link = own || !process::is_loopback(process::long_link_host(config));
  if (!web && !long_link) return {};
  runtime::TlsIdentity identity;
  const std::string certificate = own ? config.text("tls.certificate") : data + "/tls-certificate.pem";
  const std::string key = own ? config.text("tls.key") : data + "/tls-key.pem";
  if (!own && !env.disk().exists(certificate)) {
    identity = TRY(runtime::make_self_signed(web ? bundle.web.address : bundle.long_link.address, env.utc_ms()));
    TRY(write_file(env, key, identity.key_pem));
    TRY(write_file(env, certificate, identity.certificate_pem));
  } else {
    identity.certificate_pem = TRY(read_file(env, certificate));
    identity.key_pem = TRY(read_file(env, key));
  }
  say("TLS certificate fingerprint (SHA-256): " + TRY(runtime::certificate_fingerprint(identity.certificate_pem)));
  const std::shared_ptr<runtime::TlsServer> tls = TRY(runtime::make_tls_server(identity));
  if (web) bundle.web_tls = tls;
  if (long_link) bundle.long_link_tls = tls;
  return {};
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out.push_back(c);
  }
  return out + "\"";
}

// What tools need to find this server; outlives a crash, so readers check the pid.
Status announce(Env& env, const std::string& data, const Bundle& bundle) {
  const std::string web = bundle.web_url();
  std::string fields = fmt::format("\"web\":{},\"long_link\":{},\"server_api\":{},\"data\":{}", json_text(web),
                                   json_text(bundle.long_link_address()), json_text("http://" + bundle.server_api_address()), json_text(data));
  if (const std::string sealed = bundle.sealed_link_address(); !sealed.empty()) fields += fmt::format(",\"sealed_link\":{}", json_text(sealed));
  TRY(write_file(env, data + "/server.json", fmt::format("{{\"pid\":{},{}}}\n", runtime::process_id(), fields)));
  say(fmt::format("\nHongyan {} is ready.\n  Open  {}\n  Data  {}\n  Stop  Ctrl-C, or ./hongyan down\n", HONGYAN_VERSION, web, data));
  say("ready {" + fields + "}");
  return {};
}

Result<std::unique_ptr<store::OpenStore>> open_data(Env& env, const std::string& data, size_t cache_bytes) {
  store::OpenOptions open;
  open.directory = data + "/store";
  open.tables = tables();
  open.rocks.block_cache_bytes = cache_bytes;
  return store::open_store(env, std::move(open));
}

int serve(Env& env, const runtime::Config& config, const Options& options) {
  const Status made = env.disk().make_directories(options.data);
  if (!made.ok()) return fail(options.data + ": " + made.detail());
  auto opened = open_data(env, options.data, static_cast<size_t>(config.integer("store.cache_mib")) << 20);
  if (!opened.ok()) return fail(opened.status().detail());
  const Result<Secrets> secrets = Secrets::load_or_create(env, options.data);
  if (!secrets.ok()) return fail(secrets.status().detail());
  auto settings = process::room_settings(config);
  if (!settings.ok()) return fail(settings.status().detail());
  BundleConfig bundle_config;
  bundle_config.about = {.program = "hongyan-server", .version = HONGYAN_VERSION, .process = runtime::process_id()};
  static_cast<process::RoomSettings&>(bundle_config) = std::move(*settings);
  if (const Status tls = load_tls(env, config, options.data, bundle_config); !tls.ok()) return fail(tls.detail());
  if (!config.text("web.root").empty()) {
    auto site = access::load_site(env.disk(), config.text("web.root"));
    if (!site.ok()) return fail("web.root: " + site.status().detail());
    bundle_config.site = std::move(*site);
  }
  const auto bundle = make_bundle(env, (*opened)->shard(), *secrets, std::move(bundle_config));
  const auto start = [&]() -> Status {
    TRY(bundle->start());
    if (secrets->created()) {
      say("Secret of the server port, for your own backend; shown this once, kept in " + options.data + "/secrets:\n  " +
          secrets->server_api());
    }
    if (!bundle->sealed_link_address().empty()) {
      say("Key of the sealed long link, to be pinned by its clients: " + access::seal_key_text(secrets->seal_keys()));
    }
    if (options.demo) TRY(make_demo(env, *bundle, say));
    return announce(env, options.data, *bundle);
  };
  Status started;
  runtime::run_to_end(env.scheduler(), "start", [&] { started = start(); });
  if (started.ok()) env.scheduler().run();
  runtime::run_to_end(env.scheduler(), "stop", [&] {
    Call call = runtime::background_call(env, std::chrono::seconds(10));
    bundle->stop(call);
    (*opened)->shard().close();
  });
  (void)env.disk().remove(options.data + "/server.json").ok();
  if (!started.ok()) return fail(started.detail());
  say("stopped");
  return 0;
}

int backup(const std::string& data, const std::string& to) {
  const auto env = runtime::make_os_env({});
  if (!env->disk().exists(data + "/store/FORMAT")) return fail(data + " is no data directory");
  auto opened = open_data(*env, data, k_tool_cache_bytes);
  if (opened.code() == Code::busy) return fail(opened.status().detail() + "; stop it first: ./hongyan down --data " + data);
  if (!opened.ok()) return fail(opened.status().detail());
  Status status;
  runtime::run_to_end(env->scheduler(), "backup", [&] {
    Call call = runtime::background_call(*env, std::chrono::hours(24));
    status = make_backup(call, *env, **opened, data, to);
    (*opened)->shard().close();
  });
  if (!status.ok()) return fail(status.detail());
  say("backed up " + data + " to " + to);
  return 0;
}

int restore(const std::string& from, const std::string& data) {
  const auto env = runtime::make_os_env({});
  const Status status = restore_backup(*env, from, data);
  if (!status.ok()) return fail(status.detail());
  say("restored " + from + " to " + data + "; devices will be told at their next sync that there is a gap");
  return 0;
}

// Files for the services of a data directory, one each.
int write_for_services(const std::string& data, const std::string& to, const std::string& what,
                       const std::function<Status(Env&)>& write) {
  const auto env = runtime::make_os_env({});
  for (const std::string& directory : {data, to}) {
    if (const Status made = env->disk().make_directories(directory); !made.ok()) return fail(directory + ": " + made.detail());
  }
  const Status written = write(*env);
  if (!written.ok()) return fail(to + ": " + written.detail());
  say("wrote the " + what + " of all services to " + to + "; give each service its own and no other");
  return 0;
}

// From the secrets, which are made if there are none yet.
int write_keys(const std::string& data, const std::string& to) {
  return write_for_services(data, to, "key files", [&](Env& env) -> Status {
    const Secrets secrets = TRY(Secrets::load_or_create(env, data));
    return process::write_key_files(env, secrets, to);
  });
}

int write_certificates(const std::string& data, const std::string& to) {
  return write_for_services(data, to, "certificates", [&](Env& env) { return process::write_certificates(env, data, to); });
}

}  // namespace
}  // namespace hongyan::bundle

int main(int argc, char** argv) {
  using namespace hongyan;
  bundle::Options options;
  CLI::App app{"Hongyan: a messaging backend in one process"};
  app.set_version_flag("--version", HONGYAN_VERSION);
  const auto setting = [&](const char* name, const char* key, const char* help) {
    app.add_option_function<std::string>(name, [&options, key](const std::string& value) { options.settings.emplace_back(key, value); }, help);
  };
  app.add_option("--data", options.data, "Directory of everything this server keeps")->capture_default_str();
  app.add_option("--config", options.config_file, "TOML file with settings; every key is also HONGYAN_<KEY>");
  app.add_flag("--check-config", options.check_config, "Print every setting with value and origin, then end");
  app.add_flag("--demo", options.demo, "Two sample accounts who are friends; their passwords are printed once");
  setting("--port", "web.port", "Port of the site (8080)");
  setting("--listen", "web.listen", "Address to listen on (127.0.0.1); anything but loopback serves TLS");
  setting("--web-root", "web.root", "Directory of the built web client");
  setting("--tls-cert", "tls.certificate", "PEM file of the certificate");
  setting("--tls-key", "tls.key", "PEM file of its key");
  std::string from, to;
  CLI::App* backup = app.add_subcommand("backup", "Copy a data directory, with all secrets, while no server runs on it");
  backup->add_option("--data", options.data, "The data directory")->capture_default_str();
  backup->add_option("--to", to, "Directory to make")->required();
  CLI::App* restore = app.add_subcommand("restore", "Make a data directory from a backup");
  restore->add_option("--from", from, "The backup")->required();
  restore->add_option("--data", options.data, "Data directory to make")->capture_default_str();
  CLI::App* keys = app.add_subcommand("keys", "Write the key file of each service that is to run as a process of its own");
  keys->add_option("--data", options.data, "The data directory whose secrets they are")->capture_default_str();
  keys->add_option("--to", to, "Directory of the files")->required();
  CLI::App* certificates = app.add_subcommand("certificates", "Write a certificate for each service, for TLS between them; renews those that end soon");
  certificates->add_option("--data", options.data, "The data directory, which keeps the authority that signs them")->capture_default_str();
  certificates->add_option("--to", to, "Directory of the files")->required();
  CLI11_PARSE(app, argc, argv);

  runtime::set_private_umask();
  // It would write a line for every message of a stranger that is none; we answer and count those ourselves.
  google::protobuf::SetLogHandler(nullptr);
  if (backup->parsed()) return bundle::backup(options.data, to);
  if (restore->parsed()) return bundle::restore(from, options.data);
  if (keys->parsed()) return bundle::write_keys(options.data, to);
  if (certificates->parsed()) return bundle::write_certificates(options.data, to);
  const auto config = bundle::load_config(*runtime::make_os_env({}), options);
  if (!config.ok()) {
    std::fputs(("hongyan-server: " + config.status().detail() + "\n").c_str(), stderr);
    return 2;
  }
  if (options.check_config) {
    std::fputs(config->describe().c_str(), stdout);
    return 0;
  }
  runtime::OsEnvOptions os_options;
  os_options.pool_threads = 2;
  os_options.log_path = config->text("log.file");
  os_options.counters_path = runtime::counters_path(config->text("counters.file"), options.data);
  os_options.io = runtime::loop_io(config->text("runtime.io"));
  os_options.files = runtime::file_io(config->text("runtime.files"));
  const auto env = runtime::make_os_env(os_options);
  runtime::stop_on_signals(*env);
  const std::string& level = config->text("log.level");
  env->log().set_level(level == "debug"     ? runtime::LogLevel::debug
                       : level == "warning" ? runtime::LogLevel::warning
                       : level == "error"   ? runtime::LogLevel::error
                                            : runtime::LogLevel::info);
  env->scheduler().set_parking(hongyan::process::park_after(*config));
  return bundle::serve(*env, *config, options);
}
