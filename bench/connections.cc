// What a connection costs that has spoken once and is idle: no coroutine, and how many bytes of user space. Where a
// process may not have so many descriptors, several servers share the connections, as workers of a service do.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "bench/load.h"
#include "bench/options.h"
#include "bench/peer_process.h"

namespace hongyan::bench {

namespace {

// What a server needs beside them, and the first connections, which pay for what all later ones share.
constexpr size_t k_spare_descriptors = 500;
constexpr size_t k_first = 500;

struct Pair {
  PeerProcess server, holder;
  size_t limit = 0;  // Descriptors that the holder may have; the server has as many.
  size_t held = 0;
  double before = 0;
  size_t possible() const { return limit > k_spare_descriptors + k_first ? limit - k_spare_descriptors : 0; }
};

Result<std::unique_ptr<Pair>> start_pair() {
  auto pair = std::make_unique<Pair>();
  const std::string port = TRY(pair->server.start("hongyan-bench", {"peer", "serve-many"}, 0));
  pair->limit = std::stoul(TRY(pair->holder.start("hongyan-bench", {"peer", "hold", port}, 1)));
  TRY(pair->holder.ask(std::to_string(k_first)));
  pair->before = pair->server.memory_bytes("RssAnon");
  return pair;
}

}  // namespace

Status bench_connections(Env&, const Options& options, Report& report) {
  const size_t wanted = options.quick ? 2'000 : options.connections;
  // All servers before the connections, which take every port that a server could be given.
  std::vector<std::unique_ptr<Pair>> pairs;
  for (size_t room = 0; room < wanted;) {
    pairs.push_back(TRY(start_pair()));
    if (pairs.back()->possible() == 0) break;
    room += pairs.back()->possible();
  }
  size_t held = 0;
  const int64_t start = now_us();
  for (const auto& pair : pairs) {
    const size_t share = std::max(k_first, std::min(wanted - std::min(wanted, held), pair->possible()));
    pair->held = std::stoul(TRY(pair->holder.ask(std::to_string(share))));
    held += pair->held;
    if (pair->held < share) break;  // The machine gives no more.
  }
  const double seconds = static_cast<double>(now_us() - start) / 1e6;
  double growth = 0;
  size_t counted = 0;
  for (const auto& pair : pairs) {  // With all of them open.
    if (pair->held <= k_first) continue;
    growth += pair->server.memory_bytes("RssAnon") - pair->before;
    counted += pair->held - k_first;
  }
  Row row{.test = fmt::format("idle connection, {} of them", held), .unit = "bytes",
          .ours = growth / static_cast<double>(std::max<size_t>(1, counted))};
  if (held >= wanted) row.ours_max = 1000;
  report.add(row);
  report.add({.test = "opened, accepted, spoken to", .unit = "1/s", .ours = static_cast<double>(held) / seconds});
  if (pairs.size() > 1) {
    report.note(fmt::format("{} servers: a process may have {} descriptors here.", pairs.size(), pairs.front()->limit));
  }
  if (held < wanted) {
    report.note(fmt::format("Not shown: {} connections were wanted; this machine gave {} (descriptors: {}).", wanted, held,
                            pairs.front()->limit));
  }
  return {};
}

}  // namespace hongyan::bench
