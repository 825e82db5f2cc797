// Goal: presence knows where devices are, never lets an old session displace a new one, and rings without waiting.
// Method: a gate that records its pushes and can be held up; leases on virtual time.
#include "access/presence/presence.h"

#include <gtest/gtest.h>

#include "model/error_code.h"
#include "model/kinds.h"
#include "rpc/local_channel.h"
#include "runtime/coro/sync.h"
#include "runtime/testing/test_env.h"

namespace hongyan::access {
namespace {

using internal::OfflineRequest;
using internal::OnlineRequest;
using internal::OnlineResponse;
using internal::PushRequest;
using internal::PushResponse;
using internal::RingRequest;
using internal::SignalRequest;
using internal::WhoRequest;

constexpr uint64_t k_alice = 10'001;
constexpr uint64_t k_bob = 10'002;
const std::string k_phone(16, 'p');
const std::string k_laptop(16, 'l');

struct RecordingGate {
  internal::GateFake fake;
  rpc::LocalChannel channel{fake, nullptr};
  std::vector<PushRequest> pushes;
  bool held = false;
  runtime::CondVar released;

  RecordingGate() {
    fake.on_push = [this](Call&, const PushRequest& request) -> Result<PushResponse> {
      Call own;
      while (held) TRY(released.wait(own));
      pushes.push_back(request);
      return PushResponse();
    };
  }
};

class PresenceTest : public ::testing::Test {
 protected:
  PresenceTest() { remake({}); }
  ~PresenceTest() override { stop(); }

  void stop() {
    if (presence_ == nullptr) return;
    runtime::run_in_coroutine(env_, [&] {
      Call call = env_.call();
      presence_->stop(call);
    });
  }
  void remake(PresenceConfig config) {
    stop();
    PresenceDeps deps;
    deps.gates.emplace("web", internal::GateClient(web_.channel));
    deps.audiences.emplace("gate", rpc::KeyRing({{.id = 1, .bytes = std::string(32, 'g')}}));
    presence_ = make_presence(env_, std::move(deps), config);
    presence_->add_gate("link", internal::GateClient(link_.channel));
  }

  Result<OnlineResponse> online(uint64_t uin, const std::string& device, uint32_t epoch, uint64_t connection,
                                const std::string& gate = "web") {
    OnlineRequest request;
    request.set_uin(uin);
    request.set_device_id(device);
    request.set_epoch(epoch);
    request.set_gate(gate);
    request.set_connection(connection);
    Call call;
    return presence_->online(call, request);
  }
  bool offline(uint64_t uin, const std::string& device, uint32_t epoch, uint64_t connection, const std::string& gate = "web") {
    OfflineRequest request;
    request.set_uin(uin);
    request.set_device_id(device);
    request.set_epoch(epoch);
    request.set_gate(gate);
    request.set_connection(connection);
    Call call;
    return presence_->offline(call, request)->erased();
  }
  uint32_t ring(uint64_t uin, uint64_t version, const std::string& except = {}, uint32_t key = model::k_ring_messages) {
    RingRequest request;
    request.set_uin(uin);
    request.mutable_ring()->set_key(key);
    request.mutable_ring()->set_version(version);
    request.set_except_device(except);
    Call call;
    return presence_->ring(call, request)->reached();
  }
  std::vector<std::string> who(uint64_t uin) {
    WhoRequest request;
    request.set_uin(uin);
    Call call;
    const auto answer = presence_->who(call, request);
    return {answer->device_ids().begin(), answer->device_ids().end()};
  }
  void in_coroutine(const std::function<void()>& body) { runtime::run_in_coroutine(env_, body); }

  runtime::TestEnv env_;
  RecordingGate web_, link_;
  std::unique_ptr<Presence> presence_;
};

TEST_F(PresenceTest, ring_reaches_all_devices_but_the_one_that_caused_it) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    ASSERT_TRUE(online(k_alice, k_laptop, 1, 72).ok());
    ASSERT_TRUE(online(k_bob, k_phone, 1, 73).ok());
    EXPECT_EQ(ring(k_alice, 5, k_phone), 1u);
  });
  ASSERT_EQ(web_.pushes.size(), 1u);
  EXPECT_EQ(web_.pushes[0].connection(), 72u);
  EXPECT_EQ(web_.pushes[0].ring().version(), 5u);
}

TEST_F(PresenceTest, ring_for_one_device_reaches_no_other) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    ASSERT_TRUE(online(k_alice, k_laptop, 1, 72).ok());
    RingRequest request;
    request.set_uin(k_alice);
    request.mutable_ring()->set_kind(model::k_ring_kind_logged_out);
    request.set_only_device(k_laptop);
    Call call;
    EXPECT_EQ(presence_->ring(call, request)->reached(), 1u);
  });
  ASSERT_EQ(web_.pushes.size(), 1u);
  EXPECT_EQ(web_.pushes[0].connection(), 72u);
}

TEST_F(PresenceTest, late_logout_can_not_erase_a_newer_login) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    ASSERT_TRUE(online(k_alice, k_phone, 2, 72).ok());
    EXPECT_FALSE(offline(k_alice, k_phone, 1, 71));
    EXPECT_FALSE(offline(k_alice, k_phone, 2, 71));
    EXPECT_FALSE(offline(k_alice, k_phone, 1, 72));
    EXPECT_FALSE(offline(k_alice, k_phone, 2, 72, "link"));
    EXPECT_EQ(ring(k_alice, 5), 1u);
    EXPECT_TRUE(offline(k_alice, k_phone, 2, 72));
    EXPECT_EQ(ring(k_alice, 6), 0u);
  });
  EXPECT_EQ(presence_->leases(), 0u);
}

TEST_F(PresenceTest, older_epoch_can_not_replace_a_newer_one) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 2, 72).ok());
    EXPECT_EQ(online(k_alice, k_phone, 1, 71).code(), model::as_code(model::ErrorCode::old_epoch));
    ring(k_alice, 1);
  });
  ASSERT_EQ(web_.pushes.size(), 1u);
  EXPECT_EQ(web_.pushes[0].connection(), 72u);
}

TEST_F(PresenceTest, answer_names_the_connection_that_was_replaced) {
  in_coroutine([&] {
    EXPECT_EQ(online(k_alice, k_phone, 1, 71)->replaced_connection(), 0u);
    EXPECT_EQ(online(k_alice, k_phone, 1, 71)->replaced_connection(), 0u);  // A renewal.
    const auto answer = online(k_alice, k_phone, 1, 72);
    EXPECT_EQ(answer->replaced_connection(), 71u);
    EXPECT_EQ(answer->replaced_gate(), "web");
  });
  EXPECT_TRUE(web_.pushes.empty());
}

TEST_F(PresenceTest, another_gate_is_told_that_its_connection_was_replaced) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71, "web").ok());
    ASSERT_TRUE(online(k_alice, k_phone, 1, 9, "link").ok());
  });
  ASSERT_EQ(web_.pushes.size(), 1u);
  EXPECT_TRUE(web_.pushes[0].replaced());
  EXPECT_EQ(web_.pushes[0].connection(), 71u);
  EXPECT_TRUE(link_.pushes.empty());
}

TEST_F(PresenceTest, undelivered_rings_of_one_key_become_one_with_the_highest_version) {
  PresenceConfig config;
  config.pushers = 1;
  remake(config);
  web_.held = true;
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    ring(k_alice, 1);
    runtime::Scheduler::current().yield();  // The pusher takes the first and is held up.
    for (uint64_t version : {2, 4, 3}) ring(k_alice, version);
    ring(k_alice, 9, {}, model::k_ring_contacts);
    web_.held = false;
    web_.released.notify_all();
  });
  ASSERT_EQ(web_.pushes.size(), 3u);
  EXPECT_EQ(web_.pushes[0].ring().version(), 1u);
  EXPECT_EQ(web_.pushes[1].ring().version(), 4u);
  EXPECT_EQ(web_.pushes[2].ring().key(), model::k_ring_contacts);
}

TEST_F(PresenceTest, ring_returns_although_the_gate_hangs) {
  web_.held = true;
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    const runtime::Time before = env_.now();
    EXPECT_EQ(ring(k_alice, 1), 1u);
    EXPECT_EQ(env_.now(), before);
    web_.held = false;
    web_.released.notify_all();
  });
}

TEST_F(PresenceTest, lease_that_is_not_renewed_runs_out) {
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    ASSERT_TRUE(online(k_alice, k_laptop, 1, 72).ok());
    Call call;
    ASSERT_TRUE(runtime::sleep(call, std::chrono::seconds(120)).ok());
    ASSERT_TRUE(online(k_alice, k_laptop, 1, 72).ok());
    ASSERT_TRUE(runtime::sleep(call, std::chrono::seconds(61)).ok());
    EXPECT_EQ(who(k_alice), std::vector<std::string>{k_laptop});
    EXPECT_EQ(ring(k_alice, 1), 1u);
    EXPECT_TRUE(online(k_alice, k_phone, 1, 80).ok());  // Even of the same epoch: nobody is there.
  });
}

TEST_F(PresenceTest, full_table_refuses_and_takes_again_when_leases_have_run_out) {
  PresenceConfig config;
  config.leases_max = 1;
  remake(config);
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    EXPECT_EQ(online(k_bob, k_phone, 1, 72).code(), Code::overloaded);
    Call call;
    ASSERT_TRUE(runtime::sleep(call, config.lease + std::chrono::seconds(1)).ok());
    EXPECT_TRUE(online(k_bob, k_phone, 1, 72).ok());
    EXPECT_EQ(presence_->leases(), 1u);
  });
}

TEST_F(PresenceTest, one_user_can_not_fill_the_table) {
  PresenceConfig config;
  config.devices_per_user_max = 2;
  remake(config);
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 1).ok());
    ASSERT_TRUE(online(k_alice, k_laptop, 1, 2).ok());
    EXPECT_EQ(online(k_alice, std::string(16, 't'), 1, 3).code(), Code::overloaded);
  });
}

TEST_F(PresenceTest, what_is_no_lease_is_invalid) {
  in_coroutine([&] {
    EXPECT_EQ(online(0, k_phone, 1, 71).code(), Code::invalid);
    EXPECT_EQ(online(k_alice, "short", 1, 71).code(), Code::invalid);
    EXPECT_EQ(online(k_alice, k_phone, 1, 0).code(), Code::invalid);
    EXPECT_EQ(online(k_alice, k_phone, 1, 71, "no such gate").code(), Code::invalid);
  });
  EXPECT_EQ(presence_->leases(), 0u);
}

TEST_F(PresenceTest, signal_carries_typing_only_and_the_callers_own_name) {
  const rpc::AudienceKeys keys = {{"presence", rpc::KeyRing({{.id = 1, .bytes = std::string(32, 'p')}})}};
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    Call call;
    call.ticket = std::make_shared<const std::string>(rpc::make_call_ticket(
        keys, {.uin = k_bob, .device = k_phone, .epoch = 1, .feature_level = 2, .expires_ms = env_.utc_ms() + 1000}));
    SignalRequest request;
    request.set_uin(k_alice);
    request.mutable_ring()->set_kind(model::k_ring_kind_logged_out);
    EXPECT_EQ(presence_->signal(call, request).code(), Code::invalid);
    request.mutable_ring()->set_kind(model::k_ring_kind_typing);
    request.mutable_ring()->set_actor(k_alice);
    EXPECT_EQ(presence_->signal(call, request)->reached(), 1u);
  });
  ASSERT_EQ(web_.pushes.size(), 1u);
  EXPECT_EQ(web_.pushes[0].ring().actor(), k_bob);
}

TEST_F(PresenceTest, queue_of_one_connection_is_bounded) {
  PresenceConfig config;
  config.pushers = 1;
  remake(config);
  web_.held = true;
  in_coroutine([&] {
    ASSERT_TRUE(online(k_alice, k_phone, 1, 71).ok());
    for (uint32_t key = 1; key <= 1000; ++key) ring(k_alice, 1, {}, key);
    web_.held = false;
    web_.released.notify_all();
  });
  EXPECT_LE(web_.pushes.size(), 17u);
  EXPECT_EQ(web_.pushes.back().ring().key(), 1000u);
}

}  // namespace
}  // namespace hongyan::access
