// The same call over HTTP/1.1 with a protobuf body, 64 connections, beside nginx returning a constant of that size.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/peer_process.h"
#include "bench/server_process.h"

namespace hongyan::bench {

namespace {

// nginx has no port 0: one is tried after the other.
Status start_nginx(PeerProcess& nginx, const std::string& directory, int& port) {
  for (port = 18'000 + static_cast<int>(getpid() % 2000); port < 21'000; ++port) {
    const int taken = connect_to("127.0.0.1", port);
    if (taken >= 0) {
      close(taken);
      continue;
    }
    std::ofstream(directory + "/nginx.conf") << fmt::format(
        "daemon off; master_process off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;\n"
        "events {{ worker_connections 4096; multi_accept on; }}\n"
        "http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600; tcp_nodelay on;\n"
        "  client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi;\n"
        "  uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;\n"
        "  default_type application/x-protobuf;\n"
        "  server {{ listen 127.0.0.1:{1}; location / {{ return 200 \"{2}\"; }} }} }}\n",
        directory, port, std::string(k_echo_bytes + 2, 'x'));
    std::ofstream(directory + "/run.sh") << fmt::format(
        "PATH=$PATH:/usr/sbin; nginx -p {0} -c {0}/nginx.conf -e {0}/error.log &\npid=$!\nsleep 0.5; echo started\n"
        "cat >/dev/null\nkill $pid; wait $pid\n", directory);
    const auto started = nginx.start("/bin/sh", {directory + "/run.sh"}, 0);
    if (!started.ok()) return started.status();
    const int there = connect_to("127.0.0.1", port);
    if (there < 0) return Status(Code::unavailable, "nginx did not start (package nginx-light)");
    close(there);
    return {};
  }
  return Status(Code::busy, "no port for nginx");
}

}  // namespace

Status bench_http(Env&, const Options& options, Report& report) {
  const TemporaryDirectory directory(options.directory);
  PeerProcess server, load, nginx, nginx_load;
  const std::string port = TRY(server.start("hongyan-bench", {"peer", "serve"}, 0));
  TRY(load.start("hongyan-bench", {"peer", "load-http", port}, 1));
  int nginx_port = 0;
  const Status nginx_there = start_nginx(nginx, directory.path(), nginx_port);
  if (nginx_there.ok()) {
    TRY(nginx_load.start("hongyan-bench", {"peer", "load-http", std::to_string(nginx_port)}, 1));
  } else {
    report.note(nginx_there.detail());
  }
  const int rounds = options.quick ? 1 : options.rounds;
  for (const auto& [connections, depth] : {std::pair(64, 1), std::pair(1, 1), std::pair(1, 16)}) {
    Load one{.connections = connections, .depth = depth, .warm_ms = 100, .run_ms = options.quick ? 60 : 400};
    std::vector<double> ours, theirs, ratios;
    for (int round = 0; round < rounds; ++round) {
      for (int turn = 0; turn < 2; ++turn) {
        const bool mine = (turn + round) % 2 == 0;
        if (!mine && !nginx_there.ok()) continue;
        const LoadResult result = TRY(parse_load(TRY((mine ? load : nginx_load).ask(question(one)))));
        (mine ? ours : theirs).push_back(result.per_second());
      }
      if (!theirs.empty()) ratios.push_back(ours.back() / theirs.back());
    }
    Row row{.test = fmt::format("POST of protobuf, {} connections, {} in flight on each", connections, depth),
            .unit = "calls/s", .ours = median(ours)};
    if (!theirs.empty()) {
      row.peers = {{"nginx", median(theirs)}};
      row.paired = {median(ratios)};
    }
    if (connections == 64) row.ratio_min = 0.7;
    report.add(std::move(row));
  }
  return {};
}

}  // namespace hongyan::bench
