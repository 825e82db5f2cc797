// Goal: several overloaded instances and their callers together serve what they can, the important first, and whole
// actions of the same users; beside refusal by chance. Method: an event simulation on virtual time: instances with a
// fixed cost for each call and for each refusal, one queue each; callers that honour levels; arrivals drawn
// from a seed, three times what the instances can do.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

#include "base/random.h"
#include "rpc/overload/dagor.h"
#include "rpc/overload/instance_level.h"

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Priority;
using runtime::Time;
using namespace std::chrono_literals;

// What an instance pays for a call and for a refusal.
struct Costs {
  Duration call = 1ms;
  Duration refusal = 100us;
  double per_second() const { return static_cast<double>(Duration(1s) / call); }
};
constexpr Costs k_dear_refusals = {};  // A tenth of a call: the worst that is allowed for.
constexpr Costs k_as_measured = {.call = 200us, .refusal = 2us};  // As in ./hongyan bench overload.
constexpr Duration k_deadline = 500ms;
constexpr size_t k_instances = 3;
constexpr size_t k_callers = 4;
constexpr double k_overload = 3;
constexpr int k_warm_up = 5, k_seconds = 30, k_counted = k_seconds - 1 - k_warm_up;  // What begins in these.

enum class Refusing { by_level, by_chance, never };

struct Action {
  Priority priority;
  Time deadline{};
  int calls_left = 0;
  size_t caller = 0;
  bool counts = false;
};

struct Numbers {
  std::array<int, 3> asked{}, done{};  // By business: 20, 50, 110.
  int calls_done = 0, refused_there = 0, refused_here = 0, late = 0;
  double capacity = 0;  // Of all instances, in calls a second.
  double goodput() const { return calls_done / (capacity * k_counted); }
  double actions(int calls) const { return (done[0] + done[1] + done[2]) / (capacity / calls * k_counted); }
  double top() const { return static_cast<double>(done[0]) / asked[0]; }
  std::string text() const {
    std::string out;
    for (int n : asked) out += std::to_string(n) + " ";
    for (int n : done) out += std::to_string(n) + " ";
    return out + std::to_string(calls_done) + " " + std::to_string(refused_there) + " " + std::to_string(refused_here) + " " +
           std::to_string(late);
  }
};

class Sim {
 public:
  Sim(Refusing refusing, int calls, uint64_t seed, Costs costs) : refusing_(refusing), calls_(calls), costs_(costs), random_(seed) {
    numbers_.capacity = k_instances * costs.per_second();
  }

  Numbers run() {
    const double actions_per_second = k_overload * numbers_.capacity / calls_;
    at(Time{}, [this, actions_per_second] { arrive(actions_per_second); });
    const Time end = Time{} + std::chrono::seconds(k_seconds);
    while (!events_.empty() && events_.top().time < end) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.time;
      event.work();
    }
    return numbers_;
  }
  // What this instance says of itself instead of the truth.
  int liar = -1;
  std::array<int, k_instances> done_by{};

 private:
  struct Event {
    Time time;
    uint64_t number;
    std::function<void()> work;
    bool operator<(const Event& other) const { return std::tie(other.time, other.number) < std::tie(time, number); }
  };
  struct Waiting {
    std::shared_ptr<Action> action;
    Time since{};
  };
  struct Instance {
    Dagor dagor;
    std::deque<Waiting> queue;
    bool busy = false;
    double chance = 0;  // Of refusal by chance: PhxRPC's FastReject, 5 % up or down every second.
    Time tick{};
    Duration waits{};
    int samples = 0;
  };

  void at(Time time, std::function<void()> work) { events_.push({time, events_made_++, std::move(work)}); }

  void arrive(double per_second) {
    auto action = std::make_shared<Action>();
    const size_t kind = std::min<size_t>(2, random_.below(10) / 2);  // 20 % sends, 20 % group sends, 60 % searches.
    constexpr uint8_t k_business[] = {20, 50, 110};
    action->priority = {.business = k_business[kind], .user = static_cast<uint8_t>(random_.below(128))};
    action->deadline = now_ + k_deadline;
    action->calls_left = calls_;
    action->caller = random_.below(k_callers);
    action->counts = now_ >= Time{} + std::chrono::seconds(k_warm_up) && now_ < Time{} + std::chrono::seconds(k_seconds - 1);
    if (action->counts) ++numbers_.asked[kind];
    next_call(action);
    const double pause = (0.5 + random_.unit()) / per_second;
    at(now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(pause)), [this, per_second] { arrive(per_second); });
  }

  void next_call(const std::shared_ptr<Action>& action) {
    const size_t to = random_.below(k_instances);
    if (refusing_ == Refusing::by_level && !levels_[action->caller][to].may_leave(action->priority, now_)) {
      ++numbers_.refused_here;
      return;
    }
    instances_[to].queue.push_back({action, now_});
    if (!instances_[to].busy) work(to);
  }

  void work(size_t which) {
    Instance& instance = instances_[which];
    instance.busy = !instance.queue.empty();
    if (!instance.busy) return;
    const Waiting one = instance.queue.front();
    instance.queue.pop_front();
    const Duration wait = now_ - one.since;
    const bool late = now_ >= one.action->deadline;
    const bool taken = !late && takes(instance, *one.action, wait);
    if (late) {
      ++numbers_.late;
      instance.dagor.late(one.action->priority, wait, now_);
    } else if (!taken) {
      ++numbers_.refused_there;
    }
    at(now_ + (taken ? costs_.call : costs_.refusal), [this, which, one, taken] {
      const uint32_t level = static_cast<int>(which) == liar ? 0 : instances_[which].dagor.level();
      levels_[one.action->caller][which].heard(level, now_);
      if (taken) finished(which, one.action);
      work(which);
    });
  }

  bool takes(Instance& instance, const Action& action, Duration wait) {
    if (refusing_ == Refusing::never) return true;
    if (refusing_ == Refusing::by_level) {
      const bool taken = instance.dagor.admit(action.priority, wait, now_);
      instance.dagor.waited(wait, now_);
      return taken;
    }
    instance.waits += wait;
    ++instance.samples;
    if (now_ - instance.tick >= 1s) {
      const bool bad = instance.waits / instance.samples > Duration(20ms);
      instance.chance = std::clamp(instance.chance + (bad ? 0.05 : -0.05), 0.0, 0.99);
      instance.tick = now_;
      instance.waits = {};
      instance.samples = 0;
    }
    return random_.unit() >= instance.chance;
  }

  void finished(size_t which, const std::shared_ptr<Action>& action) {
    if (now_ >= action->deadline) return;
    if (action->counts) ++numbers_.calls_done;
    ++done_by[which];
    if (--action->calls_left > 0) return next_call(action);
    if (action->counts) ++numbers_.done[action->priority.business == 20 ? 0 : action->priority.business == 50 ? 1 : 2];
  }

  const Refusing refusing_;
  const int calls_;
  const Costs costs_;
  Random random_;
  Time now_{};
  uint64_t events_made_ = 0;
  std::priority_queue<Event> events_;
  std::array<Instance, k_instances> instances_;
  std::array<std::array<InstanceLevel, k_instances>, k_callers> levels_;
  Numbers numbers_;
};

Numbers run(Refusing refusing, int calls, uint64_t seed, Costs costs = k_dear_refusals) {
  return Sim(refusing, calls, seed, costs).run();
}

// The figures that ./hongyan bench overload measures on a real machine are facts here.
TEST(OverloadSim, at_three_times_the_capacity_instances_do_what_they_can_and_the_important_get_through) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Numbers numbers = run(Refusing::by_level, 1, seed, k_as_measured);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + numbers.text());
    EXPECT_GE(numbers.goodput(), 0.97);
    EXPECT_GE(numbers.top(), 0.999);
    EXPECT_LT(numbers.refused_there, numbers.refused_here);
  }
}

TEST(OverloadSim, refusals_that_cost_a_tenth_of_a_call_cost_little_goodput) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Numbers numbers = run(Refusing::by_level, 1, seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + numbers.text());
    EXPECT_GE(numbers.goodput(), 0.94);
    EXPECT_GE(numbers.top(), 0.99);
    EXPECT_LT(numbers.refused_there, numbers.refused_here);
  }
}

TEST(OverloadSim, without_refusals_nearly_everything_is_late) {
  const Numbers numbers = run(Refusing::never, 1, 1);
  EXPECT_LT(numbers.goodput(), 0.5) << numbers.text();
}

TEST(OverloadSim, actions_of_four_calls_are_finished_for_the_same_users) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    for (const Costs& costs : {k_dear_refusals, k_as_measured}) {
      const Numbers by_level = run(Refusing::by_level, 4, seed, costs);
      const Numbers by_chance = run(Refusing::by_chance, 4, seed, costs);
      SCOPED_TRACE("seed " + std::to_string(seed) + ": " + by_level.text() + "; by chance: " + by_chance.text());
      EXPECT_GE(by_level.actions(4), 0.9);
      EXPECT_GE(by_level.top(), 0.98);
      EXPECT_LT(by_chance.actions(4), by_level.actions(4) * 0.4);
    }
  }
}

TEST(OverloadSim, an_instance_that_lies_about_its_level_loses_calls_and_costs_the_others_none_that_matter) {
  Sim sim(Refusing::by_level, 1, 7, k_dear_refusals);
  sim.liar = 0;  // "I take nothing but the most important of all."
  sim.run();
  EXPECT_LT(sim.done_by[0], 0.15 * sim.done_by[1]);
  EXPECT_GT(sim.done_by[1], 0.9 * 1000 * (k_seconds - k_warm_up));
  EXPECT_GT(sim.done_by[2], 0.9 * 1000 * (k_seconds - k_warm_up));
}

TEST(OverloadSim, the_same_seed_gives_the_same_run) {
  EXPECT_EQ(run(Refusing::by_level, 4, 5).text(), run(Refusing::by_level, 4, 5).text());
  EXPECT_NE(run(Refusing::by_level, 4, 5).text(), run(Refusing::by_level, 4, 6).text());
}

}  // namespace
}  // namespace hongyan::rpc
