// When workers are started, drained and killed. The plan is told what happened and asked what to do, at times of ours.
#include "runtime/os/worker_plan.h"

#include <gtest/gtest.h>

#include <optional>

#include "runtime/os/inherited.h"

namespace hongyan::runtime {
namespace {

using namespace std::chrono_literals;

WorkerRules three() {
  return {.workers = 3, .restart_every = 60s, .memory_max_bytes = 1000, .drain_limit = 20s, .start_limit = 5s,
          .crash_pause_min = 100ms, .crash_pause_max = 1s, .settled = 10s};
}

class WorkerPlanTest : public testing::Test {
 protected:
  // One action of that kind; none or several fail.
  std::optional<WorkerAction> only(WorkerDo what) {
    const auto actions = plan_.step(now_);
    EXPECT_EQ(actions.size(), 1u);
    if (actions.size() != 1 || actions[0].what != what) {
      ADD_FAILURE() << "another action";
      return {};
    }
    return actions[0];
  }
  void all_serve() {
    for (const WorkerAction& action : plan_.step(now_)) {
      ids_.push_back(action.id);
      plan_.serves(action.id, now_);
    }
    ASSERT_TRUE(plan_.all_serve());
  }

  Time now_ = Time{} + 1000s;
  WorkerPlan plan_{three(), now_};
  std::vector<uint64_t> ids_;
};

TEST_F(WorkerPlanTest, the_replacement_serves_before_the_old_one_drains) {
  all_serve();
  plan_.memory(ids_[1], 1001, now_ + 11s);
  now_ += 11s;
  const auto start = only(WorkerDo::start);
  EXPECT_EQ(start->slot, 1u);
  EXPECT_EQ(start->cause, WorkerCause::memory);
  EXPECT_TRUE(plan_.step(now_).empty());
  plan_.serves(start->id, now_);
  EXPECT_EQ(only(WorkerDo::drain)->id, ids_[1]);
  EXPECT_EQ(plan_.restarts(WorkerCause::memory), 1u);
  plan_.ended(ids_[1], now_);
  EXPECT_EQ(plan_.crashes(), 0u) << "it was told to";
}

TEST_F(WorkerPlanTest, schedules_are_spread_and_one_goes_at_a_time) {
  all_serve();
  now_ += 59s;
  EXPECT_TRUE(plan_.step(now_).empty());
  EXPECT_EQ(plan_.next(), now_ + 1s);
  now_ += 1s;
  auto start = only(WorkerDo::start);
  EXPECT_EQ(start->slot, 0u);
  EXPECT_EQ(start->cause, WorkerCause::schedule);
  now_ += 60s;  // All are due, but one is under way and does not come.
  EXPECT_EQ(only(WorkerDo::kill)->id, start->id);
  plan_.ended(start->id, now_);
  start = only(WorkerDo::start);
  EXPECT_EQ(start->slot, 0u);
  plan_.serves(start->id, now_);
  EXPECT_EQ(only(WorkerDo::drain)->id, ids_[0]);
  EXPECT_TRUE(plan_.step(now_).empty()) << "slot 1 waits for the old one of slot 0";
  plan_.ended(ids_[0], now_);
  EXPECT_EQ(only(WorkerDo::start)->slot, 1u);
}

TEST_F(WorkerPlanTest, crashes_in_a_row_wait_longer_and_longer) {
  all_serve();
  uint64_t id = ids_[2];
  for (const Duration pause : {Duration(0), Duration(100ms), Duration(200ms), Duration(400ms), Duration(800ms), Duration(1s), Duration(1s)}) {
    plan_.ended(id, now_);
    if (pause > 0ms) {
      EXPECT_TRUE(plan_.step(now_).empty());
      EXPECT_EQ(plan_.next(), now_ + pause);
      now_ += pause;
    }
    const auto start = only(WorkerDo::start);
    EXPECT_EQ(start->slot, 2u);
    id = start->id;
    plan_.serves(id, now_);
  }
  EXPECT_EQ(plan_.crashes(), 7u);
  now_ += 10s;  // It has settled.
  plan_.ended(id, now_);
  EXPECT_EQ(only(WorkerDo::start)->cause, WorkerCause::crash);
}

TEST_F(WorkerPlanTest, who_does_not_drain_in_time_is_killed) {
  all_serve();
  plan_.stop();
  EXPECT_EQ(plan_.step(now_).size(), 3u);
  now_ += 20s;
  EXPECT_EQ(plan_.step(now_).size(), 3u);
  EXPECT_TRUE(plan_.step(now_).empty());
  EXPECT_FALSE(plan_.stopped());
  for (const uint64_t id : ids_) plan_.ended(id, now_);
  EXPECT_TRUE(plan_.stopped());
  EXPECT_TRUE(plan_.step(now_).empty());
}

TEST_F(WorkerPlanTest, a_first_worker_that_never_served_ends_it) {
  const auto actions = plan_.step(now_);
  plan_.ended(actions[0].id, now_);
  EXPECT_TRUE(plan_.hopeless());
  EXPECT_TRUE(plan_.step(now_).empty());
}

TEST_F(WorkerPlanTest, one_that_is_too_big_from_its_start_is_not_replaced_at_once) {
  all_serve();
  plan_.memory(ids_[0], 5000, now_ + 9s);
  EXPECT_TRUE(plan_.step(now_ + 9s).empty());
  plan_.memory(ids_[0], 5000, now_ + 10s);
  now_ += 10s;
  EXPECT_EQ(only(WorkerDo::start)->slot, 0u);
}

TEST_F(WorkerPlanTest, a_replacement_that_crashes_leaves_the_old_one_serving) {
  all_serve();
  plan_.roll();
  const auto start = only(WorkerDo::start);
  plan_.ended(start->id, now_);
  EXPECT_TRUE(plan_.all_serve());
  EXPECT_EQ(only(WorkerDo::start)->slot, start->slot);
  plan_.ended(ids_[start->slot], now_);  // And the old one while the new one starts.
  EXPECT_TRUE(plan_.step(now_).empty());
}

TEST(Inherited, says_which_worker_it_is_of_how_many) {
  const auto inherited = parse_inherited("share=1,3");
  ASSERT_TRUE(inherited.ok());
  EXPECT_EQ(inherited->share.index, 1u);
  EXPECT_EQ(inherited->share.count, 3u);
  EXPECT_EQ(parse_inherited("")->share.count, 1u);
  for (const char* wrong : {"share=3,3", "share=0,0", "share=1", "share=x,2", "share=1,99999"}) {
    EXPECT_EQ(parse_inherited(wrong).code(), Code::invalid) << wrong;
  }
}

}  // namespace
}  // namespace hongyan::runtime
