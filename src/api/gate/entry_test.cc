// Goal: a command reaches its service only in the name of somebody who may call it, carrying a call ticket and no
// client ticket, and every answer has a complete base. Method: real tickets, faked services.
#include "api/gate/entry.h"

#include <gtest/gtest.h>

#include <set>

#include "api/testing/fake_backend.h"
#include "runtime/trace/tracer.h"

namespace hongyan::api {
namespace {

using client::BaseResponse;
using client::LoginRequest;
using client::LoginResponse;
using client::SendRequest;
using client::SendResponse;
using model::ErrorCode;
using testing::FakeBackend;
using testing::k_alice;
using testing::k_bob;
using testing::k_hour_ms;
using testing::k_laptop;
using testing::k_phone;

class EntryTest : public ::testing::Test {
 protected:
  EntryTest() {
    backend_.log_in(k_alice, k_phone);
    remake({});
  }
  void remake(EntryConfig config) { entry_ = std::make_unique<Entry>(env_, backend_.entry_deps(), config); }

  BaseResponse send(const std::string& ticket, Link* link = nullptr, const std::string& device = {}, const std::string& trace = {},
                    std::string_view traceparent = {}) {
    SendRequest request;
    request.mutable_base()->set_trace(trace);
    request.mutable_base()->set_ticket(ticket);
    request.mutable_base()->set_device_id(device);
    SendResponse response;
    runtime::run_in_coroutine(env_, [&] {
      Call call;
      entry_->handle(call, *entry_->commands().by_path("send"), request, {.address = "10.0.0.1:5000", .link = link, .traceparent = traceparent}, response);
    });
    return response.base();
  }
  uint32_t code(const std::string& ticket) { return send(ticket).code(); }
  BaseResponse log_in(std::string_view address = "10.0.0.1:5000") {
    LoginRequest request;
    request.mutable_base()->set_peer_address("192.0.2.99");
    LoginResponse response;
    runtime::run_in_coroutine(env_, [&] {
      Call call;
      entry_->handle(call, *entry_->commands().by_path("login"), request, {.address = address}, response);
    });
    return response.base();
  }
  static uint32_t number(ErrorCode code) { return static_cast<uint32_t>(code); }

  runtime::TestEnv env_;
  FakeBackend backend_{env_};
  std::unique_ptr<Entry> entry_;
};

TEST_F(EntryTest, good_ticket_reaches_the_service_as_a_call_ticket) {
  const BaseResponse base = send(backend_.ticket(k_alice, k_phone));
  EXPECT_EQ(base.code(), 0u);
  EXPECT_EQ(base.server_time_ms(), env_.utc_ms());
  EXPECT_EQ(base.server_version(), 1u);
  ASSERT_EQ(backend_.sends.size(), 1u);
  EXPECT_EQ(backend_.sends[0].base().ticket(), "");
  EXPECT_EQ(backend_.sends[0].base().device_id(), k_phone);
  EXPECT_EQ(backend_.sends[0].base().feature_level(), 2u);
  const auto caller = rpc::check_call_ticket(FakeBackend::inbox_ring(), "inbox", *backend_.last_call.ticket, env_.utc_ms());
  ASSERT_TRUE(caller.ok());
  EXPECT_EQ(caller->identity.uin, k_alice);
  EXPECT_LE(caller->identity.expires_ms, env_.utc_ms() + rpc::k_call_ticket_ms_max);
  EXPECT_EQ(backend_.last_call.priority.business, 20);
  EXPECT_EQ(backend_.last_call.deadline, env_.now() + std::chrono::seconds(10));
}

TEST_F(EntryTest, a_request_belongs_to_the_trace_it_names_or_to_one_of_its_own) {
  const std::string asked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", other = "00-00000000000000000000000000000007-b7ad6b7169203331-01";
  const std::string ticket = backend_.ticket(k_alice, k_phone);
  (void)send(ticket, nullptr, {}, {}, asked);
  const Call& seen = backend_.last_call;
  EXPECT_EQ(seen.uin, k_alice);
  EXPECT_EQ(seen.trace.id_high, 0x0af7651916cd43ddu);
  const auto spans = env_.tracer().of_trace(seen.trace.id_high, seen.trace.id);
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0]->parent, 0xb7ad6b7169203331u);
  EXPECT_EQ(spans[0]->id, seen.trace.parent);
  EXPECT_EQ(spans[0]->uin, k_alice);
  EXPECT_EQ(spans[0]->kind, runtime::Span::Kind::server);
  EXPECT_TRUE(env_.log().contains("entry: answered command=" + std::string(spans[0]->name) + " code=0 uin=" + std::to_string(k_alice) +
                                  " trace=0af7651916cd43dd8448eb211c80319c"));
  (void)send(ticket, nullptr, {}, other, asked);  // The message's own goes first: a link has no headers.
  EXPECT_EQ(seen.trace.id, 7u);
  for (const char* bad : {"", "00-zz", "00-00000000000000000000000000000000-b7ad6b7169203331-01"}) {
    (void)send(ticket, nullptr, {}, bad);
    EXPECT_NE(seen.trace.id, 0u) << bad;
    EXPECT_NE(seen.trace.id, 7u) << bad;
    EXPECT_FALSE(seen.trace.sampled) << bad;
  }
  const uint64_t before = env_.tracer().finished();
  (void)send("no ticket", nullptr, {}, asked);  // A refusal is a span too.
  ASSERT_EQ(env_.tracer().finished(), before + 1);
  EXPECT_EQ(env_.tracer().kept().back().code, Code::unauthenticated);
}

TEST_F(EntryTest, a_call_ticket_serves_for_a_second_and_for_one_session) {
  const auto ticket_after = [&](const std::string& shown) {
    EXPECT_EQ(code(shown), 0u);
    return backend_.last_call.ticket;
  };
  const std::string shown = backend_.ticket(k_alice, k_phone);
  const auto first = ticket_after(shown);
  env_.jump_utc_ms(999);
  EXPECT_EQ(ticket_after(shown), first);
  env_.jump_utc_ms(1);
  const auto second = ticket_after(shown);
  EXPECT_NE(*second, *first);
  env_.jump_utc_ms(-500);  // A clock that was set back makes a new one too.
  EXPECT_NE(ticket_after(shown), second);
  backend_.log_in(k_alice, k_phone, 2);
  (void)ticket_after(backend_.ticket(k_alice, k_phone, 2));
  EXPECT_EQ(rpc::caller_of(backend_.last_call)->identity.epoch, 2u);
}

TEST_F(EntryTest, the_call_ticket_signs_the_priority_of_the_command_and_the_user) {
  (void)send(backend_.ticket(k_alice, k_phone));
  const Call sent = backend_.last_call;
  const auto caller = rpc::check_call_ticket(FakeBackend::inbox_ring(), "inbox", *sent.ticket, env_.utc_ms());
  ASSERT_TRUE(caller.ok() && caller->priority);
  EXPECT_EQ(caller->priority->business, 20);
  EXPECT_EQ(caller->priority->user, sent.priority.user);
  EXPECT_LT(sent.priority.user, 128);
}

TEST_F(EntryTest, a_user_keeps_a_level_for_an_hour_and_nobody_for_good) {
  std::set<int> levels;
  for (int hour = 0; hour < 12; ++hour) {
    (void)send(backend_.ticket(k_alice, k_phone));
    const uint8_t first = backend_.last_call.priority.user;
    (void)send(backend_.ticket(k_alice, k_phone));
    EXPECT_EQ(backend_.last_call.priority.user, first);
    levels.insert(first);
    env_.advance(std::chrono::hours(1));
  }
  EXPECT_GT(levels.size(), 6u);
}

constexpr runtime::Duration k_queued = std::chrono::milliseconds(30);

TEST_F(EntryTest, requests_that_have_queued_are_overload_and_some_are_told_when_to_come_back) {
  remake({.per_device = {}});
  int refused = 0;
  SendRequest request;
  request.mutable_base()->set_ticket(backend_.ticket(k_alice, k_phone));
  runtime::run_in_coroutine(env_, [&] {
    for (int i = 0; i < 3000; ++i) {
      SendRequest copy = request;
      SendResponse response;
      Call call;
      entry_->handle(call, *entry_->commands().by_path("send"), copy,
                     {.address = "10.0.0.1:5000", .arrived = env_.scheduler().read_clock() - k_queued}, response);
      env_.advance(std::chrono::milliseconds(1));
      if (response.base().code() == 0) continue;
      ++refused;
      EXPECT_EQ(response.base().code(), static_cast<uint32_t>(Code::overloaded));
      EXPECT_EQ(response.base().class_(), 2u);
      EXPECT_GE(response.base().retry_after_ms(), 1000u);
    }
  });
  EXPECT_GT(refused, 50);
  EXPECT_EQ(static_cast<int>(backend_.sends.size()), 3000 - refused);
}

TEST_F(EntryTest, with_overload_control_off_nobody_is_refused_for_having_queued) {
  remake({.overload_control = false, .per_device = {}});
  runtime::run_in_coroutine(env_, [&] {
    for (int i = 0; i < 3000; ++i) {
      SendRequest request;
      request.mutable_base()->set_ticket(backend_.ticket(k_alice, k_phone));
      SendResponse response;
      Call call;
      entry_->handle(call, *entry_->commands().by_path("send"), request,
                     {.address = "10.0.0.1:5000", .arrived = env_.scheduler().read_clock() - k_queued}, response);
      env_.advance(std::chrono::milliseconds(1));
    }
  });
  EXPECT_EQ(backend_.sends.size(), 3000u);
}

TEST_F(EntryTest, no_ticket_is_refused) { EXPECT_EQ(code(""), number(ErrorCode::unauthenticated)); }

TEST_F(EntryTest, every_flipped_bit_of_a_ticket_is_refused) {
  const std::string good = backend_.ticket(k_alice, k_phone);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    EXPECT_EQ(code(bad), number(ErrorCode::unauthenticated)) << "bit " << bit;
  }
  EXPECT_TRUE(backend_.sends.empty());
  EXPECT_EQ(backend_.epochs_asked, 0);
}

TEST_F(EntryTest, expired_ticket_is_refused) {
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone, 1, -1)), number(ErrorCode::unauthenticated));
}

TEST_F(EntryTest, oversized_ticket_is_refused) {
  EXPECT_EQ(code(std::string(1024 * 1024, 't')), number(ErrorCode::unauthenticated));
}

TEST_F(EntryTest, ticket_shown_by_another_device_is_refused) {
  EXPECT_EQ(send(backend_.ticket(k_alice, k_phone), nullptr, k_laptop).code(), number(ErrorCode::unauthenticated));
}

TEST_F(EntryTest, old_epoch_is_refused_whether_remembered_or_asked) {
  backend_.log_in(k_alice, k_phone, 2);
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone, 1)), number(ErrorCode::old_epoch));
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone, 2)), 0u);
  const BaseResponse base = send(backend_.ticket(k_alice, k_phone, 1));
  EXPECT_EQ(base.code(), number(ErrorCode::old_epoch));
  EXPECT_EQ(base.class_(), 3u);
}

TEST_F(EntryTest, new_login_of_a_remembered_device_is_taken_at_once) {
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone, 1)), 0u);
  backend_.log_in(k_alice, k_phone, 2);
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone, 2)), 0u);
}

TEST_F(EntryTest, revocation_ends_a_remembered_session) {
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), 0u);
  backend_.revocations.revoke_below(k_alice, k_phone, 2, env_.utc_ms() + k_hour_ms);
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), number(ErrorCode::old_epoch));
}

TEST_F(EntryTest, closed_session_whose_revocation_was_lost_ends_within_the_trust_time) {
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), 0u);
  backend_.sessions[{k_alice, k_phone}].second = false;
  env_.advance(std::chrono::minutes(6));
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), number(ErrorCode::old_epoch));
}

TEST_F(EntryTest, epoch_is_asked_once_per_device) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), 0u);
  EXPECT_EQ(backend_.epochs_asked, 1);
}

TEST_F(EntryTest, unknown_epoch_while_device_data_is_away_is_retried_later_not_logged_out) {
  backend_.device_away = true;
  const BaseResponse base = send(backend_.ticket(k_alice, k_phone));
  EXPECT_EQ(base.code(), number(ErrorCode::unavailable));
  EXPECT_EQ(base.class_(), 2u);
  EXPECT_GT(base.retry_after_ms(), 0u);
}

TEST_F(EntryTest, link_identity_serves_requests_without_a_ticket) {
  Link link;
  EXPECT_EQ(send("", &link).code(), number(ErrorCode::unauthenticated));
  link.identity = {.uin = k_alice, .device = k_phone, .epoch = 1, .feature_level = 2, .expires_ms = env_.utc_ms() + k_hour_ms};
  EXPECT_EQ(send("", &link).code(), 0u);
  link.identity->expires_ms = env_.utc_ms();
  EXPECT_EQ(send("", &link).code(), number(ErrorCode::unauthenticated));
}

TEST_F(EntryTest, a_ticket_that_a_link_has_shown_is_asked_its_time_and_its_session_each_time) {
  Link link;
  const std::string ticket = backend_.ticket(k_alice, k_phone);
  for (int again = 0; again < 2; ++again) EXPECT_EQ(send(ticket, &link).code(), 0u);
  for (size_t bit = 0; bit < ticket.size() * 8; bit += 7) {
    std::string forged = ticket;
    forged[bit / 8] = static_cast<char>(forged[bit / 8] ^ 1 << bit % 8);
    EXPECT_EQ(send(forged, &link).code(), number(ErrorCode::unauthenticated)) << bit;
  }
  EXPECT_EQ(send(ticket, &link, k_laptop).code(), number(ErrorCode::unauthenticated));
  EXPECT_EQ(send(ticket, &link).code(), 0u);
  env_.jump_utc_ms(k_hour_ms * 24);
  EXPECT_EQ(send(ticket, &link).code(), number(ErrorCode::unauthenticated));
  env_.jump_utc_ms(-k_hour_ms * 24);
  EXPECT_EQ(send(ticket, &link).code(), 0u);
  backend_.revocations.revoke_below(k_alice, k_phone, 2, env_.utc_ms() + k_hour_ms);
  EXPECT_EQ(send(ticket, &link).code(), number(ErrorCode::old_epoch));
}

TEST_F(EntryTest, ticket_past_half_its_life_is_renewed_once_a_minute) {
  const std::string old = backend_.ticket(k_alice, k_phone, 1, 11 * k_hour_ms);
  Link link;
  link.identity = rpc::Identity{.uin = k_alice, .device = k_phone, .epoch = 1, .feature_level = 2,
                                .expires_ms = env_.utc_ms() + 11 * k_hour_ms};
  const BaseResponse base = send(old, &link);
  EXPECT_EQ(code(base.new_ticket()), 0u);
  EXPECT_EQ(link.identity->expires_ms, env_.utc_ms() + 24 * k_hour_ms);
  EXPECT_EQ(send(old).new_ticket(), "");
  env_.advance(std::chrono::seconds(61));
  EXPECT_NE(send(old).new_ticket(), "");
  EXPECT_EQ(backend_.renewals, 2);
}

TEST_F(EntryTest, young_ticket_is_not_renewed) {
  EXPECT_EQ(send(backend_.ticket(k_alice, k_phone, 1, 13 * k_hour_ms)).new_ticket(), "");
}

TEST_F(EntryTest, anonymous_command_needs_no_ticket_and_carries_the_login_services) {
  EXPECT_EQ(log_in().code(), 0u);
  EXPECT_EQ(rpc::caller_of(backend_.last_call).value().service, "login");
}

TEST_F(EntryTest, device_over_its_rate_is_told_when_to_come_back) {
  for (int i = 0; i < 100; ++i) EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), 0u);
  const BaseResponse base = send(backend_.ticket(k_alice, k_phone));
  EXPECT_EQ(base.code(), number(ErrorCode::rate_limited));
  EXPECT_GE(base.retry_after_ms(), 1u);
  EXPECT_LE(base.retry_after_ms(), 21u);
  backend_.log_in(k_bob, k_phone);
  EXPECT_EQ(code(backend_.ticket(k_bob, k_phone)), 0u);
  env_.advance(std::chrono::milliseconds(21));
  EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), 0u);
}

TEST_F(EntryTest, anonymous_rate_counts_by_address) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(log_in().code(), 0u);
  EXPECT_EQ(log_in("10.0.0.1:6000").code(), number(ErrorCode::rate_limited));
  EXPECT_EQ(log_in("10.0.0.2:6000").code(), 0u);
}

TEST_F(EntryTest, anonymous_command_carries_the_peers_address_whatever_the_client_says) {
  EXPECT_EQ(log_in("10.0.0.1:6000").code(), 0u);  // It says 192.0.2.99.
  EXPECT_EQ(backend_.last_login.base().peer_address(), "10.0.0.1");
  EXPECT_EQ(log_in("[2001:db8:1:2:3:4:5:6]:80").code(), 0u);
  EXPECT_EQ(backend_.last_login.base().peer_address(), address_group("[2001:db8:1:2:ffff::1]:81"));
  EXPECT_EQ(log_in("127.0.0.1:80").code(), 0u);
  EXPECT_EQ(backend_.last_login.base().peer_address(), "") << "a proxy's, behind which everybody may be";
}

TEST_F(EntryTest, failure_of_the_service_is_answered_with_its_class) {
  backend_.send_status = model::error(ErrorCode::not_friend, "no edge\nwith a second line");
  const BaseResponse base = send(backend_.ticket(k_alice, k_phone));
  EXPECT_EQ(base.code(), number(ErrorCode::not_friend));
  EXPECT_EQ(base.class_(), 5u);
  EXPECT_EQ(base.debug(), "no edge with a second line");
}

TEST_F(EntryTest, code_that_is_in_no_table_becomes_internal_and_is_logged) {
  for (const uint32_t foreign : {18u, 20u, 999u}) {
    backend_.send_status = Status(static_cast<Code>(foreign), "private");
    EXPECT_EQ(code(backend_.ticket(k_alice, k_phone)), number(ErrorCode::internal));
  }
  EXPECT_TRUE(env_.log().contains("entry: a code that is not in the error table code=999"));
}

TEST_F(EntryTest, shed_load_says_when_to_come_back) {
  backend_.send_status = Status(Code::overloaded, "");
  EXPECT_EQ(send(backend_.ticket(k_alice, k_phone)).retry_after_ms(), 1000u);
}

TEST_F(EntryTest, standing_says_whether_a_session_still_counts) {
  rpc::Identity identity{.uin = k_alice, .device = k_phone, .epoch = 1};
  runtime::run_in_coroutine(env_, [&] {
    Call call;
    EXPECT_EQ(*entry_->standing(call, identity), Standing::good);
    backend_.log_in(k_alice, k_phone, 2);
    EXPECT_EQ(*entry_->standing(call, identity), Standing::superseded);
    backend_.sessions[{k_alice, k_phone}].second = false;
    EXPECT_EQ(*entry_->standing(call, identity), Standing::closed);
    backend_.device_away = true;
    EXPECT_EQ(entry_->standing(call, identity).code(), Code::unavailable);
  });
}

TEST(Printable, is_one_bounded_line_of_utf8) {
  EXPECT_EQ(printable("a\nb\x01" "c", 10), "a b c");
  EXPECT_EQ(printable("鸿雁", 6), "鸿雁");
  EXPECT_EQ(printable("鸿雁", 5), "?????");
  EXPECT_EQ(printable("\xff", 10), "?");
}

TEST(AddressGroup, drops_the_port_and_the_lower_half_of_ipv6) {
  EXPECT_EQ(address_group("10.0.0.1:80"), "10.0.0.1");
  EXPECT_EQ(address_group("[2001:db8:1:2:3:4:5:6]:80"), address_group("[2001:db8:1:2:ffff::1]:81"));
  EXPECT_NE(address_group("[2001:db8:1:2:3:4:5:6]:80"), address_group("[2001:db8:1:3:3:4:5:6]:80"));
  EXPECT_EQ(address_group("[::1]:80"), "::1");
}

TEST(LruMap, forgets_what_was_unused_for_longest) {
  rpc::LruMap<int, int> map(2);
  map.put(1, 10);
  map.put(2, 20);
  EXPECT_EQ(*map.find(1), 10);
  map.put(3, 30);
  EXPECT_EQ(map.find(2), nullptr);
  EXPECT_EQ(*map.find(1), 10);
  map.put(1, 11);
  map.erase(3);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(*map.find(1), 11);
}

}  // namespace
}  // namespace hongyan::api
