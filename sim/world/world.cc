#include "sim/world/world.h"

#include <algorithm>
#include <string>

#include "base/hash.h"

namespace hongyan::sim {

Random World::random_for(std::string_view name, uint64_t number) const {
  return Random(stable_hash(std::string(name) + "/" + std::to_string(number), seed_));
}

void World::plan(Duration wait, std::function<void()> happening) {
  events_.emplace(std::pair(runtime::after(now_, wait), next_event_++), std::move(happening));
}

void World::poll(Time limit) {
  const Time event = events_.empty() ? runtime::k_never : events_.begin()->first.first;
  const Time next = std::max(now_, std::min(event, limit));
  if (limit <= now_ && event > now_) return;  // Nobody wants to wait, nothing is due.
  if (next == runtime::k_never || next > limit_) {
    if (limit_ != runtime::k_never) now_ = std::max(now_, limit_);
    scheduler_.stop();
    return;
  }
  now_ = next;
  if (event > now_) return;
  auto first = events_.extract(events_.begin());
  first.mapped()();  // What it woke runs before the next event.
}

bool World::run(Time limit) {
  limit_ = limit;
  stopped_ = false;
  scheduler_.run();
  return stopped_;
}

void World::stop() {
  stopped_ = true;
  scheduler_.stop();
}

}  // namespace hongyan::sim
