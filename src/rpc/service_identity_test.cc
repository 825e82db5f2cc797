// Goal: a service always has a ticket that verifies, made anew rarely. Method: virtual time.
#include "rpc/service_identity.h"

#include <gtest/gtest.h>

#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;

TEST(ServiceIdentity, its_ticket_verifies_at_any_time_and_is_renewed_at_half_its_life) {
  runtime::TestEnv env;
  const KeyRing ring({{.id = 1, .bytes = std::string(32, 'k')}});
  ServiceIdentity identity(env, {{"inbox", ring}}, "notify");
  int made = 0;
  std::shared_ptr<const std::string> last;
  for (int second = 0; second < 300; ++second) {
    const Call call = identity.as_self(Call());
    const auto caller = check_call_ticket(ring, "inbox", *call.ticket, env.utc_ms());
    ASSERT_TRUE(caller.ok()) << second;
    EXPECT_EQ(caller->service, "notify");
    made += call.ticket != last;
    last = call.ticket;
    env.jump_utc_ms(1000);
  }
  EXPECT_EQ(made, 10);
  env.jump_utc_ms(-3'600'000);
  EXPECT_TRUE(check_call_ticket(ring, "inbox", *identity.as_self(Call()).ticket, env.utc_ms()).ok());
}

TEST(ServiceIdentity, keeps_all_of_the_call_but_the_ticket) {
  runtime::TestEnv env;
  ServiceIdentity identity(env, {{"inbox", KeyRing({{.id = 1, .bytes = std::string(32, 'k')}})}}, "notify");
  Call call = env.call();
  call.ticket = std::make_shared<const std::string>("a person's");
  call.trace.id = 5;
  call.priority.business = 3;
  const Call own = identity.as_self(call);
  EXPECT_EQ(own.deadline, call.deadline);
  EXPECT_EQ(own.trace.id, 5u);
  EXPECT_EQ(own.priority.business, 3);
  EXPECT_NE(*own.ticket, "a person's");
  EXPECT_EQ(identity.background(5s).deadline, env.now() + 5s);
}

}  // namespace
}  // namespace hongyan::rpc
