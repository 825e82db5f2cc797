#include "sim/faults/weather_maker.h"

#include <fmt/format.h>

namespace hongyan::sim {

namespace {

constexpr size_t k_devices = 12;        // More than most runs have; the others are not there to be cut off.
constexpr int64_t k_minute_ms = 60'000;

}  // namespace

WeatherMaker::WeatherMaker(Stage& stage, Duration length)
    : stage_(stage), length_(length), random_(stage.world.random_for("weather")) {}

void WeatherMaker::at_some_moment(double from, double to, std::function<void()> happening) {
  const double at = from + (to - from) * random_.unit();
  const auto wait = Duration(static_cast<int64_t>(static_cast<double>(length_.count()) * at));
  stage_.world.plan(wait, [this, happening = std::move(happening)] {
    if (!over_) happening();
  });
}

void WeatherMaker::begin() {
  Weather& weather = stage_.net.weather;
  weather.delay_max = Duration((5 + random_.below(120)) * 1'000'000);
  if (random_.one_in(2)) weather.lost = 0.06 * random_.unit();
  if (random_.one_in(2)) weather.doubled = 0.10 * random_.unit();
  if (random_.one_in(2)) weather.late = 0.10 * random_.unit();
  description_ = fmt::format("lost {:.3f} doubled {:.3f} late {:.3f}", weather.lost, weather.doubled, weather.late);
  if (!random_.one_in(5)) plan_crashes();
  if (random_.one_in(4)) {
    description_ += " restart";
    at_some_moment(0.1, 0.9, [this] { stage_.server.restart(); });
  }
  if (random_.one_in(2)) plan_partitions(k_devices);
  if (random_.one_in(4)) plan_clock();
  if (random_.one_in(3)) plan_disk();
  if (random_.one_in(4)) plan_restore();
  // No run without any: one plain kill.
  if (description_.find("crashes") == std::string::npos) {
    at_some_moment(0.2, 0.8, [this] { stage_.server.crash(500ms); });
  }
  stage_.world.note("weather: " + description_);
}

void WeatherMaker::plan_crashes() {
  const uint64_t crashes = 1 + random_.below(6);
  description_ += fmt::format(" crashes {}", crashes);
  for (uint64_t i = 0; i < crashes; ++i) {
    const uint64_t operation = 1 + random_.below(40);
    const auto moment = static_cast<SimDisk::CrashMoment>(random_.below(3));
    const Duration down = 50ms + Duration(random_.below(4'000'000'000));
    const bool at_once = random_.one_in(4);
    at_some_moment(0, 1, [this, operation, moment, down, at_once] {
      if (at_once) stage_.server.crash(down);
      else stage_.server.crash_at_operation(operation, moment, down);
    });
  }
}

void WeatherMaker::plan_partitions(size_t devices) {
  const uint64_t partitions = 1 + random_.below(4);
  description_ += fmt::format(" partitions {}", partitions);
  for (uint64_t i = 0; i < partitions; ++i) {
    const size_t device = random_.below(devices);
    const Duration lasts = 500ms + Duration(random_.below(15'000'000'000));
    at_some_moment(0, 0.9, [this, device, lasts] {
      ++stage_.ledger.tally.faults;
      stage_.world.note(fmt::format("d{} is cut off", device));
      stage_.net.cut(device, true);
      stage_.world.plan(lasts, [this, device] { stage_.net.cut(device, false); });
    });
  }
}

void WeatherMaker::plan_clock() {
  const uint64_t jumps = 1 + random_.below(2);
  description_ += fmt::format(" clock jumps {}", jumps);
  for (uint64_t i = 0; i < jumps; ++i) {
    const auto minutes = static_cast<int64_t>(random_.one_in(2) ? 1 + random_.below(90) : 60 * (1 + random_.below(72)));
    const int64_t by = (random_.one_in(2) ? -1 : 1) * minutes * k_minute_ms;
    at_some_moment(0, 1, [this, by] {
      stage_.clock_jumped = true;
      stage_.server.jump_clock(by);
    });
  }
}

void WeatherMaker::plan_disk() {
  description_ += " disk";
  const Duration lasts = 1s + Duration(random_.below(10'000'000'000));
  const bool full = random_.one_in(2);
  at_some_moment(0, 0.9, [this, lasts, full] {
    ++stage_.ledger.tally.faults;
    stage_.world.note(full ? "the disk is full" : "the disk is slow");
    if (full) stage_.server.disk().set_full(true);
    else stage_.server.disk().set_slow(true);
    stage_.world.plan(lasts, [this] {
      stage_.server.disk().set_full(false);
      stage_.server.disk().set_slow(false);
    });
  });
}

void WeatherMaker::plan_restore() {
  description_ += " restore";
  const Duration down = 500ms + Duration(random_.below(3'000'000'000));
  at_some_moment(0, 0.4, [this] { stage_.server.take_backup(); });
  at_some_moment(0.5, 0.9, [this, down] {
    if (stage_.server.has_backup()) stage_.server.restore_backup(down);
  });
}

void WeatherMaker::end() {
  over_ = true;
  // Crashes that wait for the disk's next operations may wait in vain where few come: no run without any.
  if (stage_.ledger.tally.faults == 0) stage_.server.crash(500ms);
  stage_.world.note("the weather is fine again");
  stage_.net.heal();
  SimDisk& disk = stage_.server.disk();
  disk.set_full(false);
  disk.set_slow(false);
  disk.no_crash();
}

}  // namespace hongyan::sim
