// The worker over the log engine in a TestEnv: time is virtual, so waits of minutes cost nothing.
#include "queue/task/worker.h"

#include <gtest/gtest.h>

#include <set>

#include "runtime/testing/test_env.h"
#include "store/engine/testing/log_store.h"

namespace hongyan::task {
namespace {

using namespace std::chrono_literals;
using store::EntityId;
using store::Work;

constexpr store::WorkTag k_tag = 7;

class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    opened_.reset();
    opened_ = store::open_log_store(env_, {{.id = 1, .name = "t"}});
  }
  store::Store& store() { return opened_->shard(); }
  void run(const std::function<void()>& body) { runtime::run_in_coroutine(env_, body); }
  // Stops the worker before what its handler refers to is gone.
  class Running {
   public:
    explicit Running(WorkerTest& test) : test_(test) {}
    ~Running() {
      if (test_.worker_ == nullptr) return;
      Call call = test_.env_.call();
      EXPECT_TRUE(test_.worker_->stop(call).ok());
      test_.worker_.reset();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    WorkerTest& test_;
  };
  [[nodiscard]] Running start(Worker::Handler handler, WorkerOptions options = {}) {
    worker_ = std::make_unique<Worker>(env_, store(), k_tag, std::move(handler), options);
    worker_->start();
    return Running(*this);
  }
  EntityId entity(int i) { return {1, "e" + std::to_string(i)}; }
  uint64_t mark(int i) {
    Call call = env_.call();
    const auto reply = store().commit(call, {.entity = entity(i), .mark_work = k_tag});
    EXPECT_TRUE(reply.ok());
    return reply->header.version;
  }
  Status clear(Call& call, const Work& work) {
    TRY(store().commit(call, {.entity = work.entity, .visibility = store::Visibility::silent,
                              .work_done = store::WorkDone{.tag = k_tag, .done_up_to = work.marked_at}}));
    return {};
  }
  size_t marked() {
    Call call = env_.call();
    return store().scan_work(call, k_tag, nullptr, 1000)->size();
  }
  void wait(runtime::Duration duration) {
    Call call;
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }

  runtime::TestEnv env_;
  std::unique_ptr<store::OpenStore> opened_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, every_marked_entity_is_handled_and_its_mark_cleared) {
  run([&] {
    std::set<std::string> done;
    for (int i = 0; i < 300; ++i) mark(i);  // Before the start: as after a crash.
    const auto running_worker = start([&](Call& call, const Work& work) {
      EXPECT_TRUE(done.insert(work.entity.id).second);
      return clear(call, work);
    });
    wait(1s);
    EXPECT_EQ(done.size(), 300u);
    for (int i = 300; i < 600; ++i) mark(i);
    wait(1s);
    EXPECT_EQ(done.size(), 600u);
    EXPECT_EQ(marked(), 0u);
  });
}

TEST_F(WorkerTest, shares_of_one_tag_do_all_of_the_work_and_none_of_it_twice) {
  run([&] {
    std::multiset<std::string> done;
    for (int i = 0; i < 100; ++i) mark(i);
    std::vector<size_t> after_each;
    for (uint32_t index = 0; index < 3; ++index) {
      const auto running_worker = start(
          [&](Call&, const Work& work) {
            done.insert(work.entity.id);
            return Status();
          },
          {.retry_first = 60s, .retry_max = 60s, .share = {.index = index, .count = 3}});
      wait(1s);
      after_each.push_back(done.size());
    }
    EXPECT_GT(after_each[0], 10u);
    EXPECT_GT(after_each[1], after_each[0] + 10);
    EXPECT_EQ(done.size(), 100u);
    EXPECT_EQ(std::set<std::string>(done.begin(), done.end()).size(), 100u);
  });
}

TEST_F(WorkerTest, a_mark_is_left_alone_for_the_grace_time) {
  run([&] {
    std::vector<runtime::Time> calls;
    const auto running_worker = start(
        [&](Call& call, const Work& work) {
          calls.push_back(env_.now());
          return clear(call, work);
        },
        {.grace = 15s});
    wait(1s);
    mark(1);
    mark(2);
    const runtime::Time marked_at = env_.now();
    wait(10s);
    Call call = env_.call();
    ASSERT_TRUE(clear(call, {.entity = entity(2), .marked_at = 1}).ok());  // By who set it.
    wait(20s);
    ASSERT_EQ(calls.size(), 1u);
    EXPECT_GE(calls[0] - marked_at, 15s);
    EXPECT_LT(calls[0] - marked_at, 16s);
    EXPECT_EQ(marked(), 0u);
  });
}

TEST_F(WorkerTest, a_mark_is_handled_without_waiting_for_a_clock) {
  run([&] {
    int runs = 0;
    const auto running_worker = start([&](Call& call, const Work& work) { return ++runs, clear(call, work); });
    wait(1s);
    const runtime::Time before = env_.now();
    mark(1);
    while (runs == 0) env_.scheduler().yield();
    EXPECT_EQ(env_.now(), before);
  });
}

TEST_F(WorkerTest, work_that_was_not_done_before_a_restart_is_done_after_it) {
  run([&] {
    const auto running_worker = start([&](Call&, const Work&) { return Status(Code::unavailable, "the other side is down"); });
    mark(1);
    wait(5s);
  });
  open();
  run([&] {
    std::vector<uint64_t> handled;
    const auto running_worker = start([&](Call& call, const Work& work) { return handled.push_back(work.marked_at), clear(call, work); });
    wait(1s);
    EXPECT_EQ(handled, (std::vector<uint64_t>{1}));
  });
}

TEST_F(WorkerTest, a_failed_handler_is_called_again_after_growing_waits_up_to_the_longest) {
  run([&] {
    std::vector<runtime::Time> calls;
    const auto running_worker = start([&](Call&, const Work&) {
      calls.push_back(env_.now());
      return Status(Code::unavailable, "down");
    });
    mark(1);
    wait(300s);
    ASSERT_GT(calls.size(), 15u);
    ASSERT_LT(calls.size(), 40u);
    for (size_t i = 1; i < calls.size(); ++i) {
      const auto waited = calls[i] - calls[i - 1];
      const auto wanted = std::min<runtime::Duration>(100ms * (1 << std::min<size_t>(i - 1, 20)), 30s);
      EXPECT_GE(waited, wanted / 2) << i;
      EXPECT_LE(waited, wanted + 60ms) << i;
    }
    EXPECT_EQ(env_.counters().counter("hongyan_task_7_failures", "").value(), static_cast<int64_t>(calls.size()));
    EXPECT_GT(env_.counters().counter("hongyan_task_7_oldest_ms", "").value(), 200'000);
  });
}

TEST_F(WorkerTest, one_that_fails_does_not_hold_up_the_others) {
  run([&] {
    std::set<std::string> done;
    const auto running_worker = start([&](Call& call, const Work& work) {
      if (work.entity == entity(0)) return Status(Code::unavailable, "down");
      done.insert(work.entity.id);
      return clear(call, work);
    }, {.concurrency = 1});
    for (int i = 0; i < 50; ++i) mark(i);
    wait(1s);
    EXPECT_EQ(done.size(), 49u);
    EXPECT_EQ(marked(), 1u);
  });
}

TEST_F(WorkerTest, an_entity_is_handled_by_one_at_a_time_and_not_more_entities_than_allowed) {
  run([&] {
    std::set<std::string> running;
    size_t most = 0, runs = 0;
    const auto running_worker = start([&](Call& call, const Work& work) {
      EXPECT_TRUE(running.insert(work.entity.id).second);
      most = std::max(most, running.size());
      ++runs;
      EXPECT_TRUE(runtime::sleep(call, 20ms).ok());
      running.erase(work.entity.id);
      return clear(call, work);
    }, {.concurrency = 3});
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < 9; ++i) mark(i);
      wait(15ms);
    }
    wait(5s);
    EXPECT_EQ(most, 3u);
    EXPECT_GT(runs, 9u);
    EXPECT_EQ(marked(), 0u);
  });
}

TEST_F(WorkerTest, a_mark_set_again_while_the_handler_runs_is_handled_at_once) {
  run([&] {
    std::vector<uint64_t> handled;
    const auto running_worker = start([&](Call& call, const Work& work) {
      const uint64_t again = handled.empty() ? mark(1) : 2;
      EXPECT_EQ(again, 2u);
      handled.push_back(work.marked_at);
      wait(10ms);
      return clear(call, work);
    });
    const runtime::Time before = env_.now();
    mark(1);
    while (handled.size() < 2) wait(1ms);
    EXPECT_LT(env_.now() - before, 40ms);
    EXPECT_EQ(handled, (std::vector<uint64_t>{1, 2}));
    wait(1s);
    EXPECT_EQ(handled.size(), 2u);
    EXPECT_EQ(marked(), 0u);
  });
}

TEST_F(WorkerTest, a_handler_that_is_content_but_leaves_its_mark_is_not_called_in_a_circle) {
  run([&] {
    int runs = 0;
    const auto running_worker = start([&](Call&, const Work&) { return ++runs, Status(); });
    mark(1);
    wait(10s);
    EXPECT_GT(runs, 10);
    EXPECT_LT(runs, 250);
  });
}

TEST_F(WorkerTest, a_handler_that_asks_to_be_called_later_is_called_then_or_for_a_new_mark) {
  run([&] {
    std::vector<runtime::Time> calls;
    const auto running_worker = start([&](Call&, const Work& work) {
      calls.push_back(env_.now());
      if (calls.size() <= 2) worker_->call_again_at(work.entity, runtime::after(env_.now(), 5s));
      return Status();
    });
    mark(1);
    wait(4900ms);
    ASSERT_EQ(calls.size(), 1u);
    mark(1);
    wait(10ms);
    ASSERT_EQ(calls.size(), 2u) << "a new mark does not wait";
    wait(4900ms);
    EXPECT_EQ(calls.size(), 2u);
    wait(300ms);
    ASSERT_GE(calls.size(), 3u);
    EXPECT_GE(calls[2] - calls[1], 5s);
    EXPECT_EQ(marked(), 1u);
  });
}

TEST_F(WorkerTest, work_that_was_done_but_whose_mark_was_not_cleared_runs_again) {
  run([&] {
    int effects = 0;
    const auto running_worker = start([&](Call& call, const Work& work) {
      if (++effects == 1) return Status(Code::unknown_outcome, "died between the effect and its mark");
      return clear(call, work);
    });
    mark(1);
    wait(2s);
    EXPECT_EQ(effects, 2);
    EXPECT_EQ(marked(), 0u);
  });
}

TEST_F(WorkerTest, stopping_cancels_what_runs_and_waits_for_it) {
  run([&] {
    int begun = 0, ended = 0;
    const auto running_worker = start([&](Call& call, const Work&) {
      ++begun;
      const Status slept = runtime::sleep(call, 5s);
      EXPECT_EQ(slept.code(), Code::cancelled);
      ++ended;
      return slept;
    }, {.concurrency = 4});
    for (int i = 0; i < 20; ++i) mark(i);
    wait(100ms);
    Call call = env_.call();
    ASSERT_TRUE(worker_->stop(call).ok());
    EXPECT_EQ(begun, 4);
    EXPECT_EQ(ended, 4);
    wait(60s);
    EXPECT_EQ(begun, 4);
    worker_.reset();
    EXPECT_EQ(marked(), 20u);
  });
}

TEST_F(WorkerTest, a_nudge_tries_everything_again_at_once) {
  run([&] {
    int runs = 0;
    const auto running_worker = start([&](Call&, const Work&) { return ++runs, Status(Code::unavailable, "down"); }, {.retry_first = 20s});
    mark(1);
    wait(1s);
    EXPECT_EQ(runs, 1);
    worker_->nudge();
    wait(1ms);
    EXPECT_EQ(runs, 2);
  });
}

TEST_F(WorkerTest, the_deadline_of_a_handler_is_the_limit_of_the_options) {
  run([&] {
    Code seen = Code::ok;
    const auto running_worker = start([&](Call& call, const Work&) {
      const Status slept = runtime::sleep(call, 60s);
      seen = slept.code();
      return slept;
    }, {.handler_limit = 2s});
    mark(1);
    wait(3s);
    EXPECT_EQ(seen, Code::deadline);
  });
}

}  // namespace
}  // namespace hongyan::task
