#include "sim/batch.h"

#include <fmt/format.h>
#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>

#include "base/check.h"
#include "sim/run.h"

namespace hongyan::sim {

namespace {

// A run takes a second; one that takes so long hangs.
constexpr unsigned k_run_seconds_max = 120;
// Of events and of detail: together they fit a pipe.
constexpr size_t k_told_max = 25'000;

struct Options {
  uint64_t seed = 0;
  std::string seeds;
  uint64_t fresh = 0;
  std::string mutant = "none";
  bool mutants = false;
  bool list_mutants = false;
  bool trace = false;
  bool twice = false;
  unsigned time_limit_s = 0;
  unsigned jobs = 2;
  uint64_t mutant_seeds_max = 200;
};

// libsodium's own chance is the kernel's: whoever asks for it would break replay.
const char* no_chance_name() { return "none"; }
uint32_t no_chance_number() {
  const bool chance_comes_from_env = false;
  CHECK(chance_comes_from_env);
  return 0;
}
void no_chance_bytes(void* const, const size_t) { no_chance_number(); }

void forbid_foreign_chance() {
  static randombytes_implementation none = {.implementation_name = no_chance_name,
                                            .random = no_chance_number,
                                            .stir = nullptr,
                                            .uniform = nullptr,
                                            .buf = no_chance_bytes,
                                            .close = nullptr};
  CHECK(sodium_init() >= 0);
  CHECK(randombytes_set_implementation(&none) == 0);
}

// What a run's process tells: lines "key value", the rest is the newest events.
struct Verdict {
  uint64_t seed = 0;
  bool ok = false;
  std::string line;
  std::string report;
  uint64_t hash = 0;
  uint64_t calls = 0, answered = 0;
};

std::string line_of(const Outcome& out) {
  return fmt::format("seed {} {} events {} messages {} checked {} crashes {} faults {} probes {} resets {} markers {} virtual {:.0f} s  hash {:016x}  {}",
                     out.seed, out.ok ? "ok" : "FAILED", out.events, out.messages, out.tally.messages_checked,
                     out.tally.crashes, out.tally.faults, out.tally.probes, out.tally.resets, out.tally.markers, out.virtual_seconds,
                     out.hash, out.weather);
}

void write_all(int to, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(to, text.data() + done, text.size() - done);
    if (wrote <= 0) return;
    done += static_cast<size_t>(wrote);
  }
}

// In the child.
[[noreturn]] void run_and_tell(uint64_t seed, Mutant mutant, bool trace, int to) {
  alarm(k_run_seconds_max);
  RunOptions options{.seed = seed, .mutant = mutant};
  if (trace) options.listener = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  const Outcome out = run_seed(options);
  write_all(to, fmt::format("{} {} {} {}\n{}\n", out.ok ? 1 : 0, out.hash, out.tally.calls, out.tally.calls_answered, line_of(out)));
  if (!out.ok) {
    write_all(to, fmt::format("{}  violated: {}\n  {}\n", out.newest_events.substr(0, k_told_max), out.invariant,
                              out.detail.substr(0, k_told_max)));
  }
  std::fflush(stdout);
  _exit(0);
}

struct Child {
  uint64_t seed = 0;
  int from = -1;
  std::string told;
};

Verdict verdict_of(const Child& child, int status) {
  Verdict verdict{.seed = child.seed, .ok = false, .line = {}, .report = {}};
  int ok = 0;
  int used = 0;
  if (std::sscanf(child.told.c_str(), "%d %lu %lu %lu\n%n", &ok, &verdict.hash, &verdict.calls, &verdict.answered, &used) == 4) {
    const size_t end = child.told.find('\n', static_cast<size_t>(used));
    verdict.ok = ok == 1;
    verdict.line = child.told.substr(static_cast<size_t>(used), end - static_cast<size_t>(used));
    verdict.report = end == std::string::npos ? "" : child.told.substr(end + 1);
    return verdict;
  }
  const bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
  verdict.line = fmt::format("seed {} FAILED", child.seed);
  verdict.report = hung ? "  the run hangs\n" : "  the run aborted: see above\n";
  return verdict;
}

// Runs seeds until `next` has no more; `judge` may stop it by false.
void run_seeds(unsigned jobs, Mutant mutant, bool trace, const std::function<std::optional<uint64_t>()>& next,
               const std::function<bool(const Verdict&)>& judge) {
  std::map<pid_t, Child> children;
  bool more = true;
  while (more || !children.empty()) {
    while (more && children.size() < jobs) {
      const std::optional<uint64_t> seed = next();
      if (!seed) {
        more = false;
        break;
      }
      int ends[2];
      CHECK(pipe(ends) == 0);
      std::fflush(stdout);
      const pid_t pid = fork();
      CHECK(pid >= 0);
      if (pid == 0) {
        close(ends[0]);
        run_and_tell(*seed, mutant, trace, ends[1]);
      }
      close(ends[1]);
      children[pid] = Child{.seed = *seed, .from = ends[0], .told = {}};
    }
    if (children.empty()) break;
    // A child's words fit its pipe (64 KiB), so it ends whether we listen or not.
    int status = 0;
    const pid_t ended = wait(&status);
    CHECK(ended > 0);
    Child child = std::move(children.at(ended));
    children.erase(ended);
    char buffer[4096];
    for (ssize_t got; (got = read(child.from, buffer, sizeof buffer)) > 0;) child.told.append(buffer, static_cast<size_t>(got));
    close(child.from);
    if (!judge(verdict_of(child, status))) more = false;
  }
}

std::function<std::optional<uint64_t>()> counting(uint64_t first, uint64_t last, time_t until) {
  auto at = std::make_shared<uint64_t>(first);
  return [at, last, until]() -> std::optional<uint64_t> {
    if (*at > last || (until != 0 && time(nullptr) >= until)) return std::nullopt;
    return (*at)++;
  };
}

struct Campaign {
  uint64_t runs = 0, failed = 0, calls = 0, answered = 0;

  bool add(const Verdict& verdict) {
    ++runs;
    calls += verdict.calls;
    answered += verdict.answered;
    if (!verdict.ok) ++failed;
    std::printf("%s\n", verdict.line.c_str());
    if (!verdict.ok) std::printf("%sreplay: ./hongyan sim --seed %lu --trace\n", verdict.report.c_str(), verdict.seed);
    std::fflush(stdout);
    return true;
  }
  void close() const {
    const double availability = calls == 0 ? 0 : static_cast<double>(answered) / static_cast<double>(calls);
    const double nines = answered == calls ? 9.9 : -std::log10(1 - availability);
    std::printf("%lu runs, %lu failed; availability while reachable %.5f, %.1f nines (%lu of %lu calls answered)\n", runs,
                failed, availability, nines, answered, calls);
  }
};

// The same seed twice must be the same run.
int check_replay(uint64_t first, uint64_t last) {
  int differing = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    std::vector<uint64_t> hashes;
    auto at = std::make_shared<int>(0);
    run_seeds(2, Mutant::none, false,
              [at, seed]() -> std::optional<uint64_t> { return (*at)++ < 2 ? std::optional(seed) : std::nullopt; },
              [&](const Verdict& verdict) {
                hashes.push_back(verdict.hash);
                return true;
              });
    const bool same = hashes.size() == 2 && hashes[0] == hashes[1];
    if (!same) ++differing;
    std::printf("seed %lu %s %016lx\n", seed, same ? "replays" : "DOES NOT REPLAY", hashes[0]);
  }
  return differing == 0 ? 0 : 1;
}

// The seed at which a mutant is caught; none: it got away.
std::optional<uint64_t> hunt(Mutant mutant, uint64_t seeds_max, unsigned jobs, std::string& invariant) {
  std::optional<uint64_t> caught;
  run_seeds(jobs, mutant, false, counting(1, seeds_max, 0), [&](const Verdict& verdict) {
    if (verdict.ok) return !caught.has_value();
    if (!caught || verdict.seed < *caught) {
      caught = verdict.seed;
      const size_t at = verdict.report.find("  violated: ");
      invariant = at == std::string::npos ? "the run aborts" : verdict.report.substr(at + 12, verdict.report.find('\n', at) - at - 12);
    }
    return false;
  });
  return caught;
}

int hunt_mutants(const Options& options) {
  int escaped = 0;
  for (const MutantInfo& info : all_mutants()) {
    std::string invariant;
    const auto seed = hunt(info.mutant, options.mutant_seeds_max, options.jobs, invariant);
    if (!seed) ++escaped;
    const std::string how = seed ? fmt::format("caught at seed {}: {}", *seed, invariant) : "NOT CAUGHT";
    std::printf("%-18s %s\n", std::string(info.name).c_str(), how.c_str());
    std::fflush(stdout);
  }
  return escaped == 0 ? 0 : 1;
}

bool parse_range(const std::string& text, uint64_t& first, uint64_t& last) {
  return std::sscanf(text.c_str(), "%lu..%lu", &first, &last) == 2 && first <= last;
}

}  // namespace

int batch_main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs the whole server with clients under faults, from seeds; a seed replays to the byte.", "hongyan sim");
  app.add_option("--seed", options.seed, "one run");
  app.add_option("--seeds", options.seeds, "A..B: these runs (default 1..20)");
  app.add_option("--fresh", options.fresh, "that many runs of seeds nobody has seen");
  app.add_option("--mutant", options.mutant, "with a bug on purpose; see --list-mutants");
  app.add_flag("--mutants", options.mutants, "every mutant must be caught");
  app.add_flag("--list-mutants", options.list_mutants, "what they are");
  app.add_option("--mutant-seeds", options.mutant_seeds_max, "within so many seeds");
  app.add_flag("--trace", options.trace, "print every event");
  app.add_flag("--twice", options.twice, "run each seed twice and compare");
  app.add_option("--time-limit", options.time_limit_s, "begin no run after so many seconds");
  app.add_option("--jobs", options.jobs, "runs at a time")->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);

  if (options.list_mutants) {
    for (const MutantInfo& info : all_mutants()) std::printf("%-18s %s\n", std::string(info.name).c_str(), std::string(info.what).c_str());
    return 0;
  }
  const auto mutant = options.mutant == "none" ? std::optional(Mutant::none) : mutant_named(options.mutant);
  if (!mutant) {
    std::fprintf(stderr, "hongyan sim: there is no mutant '%s'; --list-mutants names them\n", options.mutant.c_str());
    return 2;
  }
  uint64_t first = 1, last = 20;
  if (options.seed != 0) first = last = options.seed;
  if (!options.seeds.empty() && !parse_range(options.seeds, first, last)) {
    std::fprintf(stderr, "hongyan sim: --seeds wants A..B\n");
    return 2;
  }
  if (options.fresh != 0) {
    first = static_cast<uint64_t>(time(nullptr)) * 1000;
    last = first + options.fresh - 1;
  }
  forbid_foreign_chance();
  if (options.mutants) return hunt_mutants(options);
  if (options.twice) return check_replay(first, last);
  Campaign campaign;
  const time_t until = options.time_limit_s == 0 ? 0 : time(nullptr) + options.time_limit_s;
  run_seeds(options.trace ? 1 : options.jobs, *mutant, options.trace, counting(first, last, until),
            [&](const Verdict& verdict) { return campaign.add(verdict); });
  campaign.close();
  return campaign.failed == 0 ? 0 : 1;
}

}  // namespace hongyan::sim
