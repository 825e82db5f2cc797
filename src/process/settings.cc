#include "process/settings.h"

namespace hongyan::process {

void declare_settings(runtime::Config& config) {
  config.declare("web.listen", "127.0.0.1", "Address of the site and the web protocol; anything but loopback serves TLS");
  config.declare("web.port", 8080, "Port of the site and the web protocol; 0: any free one", 0, 65535);
  config.declare("web.root", "", "Directory of the built web client; empty: no site");
  config.declare("web.connections_max", 10'000, "Connections at a time; about 16 KiB each when idle", 1, 1'000'000);
  config.declare("web.url", "", "Address that people open, when it is not the one listened on (a front proxy)");
  config.declare("long_link.listen", "", "Address of the long link; empty: as web.listen; anything but loopback serves TLS");
  config.declare("long_link.port", -1, "Port of the long link; -1: web.port + 1; 0: any free one", -1, 65535);
  config.declare("long_link.sealed_port", -1, "Port of a second long link, without TLS, for sealed bodies only; -1: none; 0: any free one", -1, 65535);
  config.declare("long_link.connections_max", 20'000, "Connections at a time; about 16 KiB each when idle", 1, 1'000'000);
  config.declare("server_api.port", -1, "Port of the integrator's API, on 127.0.0.1 only; -1: web.port + 2; 0: any free one", -1, 65535);
  config.declare("tls.certificate", "", "PEM file, the leaf first; empty: a certificate made at the first start");
  config.declare("tls.key", "", "PEM file of the certificate's key");
  config.declare("region", 0, "Number of this region, in every id given out here; never change it", 0, 1023);
  config.declare_choice("auth", "both", "Who makes accounts: people themselves, the integrator's server, or both",
                        {"builtin", "integrator", "both"});
  config.declare("password.memory_mib", 19, "argon2id memory of one password check (OWASP: 19)", 8, 1024);
  config.declare("password.passes", 2, "argon2id passes (OWASP: 2 with 19 MiB)", 1, 16);
  config.declare_choice("retention.mode", "forever", "How long messages are kept on the server", {"forever", "days", "delivered"});
  config.declare("retention.days", 90, "Days, when retention.mode is \"days\"", 1, 36'500);
  config.declare("store.cache_mib", 256, "Memory for blocks of rows", 8, 1'048'576);
  config.declare("limits.requests_per_second", 50, "Requests of one device per second, on average", 1, 1'000'000);
  config.declare("limits.requests_burst", 100, "Requests of one device at once", 1, 1'000'000);
  config.declare("limits.anonymous_per_second", 5, "Logins and registrations of one address per second; each costs an argon2", 1, 1'000'000);
  config.declare("limits.anonymous_burst", 20, "Logins and registrations of one address at once", 1, 1'000'000);
  config.declare("limits.public_per_second", 20, "Look-ups of profiles and names by one user per second and kind; of a service a hundred times as many", 1, 1'000'000);
  config.declare("limits.public_burst", 200, "Such look-ups of one user at once", 1, 1'000'000);
  config.declare_choice("limits.overload", "on", "Whether the gates refuse the less important requests when requests queue", {"on", "off"});
  config.declare("limits.overload_queue_ms", 20, "Time in the queue, on average over a second, that is overload", 1, 10'000);
  config.declare("workers.count", 0, "Workers of each logic service that runs as processes of its own; 0: one process without a master", 0, 256);
  config.declare("workers.data_count", 0, "Workers of each data service and of presence, each with an address of its own; 0: one process without a master", 0, 256);
  config.declare("workers.restart_minutes", 360, "How often each is replaced, one after the other; 0: never", 0, 100'000);
  config.declare("workers.memory_max_mib", 1024, "Memory over which a worker is replaced; 0: no limit", 0, 1'048'576);
  config.declare("park_after_seconds", 10, "Idle connections' coroutines give their stacks back after this time; 0: never", 0, 86'400);
  config.declare_choice("log.level", "info", "What the log tells", {"debug", "info", "warning", "error"});
  config.declare_choice("runtime.io", "epoll", "What the loop waits in; uring: io_uring, where the kernel allows it", {"epoll", "uring"});
  config.declare_choice("runtime.files", "automatic", "Who reads and writes files for coroutines; automatic: io_uring, where the kernel allows it", {"automatic", "threads"});
  config.declare_choice("runtime.spin", "automatic", "Whether a busy loop asks for news before it sleeps; automatic: while that pays and nobody else wants its processor", {"automatic", "never"});
  config.declare("counters.file", "", "Where other processes see the counters: a file, or a directory with one of each process, in memory; empty: /dev/shm; none: nowhere");
  config.declare_choice("log.format", "text", "A line an event: text with key=value, or an object of JSON", {"text", "json"});
  config.declare("trace.per_million", 1'000, "Of a million requests that bring no trace, how many are sampled; what a caller samples is anyway", 0, 1'000'000);
  config.declare("trace.directory", "", "Directory that spans of sampled calls are written to, PROGRAM.jsonl, as lines of OTLP/JSON; empty: nowhere");
  config.declare("trace.file_mib", 64, "Size at which such a file becomes PROGRAM.jsonl.1 and a new one begins", 1, 65'536);
  config.declare("log.file", "", "File of the log; empty: standard error");
}

namespace {

// The ports beside the site's follow it; where the site takes any free port, so do they.
int64_t port_of(const runtime::Config& config, const char* key, int64_t beside_web) {
  const int64_t port = config.integer(key), web = config.integer("web.port");
  if (port >= 0) return port;
  return web == 0 || web + beside_web > 65535 ? 0 : web + beside_web;
}

}  // namespace

const std::string& long_link_host(const runtime::Config& config) {
  const std::string& own = config.text("long_link.listen");
  return own.empty() ? config.text("web.listen") : own;
}

Result<RoomSettings> room_settings(const runtime::Config& config) {
  RoomSettings out;
  out.region = static_cast<uint32_t>(config.integer("region"));
  const std::string& auth = config.text("auth");
  out.auth = auth == "builtin" ? logic::AuthMode::builtin : auth == "integrator" ? logic::AuthMode::integrator : logic::AuthMode::both;
  out.password_cost.memory_bytes = static_cast<uint64_t>(config.integer("password.memory_mib")) << 20;
  out.password_cost.passes = static_cast<uint64_t>(config.integer("password.passes"));
  const std::string& retention = config.text("retention.mode");
  out.inbox.retention = retention == "days"        ? inbox::Retention::days
                        : retention == "delivered" ? inbox::Retention::delivered
                                                   : inbox::Retention::forever;
  out.inbox.retention_days = static_cast<uint32_t>(config.integer("retention.days"));
  out.entry.per_device = {.per_second = static_cast<double>(config.integer("limits.requests_per_second")),
                          .burst = static_cast<double>(config.integer("limits.requests_burst"))};
  out.entry.per_address = {.per_second = static_cast<double>(config.integer("limits.anonymous_per_second")),
                           .burst = static_cast<double>(config.integer("limits.anonymous_burst"))};
  out.entry.overload_control = config.text("limits.overload") == "on";
  out.entry.overload.queue_wait_max = std::chrono::milliseconds(config.integer("limits.overload_queue_ms"));
  constexpr double k_service_share = 100;  // A service asks for many users.
  const rpc::Rate look_ups{.per_second = static_cast<double>(config.integer("limits.public_per_second")),
                           .burst = static_cast<double>(config.integer("limits.public_burst"))};
  out.public_limits.per_user = look_ups;
  out.public_limits.per_service = {.per_second = k_service_share * look_ups.per_second, .burst = k_service_share * look_ups.burst};
  out.web.address = join_address(config.text("web.listen"), config.integer("web.port"));
  out.web.connections_max = static_cast<size_t>(config.integer("web.connections_max"));
  out.web_url = config.text("web.url");
  out.long_link.address = join_address(long_link_host(config), port_of(config, "long_link.port", 1));
  if (const int64_t sealed = config.integer("long_link.sealed_port"); sealed >= 0) {
    out.sealed_link_address = join_address(long_link_host(config), sealed);
  }
  out.long_link.connections_max = static_cast<size_t>(config.integer("long_link.connections_max"));
  out.server_port.address = join_address("127.0.0.1", port_of(config, "server_api.port", 2));
  return out;
}

runtime::Duration park_after(const runtime::Config& config) {
  const int64_t seconds = config.integer("park_after_seconds");
  return seconds == 0 ? runtime::Duration::max() : runtime::Duration(std::chrono::seconds(seconds));
}

access::LongLinkConfig sealed_link_config(const RoomSettings& settings) {
  access::LongLinkConfig config = settings.long_link;
  config.address = settings.sealed_link_address;
  config.sealed_only = true;
  config.links.gate = "sealed";
  return config;
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

std::string join_address(const std::string& host, int64_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace hongyan::process
