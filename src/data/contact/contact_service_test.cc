// data/contact behind its guard on a real engine. The main test walks every order of two people's actions; the others
// take one promise each. "Crash" is a store that refuses the peer's commit and a new service on the reopened data.
#include "data/contact/contact_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "data/contact/contact_table.h"
#include "data/contact/limits.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "rpc/guard.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::contact {
namespace {

using model::ErrorCode;
using runtime::TestEnv;
using runtime::run_in_coroutine;
using namespace std::chrono_literals;

constexpr uint64_t k_ada = 10'001;
constexpr uint64_t k_bob = 10'002;
constexpr uint64_t k_eve = 10'003;
constexpr uint64_t k_nobody = 99'999;
constexpr Code code(ErrorCode c) { return model::as_code(c); }

rpc::KeyRing ring_of(char fill) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, fill)}}); }

struct World {
  World() { restart(); }

  void restart() {
    service.reset();
    store.reopen();
    service = make_contact(env,
                           {.store = store,
                            .account = account,
                            .presence = presence,
                            .audiences = {{"presence", ring_of('p')}, {"account", ring_of('a')}},
                            .grants = ring_of('g')},
                           {});
    channel = std::make_unique<rpc::LocalChannel>(*service, &guard);
    client = std::make_unique<internal::ContactClient>(*channel);
  }

  Call user(uint64_t uin) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_call_ticket(
        audiences, {.uin = uin, .device = std::string(16, 'd'), .epoch = 1, .expires_ms = env.utc_ms() + 60'000}));
    return call;
  }
  Call as(const std::string& name) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_service_ticket(audiences, name, env.utc_ms() + 60'000));
    return call;
  }

  Result<internal::EdgeResponse> ask(uint64_t uin, uint64_t peer, const std::string& greeting = "hello") {
    internal::AskRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    request.set_greeting(greeting);
    Call call = user(uin);
    return client->ask(call, request);
  }
  Result<internal::EdgeResponse> accept(uint64_t uin, uint64_t peer) {
    internal::AcceptRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = user(uin);
    return client->accept(call, request);
  }
  Result<internal::EdgeResponse> remove(uint64_t uin, uint64_t peer) {
    internal::RemoveRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = user(uin);
    return client->remove(call, request);
  }
  Result<internal::EdgeResponse> befriend(uint64_t uin, uint64_t peer) {
    internal::BefriendRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = as("integrator");
    return client->befriend(call, request);
  }
  Result<internal::EdgeResponse> set(uint64_t uin, uint64_t peer, const std::vector<std::string>& fields,
                                     const std::string& remark, bool blocked) {
    internal::SetEdgeRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    request.set_remark(remark);
    request.set_blocked(blocked);
    for (const std::string& field : fields) request.add_fields(field);
    Call call = user(uin);
    return client->set_edge(call, request);
  }
  Result<internal::EdgeResponse> block(uint64_t uin, uint64_t peer, bool blocked = true) {
    return set(uin, peer, {"blocked"}, "", blocked);
  }
  client::Contact edge(uint64_t uin, uint64_t peer) {
    internal::GetEdgeRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = user(uin);
    return client->get_edge(call, request).value().contact();
  }
  uint32_t state(uint64_t uin, uint64_t peer) { return edge(uin, peer).state(); }
  Result<internal::MayWriteResponse> may_write(uint64_t uin, uint64_t peer) {
    internal::MayWriteRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = user(uin);
    return client->may_write(call, request);
  }
  Result<internal::MayWriteResponse> grant_write(uint64_t uin, uint64_t peer, const std::string& service = "integrator") {
    internal::GrantWriteRequest request;
    request.set_uin(uin);
    request.set_peer(peer);
    Call call = as(service);
    return client->grant_write(call, request);
  }
  Result<internal::ContactChangesResponse> changes(uint64_t uin, uint64_t incarnation, uint64_t since,
                                                   uint32_t limit = 0) {
    internal::ContactChangesRequest request;
    request.set_uin(uin);
    request.set_incarnation(incarnation);
    request.set_since(since);
    request.set_limit(limit);
    Call call = user(uin);
    return client->changes(call, request);
  }
  Result<internal::ListEdgesResponse> list(uint64_t uin, uint64_t after, uint32_t limit) {
    internal::ListEdgesRequest request;
    request.set_uin(uin);
    request.set_after_peer(after);
    request.set_limit(limit);
    Call call = user(uin);
    return client->list_edges(call, request);
  }
  bool has_work() {
    Call call = env.call();
    return !store.below().scan_work(call, model::k_work_edge, nullptr, 10)->empty();
  }
  size_t rows_of(uint64_t uin) {
    Call call = env.call();
    return store.below().read(call, {.entity = contact_entity(uin)})->rows.size();
  }
  // The peer's entity can't be reached from now on.
  void cut_off(uint64_t uin) {
    store.before = [uin](Call&, const store::Commit& commit) {
      return commit.entity == contact_entity(uin) ? Status(Code::unavailable, "cut off") : Status();
    };
  }
  void work_until_done() {
    service->start();
    Call call = runtime::background_call(env, 10min);
    for (int i = 0; i < 100 && has_work(); ++i) ASSERT_TRUE(runtime::sleep(call, 1s).ok());
    EXPECT_FALSE(has_work());
    ASSERT_TRUE(service->stop(call).ok());
  }
  // How full a list is, without ten thousand requests.
  void pretend_count(uint64_t uin, int64_t count) {
    Call call = env.call();
    store::Commit commit{.entity = contact_entity(uin)};
    commit.mutations = {store::add(std::string(k_row_count), count)};
    ASSERT_TRUE(store.below().commit(call, std::move(commit))->committed);
  }

  TestEnv env;
  store::TestStore store{env};
  rpc::AudienceKeys audiences{{"contact", ring_of('c')}, {"other", ring_of('o')}};
  rpc::Revocations revocations;
  std::vector<internal::RingRequest> rings;
  internal::PresenceFake presence_fake = [this] {
    internal::PresenceFake fake;
    fake.on_ring = [this](Call&, const internal::RingRequest& request) -> Result<internal::RingResponse> {
      rings.push_back(request);
      return internal::RingResponse();
    };
    return fake;
  }();
  internal::AccountFake account_fake = [] {
    internal::AccountFake fake;
    fake.on_profiles = [](Call&, const internal::ProfilesRequest& request) -> Result<internal::ProfilesResponse> {
      internal::ProfilesResponse out;
      for (const uint64_t uin : request.uins()) {
        if (uin != k_nobody) out.add_profiles()->set_uin(uin);
      }
      return out;
    };
    return fake;
  }();
  rpc::Guard presence_guard{env, "presence", ring_of('p'), {}, revocations};
  rpc::LocalChannel presence_channel{presence_fake, &presence_guard};
  internal::PresenceClient presence{presence_channel};
  rpc::Guard account_guard{env, "account", ring_of('a'), {}, revocations};
  rpc::LocalChannel account_channel{account_fake, &account_guard};
  internal::AccountClient account{account_channel};
  rpc::Guard guard{env, "contact", ring_of('c'), {}, revocations};
  std::unique_ptr<Service> service;
  std::unique_ptr<rpc::LocalChannel> channel;
  std::unique_ptr<internal::ContactClient> client;
};

void in_world(const std::function<void(World&)>& body) {
  World world;
  run_in_coroutine(world.env, [&] { body(world); });
}

constexpr uint32_t none = model::k_edge_none;
constexpr uint32_t is_friend = model::k_edge_friend;
constexpr uint32_t asked = model::k_edge_asked;
constexpr uint32_t asks_me = model::k_edge_asks_me;

TEST(Contact, asking_and_accepting_makes_friends_on_both_sides) {
  in_world([](World& w) {
    const auto answer = w.ask(k_ada, k_bob, "I am Ada");
    ASSERT_TRUE(answer.ok()) << answer.status().detail();
    EXPECT_EQ(answer->contact().uin(), k_bob);
    EXPECT_EQ(answer->contact().state(), asked);
    EXPECT_EQ(w.edge(k_bob, k_ada).greeting(), "I am Ada");
    EXPECT_EQ(w.state(k_bob, k_ada), asks_me);
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::not_friend));
    EXPECT_EQ(w.may_write(k_bob, k_ada).code(), code(ErrorCode::not_friend));
    const auto accepted = w.accept(k_bob, k_ada);
    ASSERT_TRUE(accepted.ok());
    EXPECT_EQ(accepted->contact().state(), is_friend);
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
    EXPECT_TRUE(w.may_write(k_ada, k_bob).ok());
    EXPECT_TRUE(w.may_write(k_bob, k_ada).ok());
    EXPECT_FALSE(w.has_work());
  });
}

TEST(Contact, every_visible_change_rings_its_owner_with_its_version) {
  in_world([](World& w) {
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    ASSERT_TRUE(w.accept(k_bob, k_ada).ok());
    std::map<uint64_t, int> count;
    for (const internal::RingRequest& ring : w.rings) {
      EXPECT_EQ(ring.ring().key(), model::k_ring_contacts);
      EXPECT_GT(ring.ring().version(), 0u);
      ++count[ring.uin()];
    }
    EXPECT_EQ(count[k_ada], 2);
    EXPECT_EQ(count[k_bob], 2);
    w.presence_fake.on_ring = nullptr;
    EXPECT_TRUE(w.remove(k_ada, k_bob).ok()) << "a lost ring is no error";
    EXPECT_EQ(w.env.counters().counter("hongyan_contact_rings_failed", "").value(), 1);
  });
}

TEST(Contact, removed_friend_goes_on_listing_but_can_not_write) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    ASSERT_TRUE(w.set(k_bob, k_ada, {"remark"}, "dear", false).ok());
    EXPECT_EQ(w.remove(k_bob, k_ada)->contact().state(), none);
    EXPECT_EQ(w.edge(k_bob, k_ada).remark(), "");
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::not_friend));
    EXPECT_EQ(w.may_write(k_bob, k_ada).code(), code(ErrorCode::not_friend));
    // Ada asks again without removing Bob first; she lists him all the time.
    EXPECT_EQ(w.ask(k_ada, k_bob, "again?")->contact().state(), is_friend);
    EXPECT_EQ(w.edge(k_bob, k_ada).greeting(), "again?");
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::not_friend));
    ASSERT_TRUE(w.accept(k_bob, k_ada).ok());
    EXPECT_TRUE(w.may_write(k_ada, k_bob).ok());
    // And when Bob removes her and asks himself, she agrees already.
    ASSERT_TRUE(w.remove(k_bob, k_ada).ok());
    EXPECT_EQ(w.ask(k_bob, k_ada)->contact().state(), is_friend);
    EXPECT_TRUE(w.may_write(k_ada, k_bob).ok());
  });
}

TEST(Contact, refusing_is_silent_and_withdrawing_is_not) {
  in_world([](World& w) {
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    EXPECT_EQ(w.remove(k_bob, k_ada)->contact().state(), none);
    EXPECT_EQ(w.state(k_ada, k_bob), asked) << "Ada does not learn that she was refused";
    EXPECT_EQ(w.accept(k_bob, k_ada).code(), code(ErrorCode::no_request));
    ASSERT_TRUE(w.ask(k_ada, k_bob, "please").ok());
    EXPECT_EQ(w.edge(k_bob, k_ada).greeting(), "please");
    EXPECT_EQ(w.remove(k_ada, k_bob)->contact().state(), none);
    EXPECT_EQ(w.state(k_bob, k_ada), none);
    EXPECT_EQ(w.accept(k_bob, k_ada).code(), code(ErrorCode::no_request));
    EXPECT_TRUE(w.remove(k_ada, k_bob).ok()) << "nothing to remove";
    EXPECT_LE(w.rows_of(k_ada), 1u) << "only the number row stays";
  });
}

TEST(Contact, both_who_ask_are_friends) {
  in_world([](World& w) {
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    EXPECT_EQ(w.ask(k_bob, k_ada)->contact().state(), is_friend);
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
  });
  // At the same moment: both own edges are committed before either action arrives.
  in_world([](World& w) {
    std::set<std::string> decided;
    w.store.before = [&](Call& call, const store::Commit& commit) -> Status {
      decided.insert(commit.entity.id);
      while (decided.size() < 2) TRY(runtime::sleep(call, 1ms));
      return {};
    };
    runtime::Nursery both(w.env.scheduler());
    both.spawn("ada", [&] { EXPECT_TRUE(w.ask(k_ada, k_bob).ok()); });
    both.spawn("bob", [&] { EXPECT_TRUE(w.ask(k_bob, k_ada).ok()); });
    Call call = w.env.call();
    ASSERT_TRUE(both.join(call).ok());
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
    EXPECT_EQ(w.state(k_bob, k_ada), is_friend);
    EXPECT_FALSE(w.has_work());
  });
}

// Two people do up to four things in every order. Whatever they do, an edge that both want is a friendship, nobody is
// listed as a friend who never agreed, and nothing is left to do.
TEST(Contact, every_order_of_actions_ends_consistent) {
  enum Act { ada_asks, bob_asks, ada_accepts, bob_accepts, ada_removes, bob_removes };
  const auto act = [](World& w, Act a) {
    switch (a) {
      case ada_asks: return w.ask(k_ada, k_bob).code();
      case bob_asks: return w.ask(k_bob, k_ada).code();
      case ada_accepts: return w.accept(k_ada, k_bob).code();
      case bob_accepts: return w.accept(k_bob, k_ada).code();
      case ada_removes: return w.remove(k_ada, k_bob).code();
      default: return w.remove(k_bob, k_ada).code();
    }
  };
  for (int order = 0; order < 6 * 6 * 6 * 6; ++order) {
    in_world([&](World& w) {
      // What each of them last said they want.
      bool ada_wants = false;
      bool bob_wants = false;
      std::string story;
      for (int rest = order, i = 0; i < 4; ++i, rest /= 6) {
        const Act a = static_cast<Act>(rest % 6);
        const Code answer = act(w, a);
        story += std::to_string(a) + " ";
        const bool is_accept = a == ada_accepts || a == bob_accepts;
        EXPECT_TRUE(answer == Code::ok || (is_accept && answer == code(ErrorCode::no_request))) << story;
        if (answer != Code::ok) continue;
        if (a == ada_asks || a == ada_accepts) ada_wants = true;
        if (a == bob_asks || a == bob_accepts) bob_wants = true;
        if (a == ada_removes) ada_wants = false;
        if (a == bob_removes) bob_wants = false;
      }
      const uint32_t ada = w.state(k_ada, k_bob);
      const uint32_t bob = w.state(k_bob, k_ada);
      EXPECT_EQ(ada == is_friend || ada == asked, ada_wants) << story;
      EXPECT_EQ(bob == is_friend || bob == asked, bob_wants) << story;
      EXPECT_EQ(w.may_write(k_ada, k_bob).ok(), ada_wants && bob_wants) << story;
      EXPECT_TRUE(!(ada_wants && bob_wants) || (ada == is_friend && bob == is_friend)) << story;
      EXPECT_FALSE(w.has_work()) << story;
    });
  }
}

TEST(Contact, asking_a_friend_changes_nothing) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    const uint64_t version = w.edge(k_ada, k_bob).version();
    EXPECT_EQ(w.ask(k_ada, k_bob)->contact().state(), is_friend);
    EXPECT_EQ(w.accept(k_ada, k_bob)->contact().state(), is_friend);
    EXPECT_EQ(w.edge(k_ada, k_bob).version(), version);
  });
}

TEST(Contact, impossible_peers_are_refused) {
  in_world([](World& w) {
    EXPECT_EQ(w.ask(k_ada, k_ada).code(), Code::invalid);
    EXPECT_EQ(w.ask(k_ada, 0).code(), Code::invalid);
    EXPECT_EQ(w.ask(k_ada, model::k_group_bit | 5).code(), Code::invalid);
    EXPECT_EQ(w.ask(k_ada, k_nobody).code(), Code::not_found);
    EXPECT_EQ(w.block(k_ada, k_nobody).code(), Code::not_found);
    EXPECT_EQ(w.accept(k_ada, k_nobody).code(), code(ErrorCode::no_request));
    EXPECT_EQ(w.accept(k_ada, 0).code(), Code::invalid);
    EXPECT_EQ(w.remove(k_ada, k_ada).code(), Code::invalid);
    EXPECT_EQ(w.befriend(k_ada, k_nobody).code(), Code::not_found);
    EXPECT_EQ(w.befriend(k_nobody, k_ada).code(), Code::not_found);
    EXPECT_EQ(w.befriend(0, k_ada).code(), Code::invalid);
    EXPECT_EQ(w.may_write(k_ada, 0).code(), Code::invalid);
    EXPECT_EQ(w.ask(k_ada, k_bob, std::string(257, 'g')).code(), Code::too_large);
    EXPECT_EQ(w.ask(k_ada, k_bob, "\x01").code(), Code::invalid);
    EXPECT_EQ(w.rows_of(k_ada), 0u);
  });
}

TEST(Contact, block_is_silent_to_requests_and_named_to_messages) {
  in_world([](World& w) {
    ASSERT_TRUE(w.block(k_bob, k_ada).ok());
    EXPECT_EQ(w.ask(k_ada, k_bob)->contact().state(), asked);
    EXPECT_EQ(w.state(k_bob, k_ada), none);
    EXPECT_FALSE(w.has_work());
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::blocked));
    ASSERT_TRUE(w.block(k_bob, k_ada, false).ok());
    EXPECT_EQ(w.rows_of(k_bob), 1u) << "an edge that says nothing has no row";
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    ASSERT_TRUE(w.block(k_bob, k_ada).ok());
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::blocked));
    EXPECT_TRUE(w.may_write(k_bob, k_ada).ok()) << "who blocks may still write";
    EXPECT_TRUE(w.edge(k_bob, k_ada).blocked());
    EXPECT_FALSE(w.edge(k_ada, k_bob).blocked());
    ASSERT_TRUE(w.remove(k_bob, k_ada).ok());
    EXPECT_TRUE(w.edge(k_bob, k_ada).blocked()) << "removing does not unblock";
  });
}

TEST(Contact, set_edge_checks_what_it_stores) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    EXPECT_EQ(w.set(k_ada, k_bob, {"remark"}, "Bobby", true)->contact().remark(), "Bobby");
    EXPECT_FALSE(w.edge(k_ada, k_bob).blocked()) << "only the named fields";
    EXPECT_EQ(w.set(k_ada, k_bob, {"remark"}, "\xe2\x80\xae", false).code(), Code::invalid);
    EXPECT_EQ(w.set(k_ada, k_bob, {"remark"}, std::string(129, 'r'), false).code(), Code::too_large);
    EXPECT_EQ(w.set(k_ada, k_bob, {"state"}, "", false).code(), Code::invalid);
    EXPECT_EQ(w.set(k_ada, k_ada, {"remark"}, "me", false).code(), Code::invalid);
    const uint64_t version = w.edge(k_ada, k_bob).version();
    EXPECT_EQ(w.set(k_ada, k_bob, {}, "x", true)->contact().version(), version);
    EXPECT_EQ(w.set(k_ada, k_bob, {"remark"}, "", false)->contact().remark(), "");
  });
}

TEST(Contact, action_that_could_not_be_delivered_survives_a_restart) {
  in_world([](World& w) {
    w.cut_off(k_bob);
    EXPECT_EQ(w.ask(k_ada, k_bob, "hello Bob")->contact().state(), asked) << "durable on the asker's side";
    EXPECT_EQ(w.state(k_bob, k_ada), none);
    EXPECT_TRUE(w.has_work());
    w.restart();
    EXPECT_TRUE(w.has_work());
    w.work_until_done();
    EXPECT_EQ(w.edge(k_bob, k_ada).greeting(), "hello Bob");

    w.cut_off(k_ada);
    ASSERT_TRUE(w.accept(k_bob, k_ada).ok());
    EXPECT_EQ(w.state(k_ada, k_bob), asked);
    EXPECT_TRUE(w.may_write(k_bob, k_ada).ok()) << "both agreed; one entity has yet to learn it";
    EXPECT_TRUE(w.may_write(k_ada, k_bob).ok());
    w.restart();
    w.work_until_done();
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
  });
}

TEST(Contact, newer_action_replaces_one_that_was_not_delivered) {
  in_world([](World& w) {
    w.cut_off(k_bob);
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    ASSERT_TRUE(w.remove(k_ada, k_bob).ok());
    w.restart();
    w.work_until_done();
    EXPECT_EQ(w.state(k_bob, k_ada), none);
    EXPECT_EQ(w.rings.size(), 2u) << "Bob's devices were never woken";
  });
}

TEST(Contact, crash_between_the_peers_commit_and_the_own_one_is_repeated_harmlessly) {
  in_world([](World& w) {
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    // Bob's mutual request reaches Ada; then the process dies before Bob's entity has learnt that it did.
    int commits_of_bob = 0;
    w.store.before = [&](Call&, const store::Commit& commit) {
      const bool second = commit.entity == contact_entity(k_bob) && ++commits_of_bob > 1;
      return second ? Status(Code::unavailable, "crash") : Status();
    };
    ASSERT_TRUE(w.ask(k_bob, k_ada).ok());
    EXPECT_TRUE(w.has_work());
    w.restart();
    w.work_until_done();
    EXPECT_EQ(w.state(k_ada, k_bob), is_friend);
    EXPECT_EQ(w.state(k_bob, k_ada), is_friend);
  });
}

TEST(Contact, lost_answer_of_a_delivery_is_repeated_harmlessly) {
  in_world([](World& w) {
    w.store.after = [](const store::Commit& commit) {
      return commit.entity == contact_entity(k_bob) ? Status(Code::deadline, "lost") : Status();
    };
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    EXPECT_EQ(w.state(k_bob, k_ada), asks_me);
    const uint64_t version = w.edge(k_bob, k_ada).version();
    w.restart();
    w.work_until_done();
    EXPECT_EQ(w.edge(k_bob, k_ada).version(), version);
  });
}

TEST(Contact, one_unreachable_peer_does_not_hold_up_the_others) {
  in_world([](World& w) {
    w.cut_off(k_bob);
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    ASSERT_TRUE(w.ask(k_ada, k_eve).ok());
    EXPECT_EQ(w.state(k_eve, k_ada), asks_me);
    EXPECT_TRUE(w.has_work()) << "Bob's is left";
    w.store.before = nullptr;
    w.work_until_done();
    EXPECT_EQ(w.state(k_bob, k_ada), asks_me);
  });
}

TEST(Contact, worker_beside_a_call_does_not_double_its_commits) {
  in_world([](World& w) {
    w.service->start();
    int commits = 0;
    w.store.before = [&commits](Call&, const store::Commit&) { ++commits; return Status(); };
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    Call call = runtime::background_call(w.env, 10min);
    ASSERT_TRUE(runtime::sleep(call, 1min).ok());
    EXPECT_LE(commits, 4) << "own edge, peer's edge, mark; at most one more to find nothing";
    ASSERT_TRUE(w.service->stop(call).ok());
  });
}

TEST(Contact, full_lists_refuse_on_both_sides) {
  in_world([](World& w) {
    w.pretend_count(k_ada, static_cast<int64_t>(model::k_contacts_max) - 1);
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    EXPECT_EQ(w.ask(k_ada, k_eve).code(), code(ErrorCode::contacts_full));
    EXPECT_EQ(w.block(k_ada, k_eve).code(), code(ErrorCode::contacts_full));
    EXPECT_EQ(w.ask(k_eve, k_ada).code(), code(ErrorCode::contacts_full)) << "the other's list";
    EXPECT_EQ(w.befriend(k_eve, k_ada).code(), code(ErrorCode::contacts_full));
    EXPECT_EQ(w.state(k_eve, k_ada), none);
    EXPECT_TRUE(w.ask(k_bob, k_ada).ok()) << "who is in the list already may";
    ASSERT_TRUE(w.remove(k_ada, k_bob).ok());
    EXPECT_TRUE(w.ask(k_ada, k_eve).ok()) << "room again";
  });
}

TEST(Contact, request_to_a_list_that_fills_up_meanwhile_is_dropped) {
  in_world([](World& w) {
    w.cut_off(k_bob);
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    w.restart();
    w.pretend_count(k_bob, static_cast<int64_t>(model::k_contacts_max));
    w.work_until_done();
    EXPECT_EQ(w.state(k_bob, k_ada), none);
    EXPECT_EQ(w.env.counters().counter("hongyan_contact_dropped", "").value(), 1);
  });
}

TEST(Contact, write_grant_says_who_may_write_to_whom_for_a_minute) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    const auto answer = w.may_write(k_ada, k_bob);
    ASSERT_TRUE(answer.ok());
    const auto grant = rpc::check_grant(ring_of('g'), answer->grant(), w.env.utc_ms());
    ASSERT_TRUE(grant.ok());
    EXPECT_EQ(grant->issuer, "contact");
    EXPECT_EQ(grant->actor, k_ada);
    EXPECT_EQ(grant->object, k_bob);
    EXPECT_EQ(grant->right, "write");
    EXPECT_EQ(grant->expires_ms, w.env.utc_ms() + 60'000);
    EXPECT_TRUE(w.may_write(k_ada, k_ada).ok()) << "notes to oneself";
    EXPECT_EQ(w.may_write(k_ada, k_eve).code(), code(ErrorCode::not_friend));
  });
}

TEST(Contact, the_same_grant_is_given_for_a_second_and_only_while_it_may_be) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    ASSERT_TRUE(w.befriend(k_ada, k_eve).ok());
    const auto grant = [&](uint64_t uin, uint64_t peer) { return w.may_write(uin, peer)->grant(); };
    const std::string first = grant(k_ada, k_bob);
    w.env.jump_utc_ms(999);
    EXPECT_EQ(grant(k_ada, k_bob), first);
    EXPECT_NE(grant(k_ada, k_eve), first);
    EXPECT_NE(grant(k_bob, k_ada), first);
    EXPECT_EQ(grant(k_ada, k_bob), first);
    ASSERT_TRUE(w.block(k_bob, k_ada).ok());
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), code(ErrorCode::blocked));
    ASSERT_TRUE(w.block(k_bob, k_ada, false).ok());
    w.env.jump_utc_ms(1);
    const std::string second = grant(k_ada, k_bob);
    EXPECT_NE(second, first);
    w.env.jump_utc_ms(-500);  // A clock that was set back makes a new one too.
    EXPECT_NE(grant(k_ada, k_bob), second);
  });
}

TEST(Contact, integrator_may_write_for_its_users_and_the_system_but_not_past_a_block) {
  in_world([](World& w) {
    for (uint64_t sender : {k_ada, model::k_system_uin}) {
      const auto answer = w.grant_write(sender, k_bob);
      ASSERT_TRUE(answer.ok());
      const auto grant = rpc::check_grant(ring_of('g'), answer->grant(), w.env.utc_ms());
      ASSERT_TRUE(grant.ok());
      EXPECT_EQ(grant->actor, sender);
      EXPECT_EQ(grant->object, k_bob);
      EXPECT_EQ(grant->right, "write");
      ASSERT_TRUE(w.block(k_bob, sender).ok());
      EXPECT_EQ(w.grant_write(sender, k_bob).code(), code(ErrorCode::blocked));
      ASSERT_TRUE(w.block(k_bob, sender, false).ok());
    }
    EXPECT_EQ(w.grant_write(k_ada, k_ada).code(), Code::invalid);
    EXPECT_EQ(w.grant_write(k_nobody, k_bob).code(), Code::not_found);
    EXPECT_EQ(w.grant_write(k_ada, k_nobody).code(), Code::not_found);
    EXPECT_EQ(w.grant_write(k_ada, k_bob, "login").code(), Code::forbidden);
  });
}

TEST(Contact, the_server_itself_is_nobodys_friend) {
  in_world([](World& w) { EXPECT_EQ(w.ask(k_ada, model::k_system_uin).code(), Code::not_found); });
}

TEST(Contact, are_friends_grants_an_invitation_of_each_friend) {
  in_world([](World& w) {
    internal::AreFriendsRequest request;
    request.set_uin(k_ada);
    for (uint64_t peer = 20'000; peer < 20'150; ++peer) {
      ASSERT_TRUE(peer % 2 == 1 || w.befriend(k_ada, peer).ok());
      request.add_peers(peer);
    }
    ASSERT_TRUE(w.block(20'002, k_ada).ok());
    ASSERT_TRUE(w.remove(20'004, k_ada).ok());
    Call call = w.user(k_ada);
    const auto answer = w.client->are_friends(call, request);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->friends_size(), 73);
    ASSERT_EQ(answer->grants_size(), 73);
    EXPECT_EQ(answer->friends(1), 20'006u);
    const auto grant = rpc::check_grant(ring_of('g'), answer->grants(1), w.env.utc_ms());
    EXPECT_EQ(grant->right, "invite");
    EXPECT_EQ(grant->object, 20'006u);
    EXPECT_EQ(grant->actor, k_ada);
    while (request.peers_size() <= k_peers_max) request.add_peers(1);
    EXPECT_EQ(w.client->are_friends(call, request).code(), Code::too_large);
  });
}

TEST(Contact, list_pages_through_all_edges_in_order) {
  in_world([](World& w) {
    for (uint64_t peer = 20'000; peer < 20'025; ++peer) ASSERT_TRUE(w.ask(k_ada, peer).ok());
    std::vector<uint64_t> seen;
    for (uint64_t after = 0;;) {
      const auto page = w.list(k_ada, after, 10);
      ASSERT_TRUE(page.ok());
      for (const client::Contact& contact : page->contacts()) seen.push_back(contact.uin());
      EXPECT_NE(page->incarnation(), 0u);
      if (!page->more()) break;
      after = seen.back();
    }
    ASSERT_EQ(seen.size(), 25u);
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    EXPECT_EQ(w.list(k_ada, 0, 501).code(), Code::too_large);
    EXPECT_EQ(w.list(k_eve, 0, 0)->contacts_size(), 0);
  });
}

// A client that follows changes() in pages of `limit`.
struct Mirror {
  uint64_t incarnation = 0;
  uint64_t version = 0;
  std::map<uint64_t, client::Contact> contacts;
  bool follow(World& w, uint64_t uin, uint32_t limit) {
    bool reset = false;
    for (bool more = true; more;) {
      const auto answer = w.changes(uin, incarnation, version, limit).value();
      reset = reset || answer.reset();
      for (const client::Contact& contact : answer.contacts()) contacts[contact.uin()] = contact;
      EXPECT_TRUE(!answer.more() || answer.version() > version || answer.reset()) << "each page moves on";
      incarnation = answer.incarnation();
      version = answer.version();
      more = answer.more();
    }
    return reset;
  }
};

TEST(Contact, changes_bring_a_mirror_up_to_date_at_any_page_size) {
  for (const uint32_t limit : {1u, 2u, 3u, 500u}) {
    in_world([limit](World& w) {
      Mirror mirror;
      EXPECT_FALSE(mirror.follow(w, k_ada, limit));
      for (uint64_t peer = 20'000; peer < 20'010; ++peer) ASSERT_TRUE(w.ask(k_ada, peer).ok());
      EXPECT_FALSE(mirror.follow(w, k_ada, limit));
      ASSERT_EQ(mirror.contacts.size(), 10u);
      ASSERT_TRUE(w.remove(k_ada, 20'001).ok());
      ASSERT_TRUE(w.accept(20'002, k_ada).ok());
      ASSERT_TRUE(w.set(k_ada, 20'003, {"remark", "blocked"}, "hm", true).ok());
      EXPECT_FALSE(mirror.follow(w, k_ada, limit));
      for (const auto& [peer, contact] : mirror.contacts) {
        client::Contact now = w.edge(k_ada, peer);
        if (now.state() == none && !now.blocked()) now.set_version(contact.version());
        EXPECT_EQ(contact.SerializeAsString(), now.SerializeAsString()) << peer;
      }
      EXPECT_EQ(mirror.contacts[20'001].state(), none);
      EXPECT_EQ(mirror.contacts[20'002].state(), is_friend);
      const auto nothing = w.changes(k_ada, mirror.incarnation, mirror.version, limit);
      EXPECT_EQ(nothing->contacts_size(), 0);
      EXPECT_FALSE(nothing->more());
    });
  }
}

TEST(Contact, unknown_snapshot_is_reset_to_everything) {
  in_world([](World& w) {
    EXPECT_TRUE(w.changes(k_ada, 5, 5)->reset()) << "an entity that was never written";
    EXPECT_FALSE(w.changes(k_ada, 0, 0)->reset());
    for (uint64_t peer = 20'000; peer < 20'010; ++peer) ASSERT_TRUE(w.ask(k_ada, peer).ok());
    Mirror mirror;
    mirror.follow(w, k_ada, 500);
    const auto ahead = w.changes(k_ada, mirror.incarnation, mirror.version + 1);
    EXPECT_TRUE(ahead->reset());
    EXPECT_EQ(ahead->contacts_size(), 10);
    Mirror other{.incarnation = mirror.incarnation + 1, .version = 3, .contacts = {}};
    EXPECT_TRUE(other.follow(w, k_ada, 2));
    EXPECT_EQ(other.contacts.size(), 10u);
    EXPECT_EQ(other.version, mirror.version);
    EXPECT_EQ(w.changes(k_ada, 0, 0, 501).code(), Code::too_large);
  });
}

TEST(Contact, edge_that_changes_under_every_try_is_a_conflict) {
  in_world([](World& w) {
    ASSERT_TRUE(w.ask(k_ada, k_bob).ok());
    w.store.before = [&w](Call& call, const store::Commit& commit) -> Status {
      if (commit.entity != contact_entity(k_ada)) return {};
      Edge edge;
      edge.row.set_state(asks_me);
      edge.row.set_remark("rival");
      store::Commit rival{.entity = commit.entity};
      rival.mutations = {store::put(edge_key(k_bob), edge.row)};
      TRY(w.store.below().commit(call, std::move(rival)));
      return {};
    };
    EXPECT_EQ(w.ask(k_ada, k_bob).code(), Code::conflict);
    EXPECT_EQ(w.accept(k_ada, k_bob).code(), Code::conflict);
    EXPECT_EQ(w.remove(k_ada, k_bob).code(), Code::conflict);
    EXPECT_EQ(w.block(k_ada, k_bob).code(), Code::conflict);
    EXPECT_EQ(w.befriend(k_ada, k_bob).code(), Code::conflict);
  });
}

TEST(Contact, damaged_row_is_corrupt_and_not_served) {
  in_world([](World& w) {
    ASSERT_TRUE(w.befriend(k_ada, k_bob).ok());
    Call call = w.user(k_ada);
    store::Commit damage{.entity = contact_entity(k_ada)};
    damage.mutations = {store::put_bytes(edge_key(k_bob), "\xff\xff")};
    ASSERT_TRUE(w.store.below().commit(call, damage)->committed);
    EXPECT_EQ(w.may_write(k_ada, k_bob).code(), Code::corrupt);
    EXPECT_EQ(w.list(k_ada, 0, 0).code(), Code::corrupt);
    EXPECT_EQ(w.changes(k_ada, 0, 0).code(), Code::corrupt);
  });
}

TEST(Contact, every_method_refuses_who_has_no_right_before_the_handler_runs) {
  in_world([](World& w) {
    int touched = 0;
    w.store.before = [&touched](Call&, const store::Commit&) { ++touched; return Status(); };
    for (const rpc::MethodInfo& method : internal::contact_methods()) {
      const std::unique_ptr<rpc::Message> request(method.request()->New());
      const std::unique_ptr<rpc::Message> response(method.response()->New());
      const auto* uin = request->GetDescriptor()->FindFieldByName("uin");
      ASSERT_NE(uin, nullptr) << method.full_name;
      request->GetReflection()->SetUInt64(request.get(), uin, k_ada);
      const auto code_with = [&](Call call) { return w.channel->call(call, method, *request, *response).code(); };
      EXPECT_EQ(code_with(w.env.call()), Code::unauthenticated) << method.full_name;
      Call flipped = w.user(k_ada);
      std::string bytes = *flipped.ticket;
      bytes[5] = static_cast<char>(bytes[5] ^ 1);
      flipped.ticket = std::make_shared<std::string>(bytes);
      EXPECT_EQ(code_with(flipped), Code::unauthenticated) << method.full_name;
      EXPECT_EQ(code_with(w.user(k_bob)), Code::forbidden) << method.full_name << ": Bob's ticket";
      EXPECT_EQ(code_with(w.as("chat")), Code::forbidden) << method.full_name;
    }
    EXPECT_EQ(touched, 0);
  });
}

}  // namespace
}  // namespace hongyan::contact
