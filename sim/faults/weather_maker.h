// Which faults a run has, when, and how hard: drawn from the seed before the run begins, so that nothing that happens
// in it changes what will come. Every kind is on in some runs and off in others.
#pragma once

#include <string>

#include "sim/workload/device.h"

namespace hongyan::sim {

class WeatherMaker {
 public:
  WeatherMaker(Stage& stage, Duration length);

  // Plans all faults from now on.
  void begin();
  // No more faults: what is broken is mended.
  void end();
  std::string describe() const { return description_; }

 private:
  void plan_crashes();
  void plan_partitions(size_t devices);
  void plan_clock();
  void plan_disk();
  void plan_restore();
  // At a moment of the run, unless it is over.
  void at_some_moment(double from, double to, std::function<void()> happening);

  Stage& stage_;
  const Duration length_;
  Random random_;
  bool over_ = false;
  std::string description_;
};

}  // namespace hongyan::sim
