// hongyan-bench: `send`, `sync`, `coro`, `counters`, `tickets`, `rpc`, `http`, `overload`, `connections` and `files`; `peer` is a child of a
// measurement. Exit status: 0
// every floor is met, 1 one is missed or the run failed, 2 wrong usage.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>

#include "bench/load.h"
#include "bench/options.h"
#include "runtime/os/os_env.h"

namespace {

using hongyan::Env;
using hongyan::Status;
using hongyan::bench::Options;
using hongyan::bench::Report;

int measure(const std::string& name, const std::string& command, const Options& options, bool json,
            Status (*bench)(Env&, const Options&, Report&)) {
  const auto env = hongyan::runtime::make_os_env({});
  Report report("bench " + name, command);
  const Status status = bench(*env, options, report);
  if (!status.ok()) {
    std::fprintf(stderr, "hongyan-bench: %s\n", status.detail().c_str());
    return 1;
  }
  std::fputs(((json ? report.json() : report.table()) + "\n").c_str(), stdout);
  return report.met() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.directory = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  bool json = false;
  CLI::App app{"Measures Hongyan beside a peer or a physical limit, in one run"};
  app.require_subcommand(1);
  const auto common = [&](CLI::App* verb) {
    verb->add_flag("--json", json, "One JSON object instead of a table");
    verb->add_flag("--quick", options.quick, "A moment of each, to see that it works; the figures mean nothing");
    verb->add_option("--dir", options.directory, "Directory on the disk to measure; data is made there and removed")->capture_default_str();
    verb->add_option("--transport", options.transport, "long or web; the long link unless told")->check(CLI::IsMember({"long", "web"}));
    return verb;
  };
  CLI::App* send = common(app.add_subcommand("send", "One to one, 64 senders, to receivers who are online"));
  send->add_option("--seconds", options.seconds, "Of measuring; half of it is the peer's")->capture_default_str()->check(CLI::Range(1, 3600));
  send->add_option("--pairs", options.pairs, "Senders, each with a receiver")->capture_default_str()->check(CLI::Range(1, 1000));
  CLI::App* sync = common(app.add_subcommand("sync", "Catching up after a restart, and the first login"));
  sync->add_flag("--full", options.full, "10^6 older messages instead of 10^5");
  sync->add_option("--rounds", options.rounds, "Restarts of the server")->capture_default_str()->check(CLI::Range(1, 1000));
  CLI::App* coro = common(app.add_subcommand("coro", "Coroutines: switching, making, and what a million of them weigh"));
  coro->add_flag("--full", options.full, "10 million parked coroutines too: takes 9 GB of memory");
  CLI::App* counters = common(app.add_subcommand("counters", "Counters in shared memory, lines of the log, spans: what each costs"));
  CLI::App* tickets = common(app.add_subcommand("tickets", "Checking a call's right: ticket, policy, grant"));
  CLI::App* rpc = common(app.add_subcommand("rpc", "Calls of 100 bytes beside a raw loop and gRPC"));
  CLI::App* http = common(app.add_subcommand("http", "The same over HTTP/1.1 beside nginx"));
  for (CLI::App* verb : {rpc, http}) {
    verb->add_option("--rounds", options.rounds, "Of all contenders, one after the other")->capture_default_str()->check(CLI::Range(1, 1000));
  }
  rpc->add_flag("!--no-spin", options.spin, "Ours sleeps at once when it has nothing to do");
  rpc->add_option("--io", options.io, "What our server waits in")->capture_default_str()->check(CLI::IsMember({"epoll", "uring"}));
  CLI::App* files = common(app.add_subcommand("files", "Reads at random and synced appends beside threads that block"));
  files->add_option("--rounds", options.rounds, "Of all contenders; at most 9")->capture_default_str()->check(CLI::Range(1, 1000));
  CLI::App* overload = common(app.add_subcommand("overload", "A server at three times its capacity, beside refusal by chance"));
  CLI::App* connections = common(app.add_subcommand("connections", "Memory of an idle connection"));
  connections->add_option("--count", options.connections, "Connections")->capture_default_str()->check(CLI::Range(size_t{1}, size_t{1'000'000}));
  std::string role;
  int port = 0;
  CLI::App* peer = app.add_subcommand("peer", "A process of a measurement; not for people")->group("");
  peer->add_option("role", role)->required();
  peer->add_option("port", port);
  CLI11_PARSE(app, argc, argv);
  if (peer->parsed()) return hongyan::bench::run_peer(role, port);

  std::string command = "./hongyan bench";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  hongyan::runtime::set_private_umask();
  if (coro->parsed()) return measure("coro", command, options, json, hongyan::bench::bench_coro);
  using namespace hongyan::bench;
  if (counters->parsed()) return measure("counters", command, options, json, bench_counters);
  if (tickets->parsed()) return measure("tickets", command, options, json, bench_tickets);
  if (rpc->parsed()) return measure("rpc", command, options, json, bench_rpc);
  if (http->parsed()) return measure("http", command, options, json, bench_http);
  if (overload->parsed()) return measure("overload", command, options, json, bench_overload);
  if (files->parsed()) return measure("files", command, options, json, bench_files);
  if (connections->parsed()) return measure("connections", command, options, json, bench_connections);
  const bool is_send = send->parsed();
  return measure(is_send ? "send" : "sync", command, options, json, is_send ? bench_send : bench_sync);
}
