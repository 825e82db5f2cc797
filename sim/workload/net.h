// What lies between devices and the server: messages, not bytes. Each may be late, lost, doubled, overtaken or cut off
// by a partition, as the weather says. In both directions a message is a function that arrives.
#pragma once

#include <functional>
#include <map>

#include "sim/check/ledger.h"
#include "sim/world/world.h"

namespace hongyan::sim {

struct Weather {
  Duration delay_min = 1ms;
  Duration delay_max = 20ms;
  double late = 0;    // Share of messages that take up to 3 s more: others overtake them.
  double lost = 0;
  double doubled = 0;
};

class Net {
 public:
  // Longer than any message is under way.
  static constexpr Duration k_longest = 5s;

  Net(World& world, Ledger& ledger) : world_(world), ledger_(ledger), random_(world.random_for("net")) {}

  Weather weather;
  void cut(size_t device, bool is_cut) { cut_[device] = is_cut; }
  void heal();
  bool reachable(size_t device) const;

  // How many copies are under way: 0, 1 or 2.
  int carry(size_t device, const std::function<void()>& arrive);

 private:
  World& world_;
  Ledger& ledger_;
  Random random_;
  std::map<size_t, bool> cut_;
};

}  // namespace hongyan::sim
