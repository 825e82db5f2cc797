// Goal: a call reaches a handler only when the method's declared policy holds. Method: the echo service, which has a
// method for each kind of policy, called through a LocalChannel with good, missing, foreign and stale proofs.
#include "rpc/guard.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rpc/local_channel.h"
#include "rpc/overload/level.h"
#include "rpc/testing/echo.rpc.pb.h"

namespace hongyan::rpc {
namespace {

using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;

constexpr int64_t k_now = 1'700'000'000'000;
constexpr uint64_t k_alice = 101;
constexpr uint64_t k_bob = 102;

// An Env that has a calendar and nothing else.
class CalendarEnv : public Env {
 public:
  int64_t utc_ms() override { return now_ms; }
  int64_t now_ms = k_now;
  runtime::Time monotonic{};

  runtime::Scheduler& scheduler() override { nothing_else(); }
  runtime::Time now() override { return monotonic; }
  void random(std::span<char>) override { nothing_else(); }
  runtime::Network& network() override { nothing_else(); }
  runtime::Disk& disk() override { nothing_else(); }
  std::unique_ptr<runtime::Lane> make_lane(std::string_view, int) override { nothing_else(); }
  runtime::Lane& pool() override { nothing_else(); }
  runtime::Counters& counters() override { return counters_; }
  runtime::Log& log() override { nothing_else(); }

 private:
  [[noreturn]] static void nothing_else() { check_failed(__FILE__, __LINE__, "the guard asks for the time only"); }
  runtime::Counters counters_;
};

KeyRing ring(uint8_t id) { return KeyRing({{.id = id, .bytes = std::string(32, static_cast<char>(id))}}); }

class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    const auto echo = [this](Call&, const EchoRequest& request) -> Result<EchoReply> {
      ++handled_;
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
    fake_.on_own = fake_.on_own_on_device = fake_.on_granted = fake_.on_served = echo;
    fake_.on_open = fake_.on_own_or_granted = fake_.on_own_and_granted = fake_.on_command = echo;
  }

  static Identity person(uint64_t uin, std::string device = "device-of-16-byt", uint32_t epoch = 5) {
    return {.uin = uin, .device = std::move(device), .epoch = epoch, .feature_level = 2, .expires_ms = k_now + 60'000};
  }
  static Call with(std::string ticket) {
    Call call;
    call.ticket = std::make_shared<const std::string>(std::move(ticket));
    return call;
  }
  Call as(const Identity& identity) const { return with(make_call_ticket(audiences_, identity)); }
  Call as_service(std::string_view name) const { return with(make_service_ticket(audiences_, name, k_now + 60'000)); }

  static Grant write(uint64_t actor, uint64_t object) {
    return {.issuer = "contact", .actor = actor, .object = object, .right = "write", .expires_ms = k_now + 60'000};
  }
  static Grant job(uint64_t object) { return {.issuer = "contact", .object = object, .right = "write", .job = true}; }
  EchoRequest granted(uint64_t object, const Grant& grant) const {
    EchoRequest request;
    request.set_object(object);
    request.set_grant(make_grant(ring(9), grant));
    return request;
  }
  static EchoRequest owned(uint64_t owner, std::string device = {}) {
    EchoRequest request;
    request.set_owner(owner);
    request.set_device(std::move(device));
    return request;
  }

  using Function = Result<EchoReply> (EchoClient::*)(Call&, const EchoRequest&);
  // The code of the call; a refused call never reaches the handler.
  Code call(Function function, Call call, const EchoRequest& request) {
    const int before = handled_;
    const Code code = (client_.*function)(call, request).code();
    EXPECT_EQ(handled_ - before, code == Code::ok ? 1 : 0);
    return code;
  }

  CalendarEnv env_;
  AudienceKeys audiences_ = {{"inbox", ring(1)}, {"account", ring(2)}};
  Revocations revocations_;
  Guard guard_{env_, "inbox", ring(1), {{"contact", ring(9)}}, revocations_};
  EchoFake fake_;
  LocalChannel channel_{fake_, &guard_};
  EchoClient client_{channel_};
  int handled_ = 0;
};

TEST_F(GuardTest, a_priority_is_believed_only_under_a_good_signature) {
  const runtime::Priority best{.business = 20, .user = 3};
  const runtime::Priority wanted{.business = 10, .user = 0};
  const auto level = [&](std::string_view ticket) { return level_of(guard_.priority(ticket, wanted)); };
  const std::string good = make_call_ticket(audiences_, person(k_alice), best);
  for (int again = 0; again < 2; ++again) EXPECT_EQ(level(good), level_of(best));
  EXPECT_EQ(level(""), level_of(k_priority_lowest));
  EXPECT_EQ(level(make_call_ticket(audiences_, person(k_alice))), level_of(k_priority_lowest));
  EXPECT_EQ(level(make_call_ticket({{"inbox", ring(3)}}, person(k_alice), best)), level_of(k_priority_lowest));
  EXPECT_EQ(level(make_service_ticket(audiences_, "notify", k_now + 60'000)), level_of(wanted));
  for (size_t bit = 0; bit < 45 * 8; ++bit) {  // Identity and priority: all that is signed.
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
    EXPECT_EQ(level(bad), level_of(k_priority_lowest)) << "bit " << bit;
  }
  env_.now_ms += 60'000;
  EXPECT_EQ(level(good), level_of(k_priority_lowest));
}

TEST_F(GuardTest, every_method_with_a_policy_refuses_a_call_that_proves_nothing) {
  Identity stale = person(k_alice);
  stale.expires_ms = k_now;
  const std::string good = make_call_ticket(audiences_, person(k_alice));
  std::string forged = good;
  forged[3] = static_cast<char>(forged[3] ^ 1);
  const std::vector<std::pair<const char*, Call>> proofs = {
      {"none", Call()},
      {"empty", with("")},
      {"garbage", with("garbage")},
      {"expired", as(stale)},
      {"forged", with(forged)},
      {"another audience's", with(make_call_ticket({{"account", ring(2)}}, person(k_alice)))},
      {"signed by a key that is not ours", with(make_call_ticket({{"inbox", ring(3)}}, person(k_alice)))},
      {"a client ticket", with(make_client_ticket(ring(1), person(k_alice)))},
      {"a grant", with(make_grant(ring(1), write(k_alice, k_bob)))},
  };
  EchoRequest request = granted(k_alice, write(k_alice, k_alice));
  request.set_owner(k_alice);
  for (const MethodInfo& method : testing::echo_methods()) {
    for (auto [name, call] : proofs) {
      EXPECT_EQ(guard_.before(call, method, request).code(), Code::unauthenticated) << method.name << ": " << name;
    }
  }
}

TEST_F(GuardTest, owner_needs_the_tickets_own_uin) {
  EXPECT_EQ(call(&EchoClient::own, as(person(k_alice)), owned(k_alice)), Code::ok);
  EXPECT_EQ(call(&EchoClient::own, as(person(k_alice)), owned(k_bob)), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own, as(person(k_alice)), owned(0)), Code::forbidden);
}

TEST_F(GuardTest, owner_is_never_a_service) {
  EXPECT_EQ(call(&EchoClient::own, as_service("notify"), owned(0)), Code::forbidden);  // A service has uin 0.
  EXPECT_EQ(call(&EchoClient::own, as_service("notify"), owned(k_alice)), Code::forbidden);
}

TEST_F(GuardTest, owner_with_a_device_needs_both) {
  const Call alice = as(person(k_alice, "phone"));
  EXPECT_EQ(call(&EchoClient::own_on_device, alice, owned(k_alice, "phone")), Code::ok);
  EXPECT_EQ(call(&EchoClient::own_on_device, alice, owned(k_alice, "tablet")), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own_on_device, alice, owned(k_alice, "")), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own_on_device, alice, owned(k_bob, "phone")), Code::forbidden);
}

TEST_F(GuardTest, a_grant_opens_one_object_to_one_actor) {
  const Call alice = as(person(k_alice));
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_bob, write(k_alice, k_bob))), Code::ok);
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_bob, write(k_bob, k_bob))), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_alice, write(k_alice, k_bob))), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::granted, as_service("notify"), granted(k_bob, write(k_alice, k_bob))), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::granted, alice, owned(k_alice)), Code::forbidden);  // No grant.
}

TEST_F(GuardTest, a_grant_must_be_the_issuers_of_that_right_and_fresh) {
  const Call alice = as(person(k_alice));
  Grant read = write(k_alice, k_bob);
  read.right = "read";
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_bob, read)), Code::forbidden);
  Grant of_group = write(k_alice, k_bob);
  of_group.issuer = "group";
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_bob, of_group)), Code::forbidden);
  Grant old = write(k_alice, k_bob);
  old.expires_ms = k_now;
  EXPECT_EQ(call(&EchoClient::granted, alice, granted(k_bob, old)), Code::forbidden);
  EchoRequest request = granted(k_bob, write(k_alice, k_bob));
  request.set_grant(make_grant(ring(1), write(k_alice, k_bob)));  // The audience's own key is not the issuer's.
  EXPECT_EQ(call(&EchoClient::granted, alice, request), Code::forbidden);
}

TEST_F(GuardTest, a_grant_with_any_bit_flipped_or_cut_is_no_grant) {
  for (const bool is_job : {false, true}) {
    const EchoRequest good = granted(k_bob, is_job ? job(k_bob) : write(k_alice, k_bob));
    const Call caller = is_job ? as_service("worker") : as(person(k_alice));
    ASSERT_EQ(call(&EchoClient::granted, caller, good), Code::ok);
    for (size_t bit = 0; bit < good.grant().size() * 8; ++bit) {
      EchoRequest bad = good;
      (*bad.mutable_grant())[bit / 8] = static_cast<char>(bad.grant()[bit / 8] ^ (1 << bit % 8));
      EXPECT_EQ(call(&EchoClient::granted, caller, bad), Code::forbidden) << "bit " << bit;
    }
    for (size_t size = 0; size < good.grant().size(); ++size) {
      EchoRequest bad = good;
      bad.mutable_grant()->resize(size);
      EXPECT_EQ(call(&EchoClient::granted, caller, bad), Code::forbidden) << "size " << size;
    }
  }
}

TEST_F(GuardTest, a_grant_that_was_good_dies_with_its_time_and_opens_nothing_to_others) {
  Identity alice = person(k_alice);
  alice.expires_ms = k_now + 90'000;
  const EchoRequest good = granted(k_bob, write(k_alice, k_bob));
  for (int again = 0; again < 2; ++again) EXPECT_EQ(call(&EchoClient::granted, as(alice), good), Code::ok);
  EXPECT_EQ(call(&EchoClient::granted, as(person(k_bob)), good), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::granted, as_service("notify"), good), Code::forbidden);
  EchoRequest elsewhere = good;
  elsewhere.set_object(k_alice);
  EXPECT_EQ(call(&EchoClient::granted, as(alice), elsewhere), Code::forbidden);
  env_.now_ms = k_now + 60'000;
  EXPECT_EQ(call(&EchoClient::granted, as(alice), good), Code::forbidden);
  env_.now_ms = k_now;
  EXPECT_EQ(call(&EchoClient::granted, as(alice), good), Code::ok);
}

// Each service signs with a key of its own, and could write another's name.
TEST_F(GuardTest, a_grant_that_one_issuers_key_made_good_is_not_anothers) {
  Guard guard(env_, "inbox", ring(1), {{"contact", ring(9)}, {"group", ring(8)}}, revocations_);
  MethodInfo of_contact = *std::ranges::find(testing::echo_methods(), std::string_view("Granted"), &MethodInfo::name);
  MethodInfo of_group = of_contact;
  of_group.policy.grant_issuer = "group";
  Grant pretended = write(k_alice, k_bob);
  pretended.issuer = "group";
  const EchoRequest request = granted(k_bob, pretended);  // By the key of "contact".
  Call alice = as(person(k_alice));
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(guard.before(alice, of_contact, request).code(), Code::forbidden);
    EXPECT_EQ(guard.before(alice, of_group, request).code(), Code::forbidden);
  }
  EXPECT_TRUE(guard.before(alice, of_contact, granted(k_bob, write(k_alice, k_bob))).ok());
}

TEST_F(GuardTest, an_issuer_that_the_audience_does_not_know_grants_nothing) {
  Guard no_issuers(env_, "inbox", ring(1), {}, revocations_);
  LocalChannel channel(fake_, &no_issuers);
  EchoClient client(channel);
  Call alice = as(person(k_alice));
  EXPECT_EQ(client.granted(alice, granted(k_bob, write(k_alice, k_bob))).code(), Code::forbidden);
}

TEST_F(GuardTest, a_job_grant_is_for_services_only_and_for_its_object) {
  EXPECT_EQ(call(&EchoClient::granted, as_service("worker"), granted(k_bob, job(k_bob))), Code::ok);
  EXPECT_EQ(call(&EchoClient::granted, as_service("worker"), granted(k_alice, job(k_bob))), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::granted, as(person(k_alice)), granted(k_bob, job(k_bob))), Code::forbidden);
  Grant read = job(k_bob);
  read.right = "read";
  EXPECT_EQ(call(&EchoClient::granted, as_service("worker"), granted(k_bob, read)), Code::forbidden);
}

TEST_F(GuardTest, service_needs_a_listed_service) {
  EXPECT_EQ(call(&EchoClient::served, as_service("notify"), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::served, as_service("push"), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::served, as_service("pus"), {}), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::served, as_service("group"), {}), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::served, as(person(k_alice)), {}), Code::forbidden);
}

TEST_F(GuardTest, public_needs_any_valid_ticket) {
  EXPECT_EQ(call(&EchoClient::open, as(person(k_alice)), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::open, as_service("anything"), {}), Code::ok);
}

TEST_F(GuardTest, any_of_the_declared_policies_suffices) {
  EXPECT_EQ(call(&EchoClient::own_or_granted, as(person(k_alice)), owned(k_alice)), Code::ok);
  EXPECT_EQ(call(&EchoClient::own_or_granted, as(person(k_alice)), granted(k_bob, write(k_alice, k_bob))), Code::ok);
  EXPECT_EQ(call(&EchoClient::own_or_granted, as_service("notify"), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::own_or_granted, as_service("push"), {}), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own_or_granted, as(person(k_alice)), owned(k_bob)), Code::forbidden);
}

TEST_F(GuardTest, where_a_policy_says_all_neither_the_owner_nor_the_grant_suffices_alone) {
  EchoRequest both = granted(k_bob, write(k_alice, k_bob));
  both.set_owner(k_alice);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as(person(k_alice)), both), Code::ok);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as(person(k_alice)), owned(k_alice)), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as(person(k_alice)), granted(k_bob, write(k_alice, k_bob))), Code::forbidden);
  EchoRequest foreign = granted(k_bob, write(k_bob, k_bob));  // The owner with somebody else's grant.
  foreign.set_owner(k_alice);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as(person(k_alice)), foreign), Code::forbidden);
  EchoRequest job_granted = granted(k_bob, job(k_bob));
  job_granted.set_owner(k_alice);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as(person(k_alice)), job_granted), Code::forbidden);
  EXPECT_EQ(call(&EchoClient::own_and_granted, as_service("notify"), job_granted), Code::forbidden);
}

TEST_F(GuardTest, a_method_without_a_policy_is_closed) {
  EXPECT_EQ(call(&EchoClient::command, as(person(k_alice)), owned(k_alice)), Code::forbidden);
}

TEST_F(GuardTest, a_revoked_epoch_is_refused_on_that_device_only) {
  revocations_.revoke_below(k_alice, "phone", 6, k_now + 1000);
  EXPECT_EQ(call(&EchoClient::open, as(person(k_alice, "phone", 5)), {}), Code::unauthenticated);
  EXPECT_EQ(call(&EchoClient::open, as(person(k_alice, "phone", 6)), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::open, as(person(k_alice, "tablet", 5)), {}), Code::ok);
  EXPECT_EQ(call(&EchoClient::open, as(person(k_bob, "phone", 5)), {}), Code::ok);
}

TEST_F(GuardTest, a_ticket_dies_while_the_clock_runs) {
  const Call alice = as(person(k_alice));
  EXPECT_EQ(call(&EchoClient::open, alice, {}), Code::ok);
  env_.now_ms += 60'000;
  EXPECT_EQ(call(&EchoClient::open, alice, {}), Code::unauthenticated);
}

TEST_F(GuardTest, a_ticket_that_was_good_is_asked_again_whether_it_was_revoked) {
  const Call alice = as(person(k_alice, "phone", 5));
  EXPECT_EQ(call(&EchoClient::open, alice, {}), Code::ok);
  revocations_.revoke_below(k_alice, "phone", 6, k_now + 1000);
  EXPECT_EQ(call(&EchoClient::open, alice, {}), Code::unauthenticated);
}

TEST_F(GuardTest, a_good_ticket_makes_no_other_good_wherever_it_lies_in_memory) {
  for (int i = 0; i < 5000; ++i) {
    const uint64_t uin = 1000 + static_cast<uint64_t>(i);
    const Identity person_i = person(uin);
    EXPECT_EQ(call(&EchoClient::own, as(person_i), owned(uin)), Code::ok);  // Freed at once: the next may lie where it lay.
    std::string forged = make_call_ticket(audiences_, person_i);
    forged[3] = static_cast<char>(forged[3] ^ 1);
    EXPECT_EQ(call(&EchoClient::own, with(forged), owned(uin)), Code::unauthenticated);
    EXPECT_EQ(call(&EchoClient::own, as(person_i), owned(uin + 1)), Code::forbidden);
  }
}

TEST(Revocations, an_older_one_takes_nothing_back_and_trim_forgets_what_expired) {
  Revocations revocations;
  revocations.revoke_below(1, "phone", 6, k_now + 10);
  revocations.revoke_below(1, "phone", 4, k_now + 5);
  EXPECT_TRUE(revocations.revoked({.uin = 1, .device = "phone", .epoch = 5}));
  revocations.trim(k_now + 9);
  EXPECT_TRUE(revocations.revoked({.uin = 1, .device = "phone", .epoch = 5}));
  revocations.trim(k_now + 10);
  EXPECT_FALSE(revocations.revoked({.uin = 1, .device = "phone", .epoch = 5}));
  EXPECT_EQ(revocations.size(), 0u);
}

// --- the rate of public methods ---

class PublicRateTest : public GuardTest {
 protected:
  Code open(Call call, const MethodInfo* method = nullptr) {
    return guard_.before(call, method != nullptr ? *method : *method_named("Open"), EchoRequest()).code();
  }
  static const MethodInfo* method_named(std::string_view name) {
    for (const MethodInfo& method : testing::echo_methods()) {
      if (method.name == name) return &method;
    }
    return nullptr;
  }
  int64_t limited() { return env_.counters().counter("hongyan_guard_rate_limited", "").value(); }

  Guard guard_{env_, "inbox", ring(1), {{"contact", ring(9)}}, revocations_,
               {.per_user = {.per_second = 2, .burst = 5}, .per_service = {.per_second = 20, .burst = 50}, .callers_max = 3}};
};

TEST_F(PublicRateTest, a_user_has_one_bucket_for_all_devices_and_it_fills_again) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(open(as(person(k_alice, i % 2 == 0 ? "phone" : "tablet"))), Code::ok);
  EXPECT_EQ(open(as(person(k_alice, "phone"))), Code::rate_limited);
  EXPECT_EQ(open(as(person(k_alice, "third"))), Code::rate_limited);
  EXPECT_EQ(open(as(person(k_bob))), Code::ok) << "another user";
  EXPECT_EQ(limited(), 2);
  env_.monotonic += std::chrono::seconds(1);
  EXPECT_EQ(open(as(person(k_alice))), Code::ok);
  EXPECT_EQ(open(as(person(k_alice))), Code::ok);
  EXPECT_EQ(open(as(person(k_alice))), Code::rate_limited);
}

TEST_F(PublicRateTest, a_service_has_a_larger_one_of_its_own) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(open(as_service("group")), Code::ok);
  EXPECT_EQ(open(as_service("group")), Code::rate_limited);
  EXPECT_EQ(open(as_service("contact")), Code::ok);
  EXPECT_EQ(open(as(person(k_alice))), Code::ok);
}

TEST_F(PublicRateTest, a_right_is_not_limited_and_a_bad_ticket_takes_nothing) {
  Identity stale = person(k_alice);
  stale.expires_ms = k_now;
  for (int i = 0; i < 20; ++i) {
    Call call = as(person(k_alice));
    EXPECT_EQ(guard_.before(call, *method_named("Own"), owned(k_alice)).code(), Code::ok);
    EXPECT_EQ(open(as(stale)), Code::unauthenticated);
  }
  EXPECT_EQ(open(as(person(k_alice))), Code::ok);
}

TEST_F(PublicRateTest, no_more_callers_are_remembered_than_fit) {
  for (uint64_t uin = 1; uin <= 1000; ++uin) EXPECT_EQ(open(as(person(uin))), Code::ok);
  for (int i = 0; i < 5; ++i) (void)open(as(person(k_alice)));
  for (uint64_t uin = 1; uin <= 2; ++uin) EXPECT_EQ(open(as(person(uin))), Code::ok);
  EXPECT_EQ(open(as(person(k_alice))), Code::rate_limited) << "used just now, so remembered";
}

TEST(LocalChannel, carries_the_request_the_answer_and_the_error) {
  EchoFake fake;
  LocalChannel channel(fake, nullptr);
  EchoClient client(channel);
  fake.on_open = [](Call& call, const EchoRequest& request) -> Result<EchoReply> {
    call.priority.business = 1;
    if (request.body().empty()) return Status(Code::invalid, "no body");
    EchoReply reply;
    reply.set_body(request.body() + "!");
    return reply;
  };
  Call call;
  EchoRequest request;
  EXPECT_EQ(client.open(call, request).status().detail(), "no body");
  request.set_body("hello");
  EXPECT_EQ(client.open(call, request).value().body(), "hello!");
  EXPECT_EQ(call.priority.business, 128);  // The handler had its own copy of the call.
  EXPECT_EQ(client.delete_(call, request).code(), Code::unsupported);  // Not set in the fake.
}

}  // namespace
}  // namespace hongyan::rpc
