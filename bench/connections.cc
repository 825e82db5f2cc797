// What a connection costs that has spoken once and is idle: no coroutine, and how many bytes of user space.
#include <fmt/format.h>

#include <algorithm>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/peer_process.h"

namespace hongyan::bench {

Status bench_connections(Env&, const Options& options, Report& report) {
  PeerProcess server, holder;
  const std::string port = TRY(server.start("hongyan-bench", {"peer", "serve-many"}, 0));
  const size_t limit = std::stoul(TRY(holder.start("hongyan-bench", {"peer", "hold", port}, 1)));
  const size_t wanted = options.quick ? 2'000 : options.connections;
  const size_t possible = std::min(wanted, limit > 2'000 ? limit - 1'000 : 0);
  TRY(holder.ask("1000"));  // What the first ones cost once for all.
  const double before = server.memory_bytes("RssAnon");
  const int64_t start = now_us();
  const size_t held = std::stoul(TRY(holder.ask(std::to_string(possible))));
  const double seconds = static_cast<double>(now_us() - start) / 1e6;
  const double bytes = (server.memory_bytes("RssAnon") - before) / static_cast<double>(std::max<size_t>(1, held - 1000));
  report.add({.test = fmt::format("idle connection, {} of them", held), .unit = "bytes", .ours = bytes, .ours_max = 1024});
  report.add({.test = "opened, accepted, spoken to", .unit = "1/s", .ours = static_cast<double>(held - 1000) / seconds});
  if (held < wanted) {
    report.note(fmt::format("{} connections were wanted; this machine gave {} (descriptors: {}).", wanted, held, limit));
  }
  return {};
}

}  // namespace hongyan::bench
