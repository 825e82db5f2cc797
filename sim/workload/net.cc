#include "sim/workload/net.h"

namespace hongyan::sim {

void Net::heal() {
  weather = {};
  cut_.clear();
}

bool Net::reachable(size_t device) const {
  const auto found = cut_.find(device);
  return found == cut_.end() || !found->second;
}

int Net::carry(size_t device, const std::function<void()>& arrive) {
  if (!reachable(device)) return 0;
  int copies = 1;
  if (random_.unit() < weather.lost) copies = 0;
  else if (random_.unit() < weather.doubled) copies = 2;
  if (copies != 1) ++ledger_.tally.faults;
  for (int i = 0; i < copies; ++i) {
    Duration delay = weather.delay_min +
                     Duration(random_.below(static_cast<uint64_t>((weather.delay_max - weather.delay_min).count()) + 1));
    if (random_.unit() < weather.late) {
      delay += Duration(random_.below(3'000'000'000));
      ++ledger_.tally.faults;
    }
    world_.plan(delay, [this, device, arrive] {
      if (reachable(device)) arrive();  // A partition also takes what was under way.
    });
  }
  return copies;
}

}  // namespace hongyan::sim
