// Calls of 100 bytes: ours beside a raw epoll loop that knows no calls, and gRPC C++ in its two fastest forms. In every
// round each contender has its turn, in changing order; a row's ratio is the median of the rounds' ratios.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/peer_process.h"

namespace hongyan::bench {

namespace {

struct Contender {
  std::string name;
  PeerProcess server, load;
};

struct Scenario {
  std::string name;
  Load load;
};

using Figures = std::map<std::string, std::vector<double>>;  // Name of a contender -> a figure a round.

std::vector<double> ratios(const Figures& figures, const std::string& ours, const std::string& peer) {
  std::vector<double> out;
  const auto &a = figures.at(ours), &b = figures.at(peer);
  for (size_t i = 0; i < a.size(); ++i) out.push_back(b[i] > 0 ? a[i] / b[i] : 0);
  return out;
}

void add_row(Report& report, const std::string& test, const std::string& unit, const Figures& figures,
             const std::vector<std::string>& peers, std::optional<double> ratio_min, std::optional<double> ratio_max = {}) {
  Row row{.test = test, .unit = unit, .ours = median(figures.at("hongyan")), .ratio_max = ratio_max, .ratio_min = ratio_min};
  for (const std::string& peer : peers) {
    if (!figures.contains(peer)) continue;
    row.peers.emplace_back(peer, median(figures.at(peer)));
    row.paired.push_back(median(ratios(figures, "hongyan", peer)));
  }
  if (row.peers.empty()) return;
  report.add(std::move(row));
}

Status start(Contender& one, const std::string& program, const std::vector<std::string>& serve, const std::vector<std::string>& load) {
  const std::string port = TRY(one.server.start(program, serve, 0));
  std::vector<std::string> words = load;
  words.push_back(port);
  TRY(one.load.start(program, words, 1));
  return {};
}

}  // namespace

Status bench_rpc(Env&, const Options& options, Report& report) {
  std::map<std::string, Contender> contenders;
  TRY(start(contenders["hongyan"], "hongyan-bench", {"peer", options.io == "uring" ? "serve-uring" : options.spin ? "serve" : "serve-sleep"},
            {"peer", options.spin ? "load" : "load-sleep"}));
  TRY(start(contenders["raw"], "hongyan-bench", {"peer", "serve-raw"}, {"peer", "load-raw"}));
  const bool grpc = std::filesystem::exists(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hongyan-bench-grpc");
  if (grpc) {
    TRY(start(contenders["gRPC"], "hongyan-bench-grpc", {"serve"}, {"load", "unary"}));
    TRY(start(contenders["gRPC stream"], "hongyan-bench-grpc", {"serve"}, {"load", "stream"}));
  } else {
    report.note("gRPC is not there (libgrpc++-dev, protobuf-compiler-grpc): its rows are missing.");
  }
  const int run_ms = options.quick ? 60 : 400, rounds = options.quick ? 1 : options.rounds;
  const int warm_ms = options.quick ? 20 : 100;
  const std::vector<Scenario> scenarios = {
      {"1 in flight", {.connections = 1, .depth = 1}},
      {"64 in flight, 1 connection", {.connections = 1, .depth = 64}},
      {"512 in flight, 1 connection", {.connections = 1, .depth = 512}},
      {"64 connections x 1", {.connections = 64, .depth = 1}},
      {"20,000/s by the clock", {.connections = 1, .depth = 1, .rate = 20'000}},
  };
  std::map<std::string, Figures> rates, p99, cpu;
  std::vector<std::string> order;
  for (const auto& [name, contender] : contenders) order.push_back(name);
  for (int round = 0; round < rounds; ++round) {
    for (const Scenario& scenario : scenarios) {
      std::rotate(order.begin(), order.begin() + 1, order.end());
      for (const std::string& name : order) {
        if (scenario.load.rate > 0 && (name == "raw" || name == "gRPC stream")) continue;
        Contender& one = contenders[name];
        Load load = scenario.load;
        load.warm_ms = warm_ms;
        load.run_ms = run_ms;
        const double cpu_before = one.server.cpu_seconds();
        const LoadResult result = TRY(parse_load(TRY(one.load.ask(question(load)))));
        rates[scenario.name][name].push_back(result.per_second());
        p99[scenario.name][name].push_back(result.p99_us);
        const double share = static_cast<double>(run_ms) / (run_ms + warm_ms);
        cpu[scenario.name][name].push_back((one.server.cpu_seconds() - cpu_before) * share * 1e6 / std::max(1.0, result.calls));
      }
    }
  }
  const std::string one = scenarios[0].name, many = scenarios[1].name, more = scenarios[2].name, wide = scenarios[3].name;
  add_row(report, one, "calls/s", rates[one], {"gRPC", "gRPC stream"}, 1.8);
  add_row(report, one, "calls/s", rates[one], {"raw"}, 0.80);
  add_row(report, many, "calls/s", rates[many], {"gRPC"}, 8);
  add_row(report, many + ", beside a stream", "calls/s", rates[many], {"gRPC stream"}, 8);
  add_row(report, many, "calls/s", rates[many], {"raw"}, 0.6);
  add_row(report, more, "calls/s", rates[more], {"gRPC"}, 25);
  add_row(report, more + ", beside a stream", "calls/s", rates[more], {"gRPC stream"}, {});
  add_row(report, more, "calls/s", rates[more], {"raw"}, {});
  add_row(report, wide, "calls/s", rates[wide], {"raw"}, 0.85);
  add_row(report, wide, "calls/s", rates[wide], {"gRPC", "gRPC stream"}, 4);
  const std::string clock = scenarios[4].name;
  add_row(report, clock + ", p99", "us", p99[clock], {"gRPC"}, {}, 0.5);
  for (const std::string& name : {one, many, more, wide}) {
    add_row(report, name + ", server's processor", "us/call", cpu[name], {"raw", "gRPC", "gRPC stream"}, {});
  }
  return {};
}

int run_peer(const std::string& role, int port) {
  if (role == "serve") return serve_hongyan(false, 4096);
  if (role == "serve-uring") return serve_hongyan(false, 4096, {.uring = true});
  if (role == "serve-sleep") return serve_hongyan(false, 4096, {.spin = false});
  if (role == "serve-many") return serve_hongyan(false, 1'000'000);
  if (role == "serve-level") return serve_overload("level");
  if (role == "serve-chance") return serve_overload("chance");
  if (role == "serve-nobody") return serve_overload("nobody");
  if (role == "serve-idle") return serve_overload("idle");
  if (role == "load-overload") return load_overload(port);
  if (role == "serve-raw") return serve_raw();
  if (role == "load") return load_hongyan(port, {});
  if (role == "load-sleep") return load_hongyan(port, {.spin = false});
  if (role == "load-raw") return load_bytes(port, false);
  if (role == "load-http") return load_bytes(port, true);
  if (role == "hold") return hold_connections(port);
  return 2;
}

}  // namespace hongyan::bench
