// workers_peer serve | load: see peer.h.
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <string>

#include "tests/workers/peer.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  CLI::App app{"An echo service behind a master, and callers of it"};
  app.require_subcommand(1);
  tests::LoadOptions load;
  std::string address, journal;
  bool own_ports = false, broken = false;
  runtime::WorkerRules rules;
  int64_t restart_ms = 0, settled_ms = 10'000, drain_ms = 10'000, memory_mib = 0;
  auto* const serve = app.add_subcommand("serve");
  serve->add_option("--listen", address)->required();
  serve->add_option("--journal", journal)->required();
  serve->add_option("--workers", rules.workers);
  serve->add_flag("--own-ports", own_ports);
  serve->add_option("--restart-every-ms", restart_ms);
  serve->add_option("--settled-ms", settled_ms);
  serve->add_option("--drain-ms", drain_ms);
  serve->add_option("--memory-mib", memory_mib);
  serve->add_flag("--broken", broken);
  auto* const calls = app.add_subcommand("load");
  calls->add_option("--address", load.address)->required();
  calls->add_option("--channels", load.channels);
  calls->add_option("--callers", load.callers);
  calls->add_option("--fresh", load.fresh);
  CLI11_PARSE(app, argc, argv);
  if (calls->parsed()) return tests::call_echo(load);
  if (const char* const worker = std::getenv(runtime::k_worker_variable)) {
    if (broken) return 3;
    auto inherited = runtime::parse_inherited(worker);
    return inherited.ok() ? tests::serve_echo(address, journal, std::move(*inherited)) : 2;
  }
  rules.restart_every = std::chrono::milliseconds(restart_ms);
  rules.settled = std::chrono::milliseconds(settled_ms);
  rules.drain_limit = std::chrono::milliseconds(drain_ms);
  rules.memory_max_bytes = static_cast<uint64_t>(memory_mib) << 20;
  return runtime::run_worker_master({.command = runtime::own_command(argc, argv),
                                     .name = "echo",
                                     .addresses = {address},
                                     .sockets = own_ports ? runtime::WorkerSockets::own : runtime::WorkerSockets::shared,
                                     .rules = rules,
                                     .memory_every = std::chrono::milliseconds(100)});
}
