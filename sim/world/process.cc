#include "sim/world/process.h"

#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "runtime/coro/sync.h"

namespace hongyan::sim {

namespace {

using runtime::Scheduler;

class SimLane : public runtime::Lane {
 public:
  SimLane(World& world, SimDisk& disk, Random random, int threads)
      : world_(world), disk_(disk), random_(random), one_at_a_time_(threads == 1) {}

  void run(const std::function<void()>& work) override {
    if (!Scheduler::in_coroutine()) return work();
    if (one_at_a_time_) enter();
    Scheduler& scheduler = world_.scheduler();
    (void)disk_.take_cost();
    scheduler.run_on_thread_stack(work);
    wait(disk_.take_cost() + Duration(20'000 + random_.below(80'000)));
    if (one_at_a_time_) leave();
  }

 private:
  void enter() {
    if (busy_) {
      waiting_.wait_uncancellable();  // Who leaves hands over to us.
    } else {
      busy_ = true;
    }
  }
  void leave() {
    if (!waiting_.wake_one()) busy_ = false;
  }
  // A process whose disk has died does not come back from here: it is about to be killed.
  void wait(Duration duration) {
    Scheduler& scheduler = world_.scheduler();
    runtime::Coroutine* self = scheduler.running();
    if (!disk_.dead()) world_.plan(duration, [&scheduler, self] { scheduler.wake(self); });
    scheduler.park_uncancellable();
  }

  World& world_;
  SimDisk& disk_;
  Random random_;
  const bool one_at_a_time_;
  bool busy_ = false;
  runtime::WaitList waiting_;
};

}  // namespace

void SimLog::write(const runtime::LogEvent& event) {
  fmt::memory_buffer text;
  put_text(text, event);
  world_.note(process_ + " logs " + std::string(name_of(event.level)) + ": " + fmt::to_string(text));
}

SimEnv::SimEnv(World& world, SimDisk& disk, const std::string& name, uint64_t incarnation, int64_t utc_offset_ms)
    : world_(world),
      disk_(disk),
      random_(world.random_for(name, incarnation)),
      utc_offset_ms_(utc_offset_ms),
      log_(world, name),
      pool_(make_lane("pool", 4)) {}

int64_t SimEnv::utc_ms() {
  return k_birth_utc_ms + utc_offset_ms_ + runtime::milliseconds(world_.scheduler().now() - k_birth);
}

void SimEnv::random(std::span<char> into) {
  for (size_t done = 0; done < into.size(); done += sizeof(uint64_t)) {
    const uint64_t word = random_.next();
    std::memcpy(into.data() + done, &word, std::min(sizeof(word), into.size() - done));
  }
}

std::unique_ptr<runtime::Lane> SimEnv::make_lane(std::string_view name, int threads) {
  return std::make_unique<SimLane>(world_, disk_, Random(stable_hash(name, random_.next())), threads);
}

Process::Process(World& world, SimDisk& disk, std::string name, uint64_t incarnation, int64_t utc_offset_ms)
    : world_(world), disk_(disk), domain_(world.new_domain()),
      env_(new SimEnv(world, disk, name, incarnation, utc_offset_ms)) {}

Process::~Process() { kill(); }

void Process::spawn(std::string_view name, std::function<void()> body) {
  CHECK(alive_);
  world_.scheduler().spawn_in(domain_, name, std::move(body));
}

void Process::kill() {
  if (!alive_) return;
  alive_ = false;
  disk_.die();
  world_.scheduler().kill(domain_);
}

}  // namespace hongyan::sim
