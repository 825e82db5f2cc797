// What the measurements are asked on the command line.
#pragma once

#include <string>

#include "bench/report.h"
#include "base/result.h"
#include "runtime/env/env.h"

namespace hongyan::bench {

struct Options {
  bool quick = false;      // For function only: figures mean nothing.
  bool full = false;       // The sizes the floors are stated for, however long it takes to make the data.
  std::string directory;   // Where data is made: the disk that is measured.
  double seconds = 20;     // Of measuring, for send; half of it is the peer's.
  int pairs = 64;          // Senders, each with a receiver of its own.
  int rounds = 20;         // Restarts, for sync; rounds of all contenders, for rpc and http.
  size_t connections = 500'000;
  bool spin = true;  // Whether ours may ask before it sleeps.
  std::string io = "epoll";  // What our server of rpc waits in.
  std::string transport;   // "long", "web"; empty: the long link where there is one.
};

Status bench_send(Env& env, const Options& options, Report& report);
// The runtime alone; needs no server.
Status bench_coro(Env& env, const Options& options, Report& report);
// What checking a call's right costs.
Status bench_tickets(Env& env, const Options& options, Report& report);
Status bench_counters(Env& env, const Options& options, Report& report);
Status bench_sync(Env& env, const Options& options, Report& report);
// Frames, HTTP, and what an idle connection costs. Server and load generator are children, on a processor each.
Status bench_rpc(Env& env, const Options& options, Report& report);
Status bench_http(Env& env, const Options& options, Report& report);
// Three times what a server can do.
Status bench_overload(Env& env, const Options& options, Report& report);
// What coroutines wait for on a disk.
Status bench_files(Env& env, const Options& options, Report& report);
Status bench_connections(Env& env, const Options& options, Report& report);

}  // namespace hongyan::bench
