#include "sim/run.h"

#include <fmt/format.h>

#include "sim/check/final_check.h"
#include "sim/faults/weather_maker.h"
#include "sim/workload/people.h"

namespace hongyan::sim {

namespace {

constexpr Duration k_set_up_max = 300s;
constexpr Duration k_settle_max = 900s;
// Longer than any timer by which devices or workers look again: after it only what is broken is still missing.
constexpr Duration k_quiet = 45s;

class Run {
 public:
  explicit Run(const RunOptions& options)
      : world_(options.seed),
        ledger_(world_),
        net_(world_, ledger_),
        server_(world_, ledger_, net_, options.mutant),
        stage_{.world = world_, .ledger = ledger_, .net = net_, .server = server_, .mutant = options.mutant,
               .domain = world_.new_domain()},
        random_(world_.random_for("run")),
        length_(20s + Duration(random_.below(70'000'000'000))),
        people_(stage_, 2 + random_.below(4)),
        weather_(stage_, length_) {
    if (options.listener) world_.trace().listen(options.listener);
  }

  void play() {
    server_.boot();
    if (!server_up()) return;
    people_.sign_up_all();
    if (!wait_until(k_set_up_max, [this] { return people_.ready(); })) return stuck("set up");
    weather_.begin();
    people_.act();
    if (!pass(length_)) return;
    people_.rest();
    weather_.end();
    if (!wait_until(60s, [this] { return server_.up(); })) return stuck("the server comes up in fine weather");
    if (!pass(Net::k_longest)) return;
    people_.come_back();
    if (!pass(1s)) return;
    if (!wait_until(k_settle_max, [this] { return people_.settled(); })) return stuck("everything is sent in fine weather:" + people_.unsettled());
    if (!pass(k_quiet)) return;
    check();
  }

  Outcome outcome(uint64_t seed) {
    if (!ledger_.violation() && ledger_.tally.faults == 0) ledger_.violated("a run has faults", "none fired");
    if (!ledger_.violation() && ledger_.tally.messages_acked == 0) ledger_.violated("a run has messages", "none was acked");
    Outcome out;
    out.seed = seed;
    out.ok = !ledger_.violation();
    if (ledger_.violation()) {
      out.invariant = ledger_.violation()->invariant;
      out.detail = ledger_.violation()->detail;
      for (const std::string& line : world_.trace().newest()) out.newest_events += line + "\n";
    }
    out.events = world_.trace().events();
    out.hash = world_.trace().hash();
    out.messages = ledger_.tally.messages_acked;
    out.virtual_seconds = static_cast<double>(runtime::milliseconds(world_.now() - k_birth)) / 1000;
    out.weather = weather_.describe();
    out.tally = ledger_.tally;
    return out;
  }

 private:
  bool server_up() { return wait_until(60s, [this] { return server_.up(); }); }

  // False: the run has been decided.
  bool pass(Duration duration) {
    (void)world_.run(after(world_.now(), duration));
    return !ledger_.violation();
  }
  bool wait_until(Duration limit, const std::function<bool()>& reached) {
    const Time end = after(world_.now(), limit);
    while (!reached()) {
      if (world_.now() >= end || !pass(500ms)) return false;
    }
    return true;
  }
  void stuck(const std::string& what) { ledger_.violated("what was begun is finished", what + "\n" + world_.scheduler().dump()); }

  void check() {
    bool done = false;
    world_.scheduler().spawn_in(stage_.domain, "final check", [&] {
      FinalCheck(stage_, people_).run();
      done = true;
      world_.stop();
    });
    (void)world_.run(after(world_.now(), k_settle_max));
    if (!done && !ledger_.violation()) stuck("the final check");
  }

  World world_;
  Ledger ledger_;
  Net net_;
  Server server_;
  Stage stage_;
  Random random_;
  Duration length_;
  People people_;
  WeatherMaker weather_;
};

}  // namespace

Outcome run_seed(const RunOptions& options) {
  auto* run = new Run(options);  // Coroutines that will never run again still stand in it.
  run->play();
  return run->outcome(options.seed);
}

}  // namespace hongyan::sim
