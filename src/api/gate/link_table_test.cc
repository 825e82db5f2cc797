// Goal: one lease per device however many sockets it has, rings to all of them, and closes that data/device confirmed.
// Method: members that record; virtual time.
#include "api/gate/link_table.h"

#include <gtest/gtest.h>

#include "api/testing/fake_backend.h"

namespace hongyan::api {
namespace {

using client::Ring;
using internal::PushRequest;
using model::ErrorCode;
using testing::FakeBackend;
using testing::k_alice;
using testing::k_phone;

struct RecordingMember : LinkMember {
  std::vector<Ring> rings;
  std::vector<CloseReason> closed;
  void ring(const Ring& ring) override { rings.push_back(ring); }
  void close_link(CloseReason reason) override { closed.push_back(reason); }
};

class LinkTableTest : public ::testing::Test {
 protected:
  LinkTableTest() {
    backend_.log_in(k_alice, k_phone);
    in_coroutine([&] { table_.start(); });
  }
  ~LinkTableTest() override {
    in_coroutine([&] {
      for (RecordingMember* member : {&tab_, &other_tab_}) table_.detach(*member);
      Call call = env_.call();
      table_.stop(call);
    });
  }
  void in_coroutine(const std::function<void()>& body) { runtime::run_in_coroutine(env_, body); }
  static rpc::Identity phone(uint32_t epoch = 1) {
    return {.uin = k_alice, .device = k_phone, .epoch = epoch, .feature_level = 2, .expires_ms = INT64_MAX};
  }
  static PushRequest push_of(uint64_t connection, uint64_t version, uint32_t kind = 0) {
    PushRequest request;
    request.set_connection(connection);
    request.mutable_ring()->set_key(3);
    request.mutable_ring()->set_version(version);
    request.mutable_ring()->set_kind(kind);
    return request;
  }
  Status attach(RecordingMember& member, uint32_t epoch = 1) {
    Call call = env_.call();
    return table_.attach(call, phone(epoch), member);
  }
  Status push(const PushRequest& request) {
    Call call = env_.call();
    return table_.push(call, request).status();
  }
  Status push(uint64_t version, uint32_t kind = 0) { return push(push_of(backend_.online.back().connection(), version, kind)); }
  void wait(runtime::Duration duration) {
    Call call;
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }
  static Result<std::vector<Ring>> nothing_new(Call&) { return std::vector<Ring>(); }

  runtime::TestEnv env_;
  FakeBackend backend_{env_};
  Entry entry_{env_, backend_.entry_deps(), {}};
  LinkTable table_{env_, entry_, internal::PresenceClient(backend_.presence_channel), {}};
  RecordingMember tab_, other_tab_;
};

TEST_F(LinkTableTest, two_tabs_of_a_device_share_one_lease_and_both_hear_the_ring) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_).ok());
    ASSERT_TRUE(attach(other_tab_).ok());
    ASSERT_EQ(backend_.online.size(), 1u);
    EXPECT_EQ(backend_.online[0].uin(), k_alice);
    EXPECT_EQ(backend_.online[0].gate(), "web");
    ASSERT_TRUE(push(7).ok());
    EXPECT_EQ(tab_.rings.size(), 1u);
    EXPECT_EQ(other_tab_.rings.size(), 1u);
    table_.detach(tab_);
    EXPECT_TRUE(backend_.offline.empty());
    table_.detach(other_tab_);
  });
  in_coroutine([&] { wait(std::chrono::seconds(1)); });
  ASSERT_EQ(backend_.offline.size(), 1u);
  EXPECT_EQ(backend_.offline[0].connection(), backend_.online[0].connection());
  EXPECT_EQ(table_.devices(), 0u);
}

TEST_F(LinkTableTest, newer_session_of_the_device_closes_the_older_one) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_, 1).ok());
    ASSERT_TRUE(attach(other_tab_, 2).ok());
    EXPECT_EQ(tab_.closed, std::vector<CloseReason>{CloseReason::superseded});
    EXPECT_EQ(attach(tab_, 1).code(), model::as_code(ErrorCode::old_epoch));
    EXPECT_TRUE(other_tab_.closed.empty());
  });
}

TEST_F(LinkTableTest, session_that_is_newer_elsewhere_refuses_the_link) {
  backend_.online_status = model::error(ErrorCode::old_epoch);
  in_coroutine([&] { EXPECT_EQ(attach(tab_).code(), model::as_code(ErrorCode::old_epoch)); });
  EXPECT_EQ(table_.devices(), 0u);
}

TEST_F(LinkTableTest, link_works_while_presence_is_away_and_is_online_later) {
  backend_.online_status = Status(Code::unavailable, "");
  in_coroutine([&] {
    EXPECT_TRUE(attach(tab_).ok());
    backend_.online_status = {};
    wait(std::chrono::seconds(61));
  });
  EXPECT_EQ(backend_.online.size(), 2u);
}

TEST_F(LinkTableTest, leases_are_renewed) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_).ok());
    wait(std::chrono::seconds(181));
  });
  EXPECT_EQ(backend_.online.size(), 4u);
  EXPECT_EQ(backend_.online[0].connection(), backend_.online[3].connection());
}

TEST_F(LinkTableTest, logged_out_ring_is_believed_only_when_the_session_is_closed) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_).ok());
    ASSERT_TRUE(push(1, 2).ok());  // Another device of Alice was meant.
    EXPECT_TRUE(tab_.closed.empty());
    EXPECT_TRUE(tab_.rings.empty());
    backend_.sessions[{k_alice, k_phone}].second = false;
    ASSERT_TRUE(push(2, 2).ok());
    ASSERT_EQ(tab_.rings.size(), 1u);
    EXPECT_EQ(tab_.rings[0].kind(), 2u);
    EXPECT_EQ(tab_.closed, std::vector<CloseReason>{CloseReason::logged_out});
  });
}

TEST_F(LinkTableTest, revoked_session_whose_ring_was_lost_is_closed_at_the_next_renewal) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_).ok());
    backend_.revocations.revoke_below(k_alice, k_phone, 2, INT64_MAX);
    wait(std::chrono::seconds(61));
  });
  EXPECT_EQ(tab_.closed, std::vector<CloseReason>{CloseReason::logged_out});
}

TEST_F(LinkTableTest, lease_that_moved_to_another_gate_closes_the_link_here) {
  in_coroutine([&] {
    ASSERT_TRUE(attach(tab_).ok());
    PushRequest request = push_of(backend_.online[0].connection(), 0);
    request.set_replaced(true);
    ASSERT_TRUE(push(request).ok());
  });
  EXPECT_EQ(tab_.closed, std::vector<CloseReason>{CloseReason::superseded});
}

TEST_F(LinkTableTest, push_to_a_link_that_is_gone_is_not_found) {
  in_coroutine([&] { EXPECT_EQ(push(push_of(1, 1)).code(), Code::not_found); });
}

TEST_F(LinkTableTest, poll_ends_with_the_ring) {
  in_coroutine([&] {
    env_.scheduler().spawn("pusher", [&] {
      wait(std::chrono::seconds(5));
      EXPECT_TRUE(push(9).ok());
    });
    const runtime::Time start = env_.now();
    Call call = env_.call();
    const auto rings = table_.poll(call, phone(), std::chrono::seconds(20), nothing_new);
    ASSERT_TRUE(rings.ok());
    ASSERT_EQ(rings->size(), 1u);
    EXPECT_EQ((*rings)[0].version(), 9u);
    EXPECT_EQ(env_.now() - start, std::chrono::seconds(5));
  });
}

TEST_F(LinkTableTest, poll_without_news_is_empty_after_its_time) {
  in_coroutine([&] {
    const runtime::Time start = env_.now();
    Call call = env_.call();
    const auto rings = table_.poll(call, phone(), std::chrono::seconds(20), nothing_new);
    ASSERT_TRUE(rings.ok());
    EXPECT_TRUE(rings->empty());
    EXPECT_EQ(env_.now() - start, std::chrono::seconds(20));
  });
}

TEST_F(LinkTableTest, poll_answers_at_once_when_the_snapshot_is_behind) {
  in_coroutine([&] {
    const runtime::Time start = env_.now();
    Call call = env_.call();
    const auto rings = table_.poll(call, phone(), std::chrono::seconds(20), [](Call&) -> Result<std::vector<Ring>> {
      return std::vector<Ring>(1);
    });
    EXPECT_EQ(rings->size(), 1u);
    EXPECT_EQ(env_.now(), start);
  });
}

TEST_F(LinkTableTest, ring_between_two_polls_waits_for_the_second) {
  in_coroutine([&] {
    Call call = env_.call();
    ASSERT_TRUE(table_.poll(call, phone(), std::chrono::seconds(1), nothing_new).ok());
    for (uint64_t version : {3, 5, 4}) ASSERT_TRUE(push(version).ok());
    const auto rings = table_.poll(call, phone(), std::chrono::seconds(20), nothing_new);
    ASSERT_EQ(rings->size(), 1u);
    EXPECT_EQ((*rings)[0].version(), 5u);
    EXPECT_EQ(backend_.online.size(), 1u);
  });
}

TEST_F(LinkTableTest, device_that_stops_polling_goes_offline) {
  in_coroutine([&] {
    Call call = env_.call();
    ASSERT_TRUE(table_.poll(call, phone(), std::chrono::seconds(1), nothing_new).ok());
    EXPECT_EQ(table_.devices(), 1u);
    wait(std::chrono::seconds(121));
  });
  EXPECT_EQ(table_.devices(), 0u);
  EXPECT_EQ(backend_.offline.size(), 1u);
}

TEST_F(LinkTableTest, poll_over_the_limit_ends_the_oldest) {
  in_coroutine([&] {
    runtime::Nursery nursery(env_.scheduler());
    const runtime::Time start = env_.now();
    std::vector<runtime::Duration> ends;
    for (int i = 0; i < 5; ++i) {
      nursery.spawn("poll", [&] {
        Call call = env_.call();
        EXPECT_TRUE(table_.poll(call, phone(), std::chrono::seconds(20), nothing_new).ok());
        ends.push_back(env_.now() - start);
      });
    }
    Call call = env_.call();
    ASSERT_TRUE(nursery.join(call).ok());
    ASSERT_EQ(ends.size(), 5u);
    EXPECT_EQ(ends[0], std::chrono::seconds(0));
    EXPECT_EQ(ends[1], std::chrono::seconds(20));
  });
}

TEST_F(LinkTableTest, device_holds_a_bounded_number_of_links_and_polls) {
  std::vector<RecordingMember> tabs(17);
  in_coroutine([&] {
    for (size_t i = 0; i < 16; ++i) ASSERT_TRUE(attach(tabs[i]).ok());
    EXPECT_EQ(attach(tabs[16]).code(), Code::overloaded);
    for (RecordingMember& tab : tabs) table_.detach(tab);
  });
}

TEST(Coalesce, keeps_one_ring_per_key_and_sixteen_in_all) {
  std::vector<Ring> rings;
  for (uint64_t i = 1; i <= 100; ++i) {
    Ring ring;
    ring.set_key(static_cast<uint32_t>(i));
    ring.set_version(i);
    coalesce(rings, ring);
    coalesce(rings, ring);
  }
  ASSERT_EQ(rings.size(), 16u);
  EXPECT_EQ(rings.back().version(), 100u);
}

}  // namespace
}  // namespace hongyan::api
