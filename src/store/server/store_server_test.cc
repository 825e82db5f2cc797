// Goal: the store of another process keeps its promises when connections break and when somebody asks for what is not
// his. Method: server and RemoteStore in one TestEnv; a channel that loses answers, a server that goes and comes back;
// and the conformance suite of the engines through both. One file: the suite may stand in a program once.
#include <gtest/gtest.h>

#include "store/engine/testing/conformance.h"
#include "store/engine/testing/conformance_history.h"
#include "store/engine/testing/conformance_model.h"
#include "store/engine/testing/conformance_work.h"
#include "store/server/testing/remote_engine.h"

namespace hongyan::store::conformance {
INSTANTIATE_TEST_SUITE_P(Remote, Conformance, ::testing::Values(remote_log_engine(), remote_rocks_engine()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Remote, ModelConformance, ::testing::Values(remote_log_engine()),
                         [](const auto& info) { return info.param.name; });

namespace {

using namespace std::chrono_literals;

// Carries calls, and loses the answers of as many as told.
class LosingChannel : public rpc::Channel {
 public:
  explicit LosingChannel(rpc::Channel& below) : below_(below) {}
  Status call(Call& call, const rpc::MethodInfo& method, const rpc::Message& request, rpc::Message& response) override {
    ++calls;
    if (before) before();
    const Status status = below_.call(call, method, request, response);
    if (answers_to_lose == 0) return status;
    --answers_to_lose;
    return Status(Code::unknown_outcome, "lost");
  }
  int calls = 0;
  int answers_to_lose = 0;
  std::function<void()> before;

 private:
  rpc::Channel& below_;
};

class StoreServerTest : public ::testing::Test {
 protected:
  StoreServerTest() : losing_(engine_.channel()), store_(engine_.env(), losing_, engine_.identity("inbox", 'i')) {}
  void run(const std::function<void()>& body) {
    runtime::run_in_coroutine(engine_.env(), [&] {
      call_ = engine_.env().call();
      body();
    });
  }
  int64_t counted(const std::string& key) {
    const auto reply = engine_.below().read(call_, {.entity = entity_, .from = key, .to = key + '\0'});
    return reply->rows.empty() ? 0 : static_cast<int64_t>(*Reader(reply->rows[0].value).u64());
  }

  RemoteEngine engine_{EngineKind::log};
  LosingChannel losing_;
  RemoteStore store_;
  const EntityId entity_{.table = k_plain, .id = "e"};
  Call call_;
};

TEST_F(StoreServerTest, a_commit_whose_answer_was_lost_happens_once_and_its_result_is_the_first) {
  run([&] {
    losing_.answers_to_lose = 3;
    const auto reply = store_.commit(call_, {.entity = entity_, .mutations = {add("n", 5)}});
    ASSERT_TRUE(reply.ok()) << reply.status().detail();
    EXPECT_TRUE(reply->replayed);
    EXPECT_EQ(reply->numbers, (std::vector<int64_t>{5}));
    EXPECT_EQ(losing_.calls, 4);
    EXPECT_EQ(counted("n"), 5);
  });
}

TEST_F(StoreServerTest, many_in_order_whose_answer_was_lost_happen_once) {
  run([&] {
    losing_.answers_to_lose = 1;
    std::vector<Commit> commits;
    for (int i = 0; i < 10; ++i) commits.push_back({.entity = entity_, .mutations = {add("n", 1)}});
    const auto replies = store_.commit_many(call_, commits, Order::in_order);
    for (size_t i = 0; i < replies.size(); ++i) {
      ASSERT_TRUE(replies[i].ok());
      EXPECT_EQ(replies[i]->numbers, (std::vector<int64_t>{static_cast<int64_t>(i) + 1}));
    }
    EXPECT_EQ(counted("n"), 10);
  });
}

TEST_F(StoreServerTest, all_or_none_whose_answer_was_lost_happens_once) {
  run([&] {
    losing_.answers_to_lose = 1;
    const EntityId other{.table = k_plain, .id = "f"};
    const std::vector<Commit> commits = {{.entity = entity_, .mutations = {add("n", 1)}}, {.entity = other, .mutations = {add("n", 1)}}};
    for (const auto& reply : store_.commit_many(call_, commits, Order::together)) EXPECT_TRUE(reply.ok() && reply->committed);
    EXPECT_EQ(counted("n"), 1);
    RemoteStore group(engine_.env(), engine_.channel(), engine_.identity("group", 'g'));
    const auto foreign = group.commit_many(call_, commits, Order::together);
    EXPECT_EQ(foreign[0].code(), Code::forbidden);
    EXPECT_EQ(foreign[1].code(), Code::cancelled);
    EXPECT_EQ(counted("n"), 1);
  });
}

TEST_F(StoreServerTest, an_outcome_that_stays_unknown_until_the_deadline_is_said_to_be_unknown) {
  run([&] {
    losing_.answers_to_lose = 1'000'000;
    Call call = runtime::background_call(engine_.env(), 3s);
    EXPECT_EQ(store_.commit(call, {.entity = entity_, .mutations = {add("n", 1)}}).code(), Code::unknown_outcome);
    EXPECT_EQ(counted("n"), 1);
  });
}

TEST_F(StoreServerTest, an_outcome_is_settled_by_a_server_that_was_away) {
  run([&] {
    losing_.answers_to_lose = 1;
    losing_.before = [&] {
      if (losing_.calls == 2) engine_.stop();
      if (losing_.calls == 5) engine_.serve();
    };
    const auto reply = store_.commit(call_, {.entity = entity_, .mutations = {add("n", 1)}});
    ASSERT_TRUE(reply.ok()) << reply.status().detail();
    EXPECT_GT(losing_.calls, 4);
    EXPECT_EQ(counted("n"), 1);
  });
}

TEST_F(StoreServerTest, a_store_that_is_away_is_unavailable_and_nothing_is_done) {
  run([&] {
    engine_.stop();
    EXPECT_EQ(store_.commit(call_, {.entity = entity_, .mutations = {add("n", 1)}}).code(), Code::unavailable);
    EXPECT_EQ(store_.read(call_, {.entity = entity_}).code(), Code::unavailable);
    EXPECT_EQ(counted("n"), 0);
    engine_.serve();
  });
}

TEST_F(StoreServerTest, who_waits_for_work_sees_marks_that_were_set_while_the_server_was_away) {
  run([&] {
    Commit marking{.entity = entity_, .mark_work = WorkTag{7}};
    ASSERT_TRUE(store_.commit(call_, marking).ok());
    const auto first = store_.wait_work(call_, 7, 0);
    ASSERT_TRUE(first.ok());
    engine_.stop();
    ASSERT_TRUE(engine_.below().commit(call_, marking)->committed);
    engine_.serve();
    runtime::sleep(call_, 5s).ok();
    const auto second = store_.wait_work(call_, 7, *first);
    ASSERT_TRUE(second.ok()) << second.status().detail();
    EXPECT_GT(*second, *first);
    Call brief = runtime::background_call(engine_.env(), 2s);
    EXPECT_EQ(store_.wait_work(brief, 7, *second).code(), Code::deadline);
  });
}

TEST_F(StoreServerTest, a_server_that_stops_does_not_wait_for_those_who_wait_for_work) {
  run([&] {
    runtime::Nursery nursery(engine_.env().scheduler());
    Status ended;
    nursery.spawn("waiter", [&] {
      Call call = engine_.env().call();
      ended = store_.wait_work(call, 7, 0).status();
    });
    engine_.env().scheduler().yield();
    const runtime::Time begun = engine_.env().now();
    engine_.stop();
    EXPECT_LT(engine_.env().now() - begun, 2s);
    ASSERT_TRUE(nursery.join(call_).ok());
    EXPECT_EQ(ended.code(), Code::unavailable);
    engine_.serve();
  });
}

TEST_F(StoreServerTest, a_service_reaches_its_own_tables_and_works_only) {
  run([&] {
    RemoteStore group(engine_.env(), engine_.channel(), engine_.identity("group", 'g'));
    EXPECT_EQ(group.commit(call_, {.entity = entity_, .mutations = {add("n", 1)}}).code(), Code::forbidden);
    EXPECT_EQ(group.read(call_, {.entity = entity_}).code(), Code::forbidden);
    EXPECT_EQ(group.changes(call_, {.table = k_tracked, .id = "e"}, 0, 10).code(), Code::forbidden);
    EXPECT_EQ(group.scan_work(call_, 7, nullptr, 10).code(), Code::forbidden);
    EXPECT_EQ(group.wait_work(call_, 7, 0).code(), Code::forbidden);
    EXPECT_EQ(store_.read(call_, {.entity = {.table = 99, .id = "e"}}).code(), Code::invalid);
    EXPECT_EQ(counted("n"), 0);
  });
}

TEST_F(StoreServerTest, nobody_acts_for_another_service_or_without_a_ticket) {
  run([&] {
    // The group's own ring, the inbox's name.
    RemoteStore forged(engine_.env(), engine_.channel(), engine_.identity("inbox", 'g'));
    EXPECT_EQ(forged.read(call_, {.entity = entity_}).code(), Code::unauthenticated);
    RemoteStore stranger(engine_.env(), engine_.channel(), engine_.identity("chat", 'i'));
    EXPECT_EQ(stranger.read(call_, {.entity = entity_}).code(), Code::unauthenticated);
    wire::ReadRequest request;
    EXPECT_EQ(wire::StoreClient(engine_.channel()).read(call_, request).code(), Code::unauthenticated);
    // An operator makes checkpoints and reads no rows; a data service the other way round.
    rpc::ServiceIdentity self = engine_.identity("operator", 'o');
    Call as_operator = self.as_self(call_);
    wire::StoreClient client(engine_.channel());
    EXPECT_EQ(client.read(as_operator, request).code(), Code::forbidden);
    wire::CheckpointRequest checkpoint;
    checkpoint.set_name("../etc");
    EXPECT_EQ(client.checkpoint(as_operator, checkpoint).code(), Code::invalid);
    checkpoint.set_name("monday");
    EXPECT_EQ(client.checkpoint(as_operator, checkpoint)->directory(), "/checkpoints/monday");
    rpc::ServiceIdentity inbox = engine_.identity("inbox", 'i');
    Call as_inbox = inbox.as_self(call_);
    EXPECT_EQ(client.checkpoint(as_inbox, checkpoint).code(), Code::forbidden);
  });
}

TEST_F(StoreServerTest, answers_larger_than_a_frame_arrive_whole) {
  run([&] {
    const std::string big(200 * 1024, 'x');
    for (int i = 0; i < 60; ++i) {
      ASSERT_TRUE(store_.commit(call_, {.entity = {.table = k_plain, .id = digits(static_cast<size_t>(i))}, .mutations = {put("k", big)}}).ok());
    }
    std::vector<Read> reads;
    for (size_t i = 0; i < 60; ++i) reads.push_back({.entity = {.table = k_plain, .id = digits(i)}});
    const auto replies = store_.read_many(call_, reads);
    ASSERT_EQ(replies.size(), 60u);
    for (const auto& reply : replies) {
      ASSERT_TRUE(reply.ok());
      EXPECT_EQ(reply->rows.at(0).value, big);
    }
    // Rows in the way that do not fit are refused, not cut.
    std::vector<Commit> commits;
    for (const Read& read : reads) commits.push_back({.entity = read.entity, .preconditions = {absent("k")}, .mutations = {put("k", "v")}});
    size_t present = 0, refused = 0;
    for (const auto& reply : store_.commit_many(call_, commits, Order::any)) {
      if (reply.ok()) present += !reply->committed && reply->present->value == big ? 1 : 0;
      else refused += reply.code() == Code::too_large ? 1 : 0;
    }
    EXPECT_GT(present, 20u);
    EXPECT_EQ(present + refused, 60u);
  });
}

TEST_F(StoreServerTest, commits_larger_than_a_frame_are_sent_in_several_and_keep_their_order) {
  run([&] {
    std::vector<Commit> commits;
    for (size_t i = 0; i < 16; ++i) {
      Commit commit{.entity = entity_, .mutations = {put("k", std::string(1, static_cast<char>('a' + i)))}};
      for (size_t j = 0; j < 2; ++j) commit.mutations.push_back(put("big" + std::to_string(j), std::string(250 * 1024, 'x')));
      commits.push_back(std::move(commit));
    }
    for (const auto& reply : store_.commit_many(call_, commits, Order::in_order)) EXPECT_TRUE(reply.ok() && reply->committed);
    EXPECT_EQ(engine_.below().read(call_, {.entity = entity_, .from = "k"})->rows.at(0).value, "p");
    EXPECT_GT(losing_.calls, 1);
  });
}

TEST_F(StoreServerTest, an_entity_at_its_cap_of_ids_is_served_on) {
  run([&] {
    const std::vector<Commit> commits(1000, Commit{.entity = entity_, .mutations = {add("n", 1)}});
    for (int i = 0; i < 9; ++i) {
      for (const auto& reply : store_.commit_many(call_, commits, Order::in_order)) ASSERT_TRUE(reply.ok()) << reply.status().detail();
    }
    EXPECT_EQ(counted("n"), 9000);
  });
}

}  // namespace
}  // namespace hongyan::store::conformance
