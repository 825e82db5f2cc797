// Goal: what a caller by name gets while instances crash, slow down, vanish, refuse, and lists
// flap; and what the instances are spared. Method: fake instances in virtual time; counts of what
// reached their handlers.
#include "rpc/routing/routed_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "rpc/routing/testing/fake_instances.h"

namespace hongyan::rpc {
namespace {

using runtime::Duration;
using runtime::Nursery;
using runtime::Time;
using testing::FakeInstance;
using testing::FakeInstances;
using testing::FakeResolver;
using ::testing::HasSubstr;
using testing::StringValue;
using namespace std::chrono_literals;

const std::string k_a = "a:1";
const std::string k_b = "b:1";
const std::string k_c = "c:1";

class RoutedChannelTest : public ::testing::Test {
 protected:
  RoutedChannelTest() {
    options_.balance = Balance::round_robin;
    list({{.address = k_a}, {.address = k_b}, {.address = k_c}});
  }

  void list(std::vector<Instance> instances) { directory_.set(std::move(instances)); }

  // `body` with a started channel; afterwards nothing may be left of it.
  void run(const std::function<void(RoutedChannel&)>& body) {
    options_.make_link = instances_.make_link();
    runtime::run_in_coroutine(env_, [&] {
      const size_t before = env_.scheduler().live();
      {
        RoutedChannel channel(env_, "test", std::make_unique<FakeResolver>(directory_), options_);
        channel.start();
        body(channel);
        channel.close();
        for (const InstanceSnapshot& one : channel.snapshot().instances) {
          EXPECT_EQ(one.in_flight, 0u);
        }
      }
      EXPECT_EQ(env_.scheduler().live(), before);
      EXPECT_EQ(instances_.links(), 0);
    });
  }

  Status call(RoutedChannel& channel, bool idempotent = true, uint64_t key = 0,
              Duration limit = 60s) {
    Call call = runtime::background_call(env_, limit);
    call.routing_key = key;
    const StringValue request;
    StringValue response;
    const MethodInfo& method = idempotent ? repeatable_ : once_;
    const Status status = channel.call(call, method, request, response);
    if (status.ok()) ++answered_[response.value()];
    return status;
  }
  // `callers` coroutines, one call every `pace` each, `times` times.
  std::map<Code, int> load(RoutedChannel& channel, int callers, int times, Duration pace,
                           bool idempotent = true) {
    std::map<Code, int> codes;
    Nursery nursery(env_.scheduler());
    for (int i = 0; i < callers; ++i) {
      nursery.spawn("caller", [&, i] {
        pause(pace * i / callers);
        for (int n = 0; n < times; ++n) {
          ++codes[call(channel, idempotent).code()];
          pause(pace);
        }
      });
    }
    Call for_ever;
    EXPECT_TRUE(nursery.join(for_ever).ok());
    return codes;
  }
  void pause(Duration duration) {
    Call call;
    (void)runtime::sleep(call, duration);
  }
  int64_t counter(const std::string& name) {
    return env_.counters().counter("hongyan_rpc_client_test_" + name, "").value();
  }
  InstanceSnapshot seen(RoutedChannel& channel, const std::string& address) {
    for (const InstanceSnapshot& one : channel.snapshot().instances) {
      if (one.instance.address == address) return one;
    }
    ADD_FAILURE() << address << " is not listed";
    return {};
  }

  runtime::TestEnv env_;
  FakeInstances instances_{env_};
  FakeResolver::Directory directory_;
  RoutedChannelOptions options_;
  const MethodInfo repeatable_ = testing::test_method("Get", true);
  const MethodInfo once_ = testing::test_method("Pay", false);
  std::map<std::string, int> answered_;
};

TEST_F(RoutedChannelTest, connects_before_the_first_call_and_spreads_calls) {
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    pause(10ms);
    for (const std::string& address : {k_a, k_b, k_c}) EXPECT_EQ(instances_[address].asked, 1);
    EXPECT_EQ(instances_.handled(), 0);
    EXPECT_EQ(load(channel, 3, 100, 10ms), (std::map<Code, int>{{Code::ok, 300}}));
    for (const std::string& address : {k_a, k_b, k_c}) EXPECT_NEAR(answered_[address], 100, 20);
  });
}

TEST_F(RoutedChannelTest, a_call_waits_for_a_connection_but_not_for_ever) {
  for (const std::string& address : {k_a, k_b, k_c}) {
    instances_[address].mode = FakeInstance::Mode::refused;
  }
  run([&](RoutedChannel& channel) {
    const Time begun = env_.now();
    EXPECT_EQ(call(channel).code(), Code::unavailable);
    EXPECT_EQ(env_.now() - begun, 1s);
    EXPECT_EQ(call(channel, true, 0, 100ms).code(), Code::deadline);
    Nursery nursery(env_.scheduler());
    nursery.spawn("caller", [&] { EXPECT_TRUE(call(channel).ok()); });
    pause(10ms);
    for (const std::string& address : {k_a, k_b, k_c}) instances_.start(address);
    pause(6s);
    EXPECT_TRUE(call(channel).ok());
    nursery.cancel_and_join();
  });
}

TEST_F(RoutedChannelTest, no_idempotent_call_fails_and_no_other_is_repeated_when_an_instance_dies) {
  for (const std::string& address : {k_a, k_b, k_c}) instances_[address].latency = 5ms;
  run([&](RoutedChannel& channel) {
    Nursery nursery(env_.scheduler());
    std::map<Code, int> repeatable;
    std::map<Code, int> once;
    nursery.spawn("repeatable", [&] { repeatable = load(channel, 4, 200, 10ms); });
    nursery.spawn("once", [&] { once = load(channel, 12, 200, 10ms, false); });
    for (int i = 0; i < 5; ++i) {
      pause(307ms);  // Not in step with the callers.
      instances_.kill(k_b);
      pause(300ms);
      instances_.start(k_b);
    }
    Call for_ever;
    ASSERT_TRUE(nursery.join(for_ever).ok());
    EXPECT_EQ(repeatable, (std::map<Code, int>{{Code::ok, 800}}));
    EXPECT_EQ(once[Code::ok] + once[Code::unknown_outcome], 2400);
    EXPECT_GT(once[Code::unknown_outcome], 0);
    EXPECT_LT(once[Code::unknown_outcome], 60);
    EXPECT_GT(counter("retries"), 0);
  });
}

TEST_F(RoutedChannelTest, who_is_alone_is_asked_again_when_its_process_dies) {
  list({{.address = k_a}});
  instances_[k_a].latency = 50ms;
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    for (const bool idempotent : {true, false}) {
      Nursery nursery(env_.scheduler());
      nursery.spawn("dies", [&] {
        pause(20ms);
        instances_.kill(k_a);
        pause(1ms);
        instances_.start(k_a);  // Another process at the same address.
      });
      EXPECT_EQ(call(channel, idempotent).code(), idempotent ? Code::ok : Code::unknown_outcome);
      Call for_ever;
      EXPECT_TRUE(nursery.join(for_ever).ok());
    }
    instances_[k_a].answer = Code::overloaded;  // Asking again would make it worse.
    const int before = instances_[k_a].handled;
    EXPECT_EQ(call(channel).code(), Code::overloaded);
    EXPECT_EQ(instances_[k_a].handled, before + 1);
  });
}

TEST_F(RoutedChannelTest, an_outage_adds_a_tenth_of_load_and_no_more) {
  for (const std::string& address : {k_a, k_b, k_c}) {
    instances_[address].answer = Code::unavailable;
  }
  run([&](RoutedChannel& channel) {
    const auto codes = load(channel, 20, 500, 10ms);
    EXPECT_EQ(codes, (std::map<Code, int>{{Code::unavailable, 10'000}}));
    EXPECT_LE(instances_.handled(), 11'010);
    EXPECT_GT(instances_.handled(), 10'500);  // It does try.
    EXPECT_GT(counter("over_budget"), 0);
    EXPECT_GT(counter("panics"), 0);
    // Questions whether they are there are not a storm either: ten a second at most.
    for (const std::string& address : {k_a, k_b, k_c}) EXPECT_LE(instances_[address].asked, 65);
  });
}

TEST_F(RoutedChannelTest, a_backup_answers_while_one_instance_is_slow_within_the_budget) {
  run([&](RoutedChannel& channel) {
    load(channel, 4, 100, 10ms);  // The method's latency is known now.
    const int before = instances_.handled();
    std::vector<Duration> took;
    for (int i = 0; i < 300; ++i) {
      instances_[k_a].latency = i % 20 < 3 ? 2s : 1ms;  // One of the three calls meets it.
      const Time begun = env_.now();
      EXPECT_TRUE(call(channel).ok());
      took.push_back(env_.now() - begun);
    }
    EXPECT_LE(std::ranges::max(took), 20ms);
    EXPECT_GT(counter("backups_won"), 5);
    EXPECT_LE(instances_.handled() - before, 300 * 11 / 10 + 10);
    EXPECT_EQ(instances_[k_a].waiting, 0);  // Those who lost were given up.
  });
}

TEST_F(RoutedChannelTest, calls_that_may_not_be_repeated_get_no_backup) {
  run([&](RoutedChannel& channel) {
    load(channel, 4, 100, 10ms, false);
    for (const std::string& address : {k_a, k_b, k_c}) instances_[address].latency = 500ms;
    const int before = instances_.handled();
    EXPECT_EQ(load(channel, 3, 10, 10ms, false), (std::map<Code, int>{{Code::ok, 30}}));
    EXPECT_EQ(instances_.handled() - before, 30);
    EXPECT_EQ(counter("backups"), 0);
  });
}

TEST_F(RoutedChannelTest, a_failing_instance_is_shielded_and_comes_back_when_it_is_well) {
  options_.backup = false;
  run([&](RoutedChannel& channel) {
    load(channel, 3, 20, 10ms);
    instances_[k_b].answer = Code::internal;
    const int before = instances_[k_b].handled;
    load(channel, 3, 1000, 10ms, false);
    // Of 1,000 that would have come, 5 opened it; then one probe for every isolation.
    EXPECT_LE(instances_[k_b].handled - before, 12);
    EXPECT_EQ(seen(channel, k_b).shield, ShieldState::open);
    EXPECT_GT(seen(channel, k_b).shielded_for, 0s);
    EXPECT_TRUE(env_.log().contains("b:1 of test gets no calls"));
    EXPECT_GT(counter("shieldings"), 1);
    instances_[k_b].answer = Code::ok;
    pause(20s);
    answered_.clear();
    EXPECT_EQ(load(channel, 3, 100, 10ms), (std::map<Code, int>{{Code::ok, 300}}));
    EXPECT_EQ(seen(channel, k_b).shield, ShieldState::closed);
    EXPECT_NEAR(answered_[k_b], 100, 20);
  });
}

TEST_F(RoutedChannelTest, an_instance_behind_a_cut_network_is_left_alone_until_it_answers) {
  options_.attempt_time = 200ms;
  run([&](RoutedChannel& channel) {
    load(channel, 3, 50, 10ms);
    instances_[k_c].mode = FakeInstance::Mode::vanished;
    EXPECT_EQ(load(channel, 3, 500, 10ms), (std::map<Code, int>{{Code::ok, 1500}}));
    EXPECT_LE(seen(channel, k_c).failures, 10u);
    pause(30s);
    EXPECT_FALSE(seen(channel, k_c).reachable);
    instances_[k_c].mode = FakeInstance::Mode::up;
    pause(30s);
    EXPECT_TRUE(seen(channel, k_c).reachable);
    answered_.clear();
    load(channel, 3, 100, 10ms);
    EXPECT_NEAR(answered_[k_c], 100, 20);
  });
}

TEST_F(RoutedChannelTest, refusing_for_overload_is_no_failure_but_moves_calls_elsewhere) {
  run([&](RoutedChannel& channel) {
    instances_[k_a].answer = Code::overloaded;
    const auto codes = load(channel, 3, 300, 10ms, false);
    EXPECT_EQ(seen(channel, k_a).shield, ShieldState::closed);
    EXPECT_EQ(seen(channel, k_a).failures, 0u);
    EXPECT_GT(seen(channel, k_a).refusals, 0u);
    EXPECT_LT(instances_[k_a].handled, 60);
    EXPECT_GT(codes.at(Code::ok), 880);
  });
}

TEST_F(RoutedChannelTest, deadlines_are_kept_and_attempts_shortened) {
  options_.backup = false;
  options_.call_time = 2s;
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    pause(10ms);
    for (const std::string& address : {k_a, k_b, k_c}) instances_[address].latency = 10s;
    Time begun = env_.now();
    EXPECT_EQ(call(channel, false).code(), Code::deadline);
    EXPECT_EQ(env_.now() - begun, 2s);
    begun = env_.now();
    EXPECT_EQ(call(channel, false, 0, 300ms).code(), Code::deadline);
    EXPECT_EQ(env_.now() - begun, 300ms);
    EXPECT_EQ(call(channel, false, 0, 0ms).code(), Code::deadline);
    EXPECT_EQ(instances_.handled(), 2);
  });
}

TEST_F(RoutedChannelTest, an_attempt_that_takes_too_long_is_made_elsewhere_if_it_may) {
  options_.backup = false;
  options_.attempt_time = 100ms;
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    pause(10ms);
    instances_[k_a].latency = 10s;
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(call(channel).ok());
    EXPECT_GE(counter("retries"), 1);
    int late = 0;
    for (int i = 0; i < 3; ++i) late += call(channel, false).code() == Code::deadline;
    EXPECT_EQ(late, 1);
  });
}

TEST_F(RoutedChannelTest, a_list_that_flaps_costs_neither_calls_nor_connections) {
  run([&](RoutedChannel& channel) {
    load(channel, 3, 20, 10ms);
    Nursery nursery(env_.scheduler());
    std::map<Code, int> codes;
    nursery.spawn("load", [&] { codes = load(channel, 6, 500, 10ms); });
    int links_max = 0;
    for (int i = 0; i < 100; ++i) {
      pause(50ms);
      switch (i % 5) {
        case 0: list({{.address = k_a}, {.address = k_b}}); break;
        case 1: directory_.set(Status(Code::unavailable, "the directory is down")); break;
        case 2: list({}); break;
        case 3: list({{.address = k_b}, {.address = k_c}}); break;
        default: list({{.address = k_a}, {.address = k_b}, {.address = k_c}}); break;
      }
      links_max = std::max(links_max, instances_.links());
    }
    Call for_ever;
    ASSERT_TRUE(nursery.join(for_ever).ok());
    EXPECT_EQ(codes, (std::map<Code, int>{{Code::ok, 3000}}));
    EXPECT_EQ(links_max, 3);
    for (const std::string& address : {k_a, k_b, k_c}) EXPECT_LE(instances_[address].asked, 3);
    EXPECT_GT(counter("list_failures"), 10);
    EXPECT_GT(channel.snapshot().lists, 10u);
  });
}

TEST_F(RoutedChannelTest, an_instance_that_leaves_finishes_its_calls_and_is_let_go_later) {
  run([&](RoutedChannel& channel) {
    load(channel, 1, 3, 10ms);
    instances_[k_a].latency = 3s;
    instances_[k_b].latency = 3s;
    instances_[k_c].latency = 3s;
    Nursery nursery(env_.scheduler());
    for (int i = 0; i < 3; ++i) {
      nursery.spawn("caller", [&] { EXPECT_TRUE(call(channel, false).ok()); });
    }
    pause(1s);
    list({{.address = k_b}});
    instances_[k_b].latency = 1ms;
    Call for_ever;
    ASSERT_TRUE(nursery.join(for_ever).ok());
    EXPECT_EQ(answered_[k_a], 2);  // One before, one that was under way.
    EXPECT_EQ(instances_.links(), 3);
    pause(40s);
    EXPECT_EQ(instances_.links(), 1);
    EXPECT_EQ(load(channel, 1, 5, 1ms), (std::map<Code, int>{{Code::ok, 5}}));
    EXPECT_EQ(answered_[k_a], 2);
  });
}

TEST_F(RoutedChannelTest, a_masked_zone_is_empty_at_once_and_full_again_at_once) {
  ZoneMask mask;
  options_.mask = &mask;
  options_.own_zone = "x";
  list({{.address = k_a, .zone = "x"}, {.address = k_b, .zone = "y"}});
  run([&](RoutedChannel& channel) {
    load(channel, 1, 10, 10ms);
    EXPECT_EQ(answered_[k_a], 10);
    mask.zones = {"x"};
    load(channel, 1, 10, 10ms);
    EXPECT_EQ(answered_[k_a], 10);
    EXPECT_EQ(answered_[k_b], 10);
    mask.zones = {"x", "y"};
    const Time begun = env_.now();
    EXPECT_EQ(call(channel).code(), Code::unavailable);
    EXPECT_EQ(env_.now(), begun);  // Nobody will come: no waiting.
    mask.zones = {};
    load(channel, 1, 10, 10ms);
    EXPECT_EQ(answered_[k_a], 20);
  });
}

TEST_F(RoutedChannelTest, client_versions_are_routed_by_what_the_channel_was_told) {
  list({{.address = k_a}, {.address = k_b, .versions = {{7, 9}}}});
  uint64_t version = 6;
  options_.client_version = [&](const Call&, const Message&) { return version; };
  run([&](RoutedChannel& channel) {
    load(channel, 1, 10, 10ms);
    version = 8;
    load(channel, 1, 10, 10ms);
    EXPECT_EQ(answered_, (std::map<std::string, int>{{k_a, 10}, {k_b, 10}}));
  });
}

TEST_F(RoutedChannelTest, a_new_instance_starts_slowly) {
  options_.balance = Balance::weighted;
  list({{.address = k_a}, {.address = k_b}});
  run([&](RoutedChannel& channel) {
    load(channel, 2, 100, 10ms);
    list({{.address = k_a}, {.address = k_b}, {.address = k_c}});
    pause(5ms);
    load(channel, 2, 50, 10ms);
    EXPECT_GT(answered_[k_c], 0);
    EXPECT_LT(answered_[k_c], 15);
    pause(10s);
    answered_.clear();
    load(channel, 2, 60, 10ms);
    EXPECT_NEAR(answered_[k_c], 40, 5);
  });
}

TEST_F(RoutedChannelTest, keys_stay_with_their_instance) {
  options_.balance = Balance::hash;
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    pause(10ms);
    for (uint64_t key = 1; key <= 30; ++key) {
      answered_.clear();
      for (int i = 0; i < 5; ++i) ASSERT_TRUE(call(channel, true, key).ok());
      EXPECT_EQ(answered_.size(), 1u) << key;
    }
  });
}

TEST_F(RoutedChannelTest, a_methods_own_key_goes_before_the_callers_and_travels) {
  options_.balance = Balance::owner;
  run([&](RoutedChannel& channel) {
    Call ready = env_.call();
    ASSERT_TRUE(channel.wait_reachable(ready).ok());
    pause(10ms);
    MethodInfo keyed = repeatable_;
    keyed.routing_key = [](const Message& request) -> uint64_t {
      return std::stoull(static_cast<const StringValue&>(request).value());
    };
    const auto who = [&](const MethodInfo& method, uint64_t caller_key, const char* text) {
      Call call = env_.call();
      call.routing_key = caller_key;
      StringValue request, response;
      request.set_value(text);
      EXPECT_TRUE(channel.call(call, method, request, response).ok());
      EXPECT_EQ(call.routing_key, caller_key);
      return response.value();
    };
    std::set<std::string> owners;
    for (uint64_t key = 1; key <= 30; ++key) {
      const std::string owner = who(repeatable_, key, "");
      owners.insert(owner);
      EXPECT_EQ(who(keyed, key % 3 + 1, std::to_string(key).c_str()), owner) << key;
    }
    EXPECT_EQ(owners.size(), 3u);
  });
}

TEST_F(RoutedChannelTest, close_ends_calls_under_way_and_refuses_new_ones) {
  run([&](RoutedChannel& channel) {
    load(channel, 4, 50, 10ms);
    for (const std::string& address : {k_a, k_b, k_c}) instances_[address].latency = 100s;
    Nursery nursery(env_.scheduler());
    std::map<Code, int> codes;
    for (int i = 0; i < 10; ++i) {
      nursery.spawn("caller", [&, i] { ++codes[call(channel, i % 2 == 0).code()]; });
    }
    pause(1s);
    const Time begun = env_.now();
    channel.close();
    Call for_ever;
    ASSERT_TRUE(nursery.join(for_ever).ok());
    EXPECT_EQ(env_.now(), begun);
    EXPECT_EQ(codes, (std::map<Code, int>{{Code::closed, 10}}));
    EXPECT_EQ(call(channel).code(), Code::closed);
  });
}

TEST_F(RoutedChannelTest, a_caller_that_is_cancelled_leaves_nothing_behind) {
  run([&](RoutedChannel& channel) {
    load(channel, 4, 50, 10ms);
    for (const std::string& address : {k_a, k_b, k_c}) instances_[address].latency = 100s;
    Nursery nursery(env_.scheduler());
    for (int i = 0; i < 10; ++i) {
      nursery.spawn("caller",
                    [&, i] { EXPECT_EQ(call(channel, i % 2 == 0).code(), Code::cancelled); });
    }
    pause(1s);
    nursery.cancel_and_join();
    for (const InstanceSnapshot& one : channel.snapshot().instances) {
      EXPECT_EQ(one.in_flight, 0u);
      EXPECT_EQ(one.shield, ShieldState::closed);
    }
  });
}

TEST_F(RoutedChannelTest, the_snapshot_says_what_is_going_on) {
  list({{.address = k_a, .weight = 2, .zone = "east"},
        {.address = k_b, .state = InstanceState::draining}});
  run([&](RoutedChannel& channel) {
    instances_[k_a].latency = 3ms;
    load(channel, 2, 20, 10ms);
    const InstanceSnapshot a = seen(channel, k_a);
    EXPECT_EQ(a.calls, 40u);
    EXPECT_NEAR(a.latency_us, 3000, 300);
    const std::string text = to_text(channel.snapshot());
    EXPECT_THAT(text, HasSubstr("test: 2 instances"));
    EXPECT_THAT(text, HasSubstr("a:1                      east       2 up        yes"));
    EXPECT_THAT(text, HasSubstr("b:1                      -          1 draining"));
    EXPECT_EQ(counter("calls"), 40);
    EXPECT_EQ(counter("instances"), 2);
  });
}

}  // namespace
}  // namespace hongyan::rpc
