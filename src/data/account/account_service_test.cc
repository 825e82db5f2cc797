// data/account behind its guard on a real engine: every method is called through the channel and the tickets that
// production uses. Faults are put between the service and the store; chance comes from the TestEnv's seed.
#include "data/account/account_service.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "data/account/account_table.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "rpc/guard.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::account {
namespace {

using model::ErrorCode;
using runtime::TestEnv;
using runtime::run_in_coroutine;

constexpr Code code(ErrorCode c) { return model::as_code(c); }

// A pool whose functions take a second of virtual time, so that callers overlap.
class SlowPool final : public runtime::Lane {
 public:
  explicit SlowPool(Env& env) : env_(env) {}
  void run(const std::function<void()>& work) override {
    Call call = runtime::background_call(env_, 1h);
    if (slow) (void)runtime::sleep(call, 1s);
    ++runs;
    work();
  }
  bool slow = false;
  int runs = 0;

 private:
  Env& env_;
};
class PoolEnv final : public TestEnv {
 public:
  SlowPool& pool() override { return pool_; }

 private:
  SlowPool pool_{*this};
};

rpc::KeyRing ring_of(char fill) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, fill)}}); }

struct World {
  World() { restart(); }

  // A new process on the same data.
  void restart() {
    account.reset();
    store.reopen();
    account = make_account(env, {.store = store, .presence = presence, .audiences = {{"presence", ring_of('p')}}},
                           {.region = 3, .password_cost = k_password_cost_least});
    channel = std::make_unique<rpc::LocalChannel>(*account, &guard);
    client = std::make_unique<internal::AccountClient>(*channel);
  }

  Call user(uint64_t uin) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_call_ticket(
        audiences, {.uin = uin, .device = std::string(16, 'd'), .epoch = 1, .expires_ms = env.utc_ms() + 60'000}));
    return call;
  }
  Call service(const std::string& name) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_service_ticket(audiences, name, env.utc_ms() + 60'000));
    return call;
  }

  static internal::CreateAccountRequest registration(const std::string& name) {
    internal::CreateAccountRequest request;
    request.set_name_space("login");
    request.set_name(name);
    request.set_password("secret of " + name);
    request.set_nickname("Nick " + name);
    request.set_attempt(std::string(16, 'a'));
    return request;
  }
  Result<internal::CreateAccountResponse> create(const internal::CreateAccountRequest& request) {
    Call call = service("login");
    return client->create(call, request);
  }
  uint64_t create(const std::string& name) { return create(registration(name)).value().uin(); }
  Result<internal::CheckPasswordResponse> check(const std::string& name, const std::string& password,
                                                const std::string& address = "") {
    internal::CheckPasswordRequest request;
    request.set_user_name(name);
    request.set_password(password);
    request.set_address(address);
    Call call = service("login");
    return client->check_password(call, request);
  }
  Result<internal::GetAccountResponse> get(uint64_t uin) {
    internal::GetAccountRequest request;
    request.set_uin(uin);
    Call call = user(uin);
    return client->get(call, request);
  }
  bool has_work() {
    Call call = env.call();
    return !store.scan_work(call, model::k_work_create_account, nullptr, 10)->empty();
  }

  PoolEnv env;
  store::TestStore store{env};
  rpc::AudienceKeys audiences{{"account", ring_of('a')}, {"other", ring_of('o')}};
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
  rpc::Guard presence_guard{env, "presence", ring_of('p'), {}, revocations};
  rpc::LocalChannel presence_channel{presence_fake, &presence_guard};
  internal::PresenceClient presence{presence_channel};
  rpc::Guard guard{env, "account", ring_of('a'), {}, revocations};
  std::unique_ptr<Service> account;
  std::unique_ptr<rpc::LocalChannel> channel;
  std::unique_ptr<internal::AccountClient> client;
};

// Each test is a body in a coroutine of its world.
void in_world(const std::function<void(World&)>& body) {
  World world;
  run_in_coroutine(world.env, [&] { body(world); });
}

TEST(Account, registered_account_is_complete_and_its_password_is_right) {
  in_world([](World& w) {
    const auto created = w.create(World::registration("Ada.L"));
    ASSERT_TRUE(created.ok()) << created.status().detail();
    EXPECT_FALSE(created->existed());
    EXPECT_TRUE(model::is_user(created->uin()));
    EXPECT_EQ(model::region_of(created->uin()), 3u);
    const client::Profile& profile = created->account().profile();
    EXPECT_EQ(profile.uin(), created->uin());
    EXPECT_EQ(profile.user_name(), "ada.l") << "names are folded";
    EXPECT_EQ(profile.nickname(), "Nick Ada.L");
    EXPECT_EQ(profile.type(), 1u);
    EXPECT_NE(profile.avatar_color(), 0u);
    EXPECT_GT(created->account().version(), 0u);

    const auto checked = w.check("ADA.l", "secret of Ada.L");
    ASSERT_TRUE(checked.ok());
    EXPECT_EQ(checked->uin(), created->uin());
    const auto got = w.get(created->uin());
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->account().SerializeAsString(), created->account().SerializeAsString());
    EXPECT_NE(got->incarnation(), 0u);
    EXPECT_EQ(got->version(), created->account().version());
    EXPECT_FALSE(w.has_work());
  });
}

TEST(Account, two_at_once_that_ask_for_one_name_get_one_account) {
  in_world([](World& w) {
    w.env.pool().slow = true;
    std::vector<Result<internal::CreateAccountResponse>> answers;
    runtime::Nursery both(w.env.scheduler());
    for (const char attempt : {'1', '2'}) {
      both.spawn("register", [&, attempt] {
        auto request = World::registration("ada");
        request.set_attempt(std::string(16, attempt));
        answers.push_back(w.create(request));
      });
    }
    Call call = w.env.call();
    ASSERT_TRUE(both.join(call).ok());
    ASSERT_EQ(answers.size(), 2u);
    EXPECT_NE(answers[0].ok(), answers[1].ok());
    EXPECT_EQ((answers[0].ok() ? answers[1] : answers[0]).code(), code(ErrorCode::name_taken));
    EXPECT_EQ(w.check("ada", "secret of ada")->uin(), (answers[0].ok() ? answers[0] : answers[1])->uin());
  });
}

TEST(Account, same_attempt_gets_the_same_account_and_another_gets_name_taken) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    const auto again = w.create(World::registration("ADA"));
    EXPECT_EQ(again.code(), code(ErrorCode::name_taken)) << "the password differs: secret of ADA";
    const auto same = w.create(World::registration("ada"));
    ASSERT_TRUE(same.ok());
    EXPECT_EQ(same->uin(), uin);
    EXPECT_TRUE(same->existed());
    auto other = World::registration("ada");
    other.set_attempt(std::string(16, 'b'));
    EXPECT_EQ(w.create(other).code(), code(ErrorCode::name_taken));
  });
}

TEST(Account, repeated_attempts_are_no_way_around_the_guess_limit) {
  in_world([](World& w) {
    w.create("ada");
    auto guess = World::registration("ada");
    guess.set_password("not the one");
    for (int i = 0; i < k_failures_max; ++i) EXPECT_EQ(w.create(guess).code(), code(ErrorCode::name_taken));
    EXPECT_EQ(w.create(guess).code(), Code::rate_limited);
  });
}

// The process dies after the name's commit: the account's is refused, then a new process opens the data.
void crash_after_name(World& w) {
  w.store.before = [](Call&, const store::Commit& commit) {
    return commit.entity.table == model::k_table_account ? Status(Code::unavailable, "crash") : Status();
  };
  EXPECT_EQ(w.create(World::registration("ada")).code(), Code::unavailable);
  w.restart();
}

TEST(Account, account_cut_short_by_a_crash_is_finished_by_the_worker) {
  in_world([](World& w) {
    crash_after_name(w);
    EXPECT_TRUE(w.has_work());
    w.account->start();
    Call call = w.env.call();
    ASSERT_TRUE(runtime::sleep(call, 5s).ok());
    EXPECT_FALSE(w.has_work());
    // Found without anybody having read the name.
    const Result<store::ReadReply> name =
        w.store.read(call, {.entity = name_entity("login", "ada")});
    const uint64_t uin = parse_name(name->rows.at(0).value)->uin();
    EXPECT_FALSE(parse_name(name->rows.at(0).value)->has_password()) << "no second copy of the hash stays";
    EXPECT_EQ(w.get(uin)->account().profile().user_name(), "ada");
    EXPECT_TRUE(w.account->stop(call).ok());
    EXPECT_TRUE(w.check("ada", "secret of ada").ok());
  });
}

TEST(Account, account_cut_short_by_a_crash_is_finished_by_whoever_reads_the_name) {
  in_world([](World& w) {
    crash_after_name(w);
    EXPECT_TRUE(w.check("ada", "secret of ada").ok());
    EXPECT_FALSE(w.has_work());
  });
  in_world([](World& w) {
    crash_after_name(w);
    internal::FindRequest find;
    find.set_name_space("login");
    find.set_name("ada");
    Call call = w.service("friend");
    EXPECT_EQ(w.client->find(call, find)->profile().nickname(), "Nick ada");
  });
  in_world([](World& w) {
    crash_after_name(w);
    const auto again = w.create(World::registration("ada"));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->existed());
    EXPECT_FALSE(w.has_work());
  });
}

TEST(Account, lost_answer_of_the_name_commit_costs_a_retry_only) {
  in_world([](World& w) {
    w.store.after = [](const store::Commit& commit) {
      return commit.entity.table == model::k_table_account_name ? Status(Code::deadline, "lost") : Status();
    };
    EXPECT_EQ(w.create(World::registration("ada")).code(), Code::deadline);
    w.store.after = nullptr;
    EXPECT_TRUE(w.create(World::registration("ada")).ok());
    EXPECT_TRUE(w.check("ada", "secret of ada").ok());
  });
}

TEST(Account, uins_are_given_out_once_even_across_restarts) {
  in_world([](World& w) {
    std::set<uint64_t> uins;
    int blocks = 0;
    const auto count_blocks = [&blocks](Call&, const store::Commit& commit) {
      blocks += commit.entity.table == model::k_table_id_block ? 1 : 0;
      return Status();
    };
    w.store.before = count_blocks;
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(uins.insert(w.create("first" + std::to_string(i))).second);
    EXPECT_EQ(blocks, 1) << "one commit for a block";
    EXPECT_EQ(*uins.begin() & (model::k_group_bit - 1), model::k_first_uin);
    w.restart();
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(uins.insert(w.create("second" + std::to_string(i))).second);
  });
}

TEST(Account, concurrent_registrations_share_one_block) {
  in_world([](World& w) {
    w.env.pool().slow = true;
    std::set<uint64_t> uins;
    int blocks = 0;
    w.store.before = [&](Call& call, const store::Commit& commit) -> Status {
      if (commit.entity.table != model::k_table_id_block) return {};
      ++blocks;
      return runtime::sleep(call, 100ms);
    };
    runtime::Nursery all(w.env.scheduler());
    for (int i = 0; i < 8; ++i) {
      all.spawn("register", [&, i] { uins.insert(w.create("user" + std::to_string(i))); });
    }
    Call call = w.env.call();
    ASSERT_TRUE(all.join(call).ok());
    EXPECT_EQ(uins.size(), 8u);
    EXPECT_EQ(blocks, 1);
  });
}

TEST(Account, bad_registrations_are_refused_by_their_code) {
  in_world([](World& w) {
    const auto refused = [&w](Code expected, const std::function<void(internal::CreateAccountRequest&)>& spoil) {
      auto request = World::registration("ada");
      spoil(request);
      EXPECT_EQ(w.create(request).code(), expected) << request.ShortDebugString();
    };
    for (const char* name : {"", "ab", "1ada", ".ada", "a da", "ad\xc3\xa4", "a/b/c", "abcdefghijklmnopqrstuvwxyz0123456"}) {
      refused(code(ErrorCode::bad_name), [name](auto& r) { r.set_name(name); });
    }
    for (const std::string& password : {std::string(), std::string(7, 'x'), std::string(129, 'x')}) {
      refused(code(ErrorCode::bad_password), [&](auto& r) { r.set_password(password); });
    }
    refused(Code::invalid, [](auto& r) { r.set_attempt("short"); });
    refused(Code::invalid, [](auto& r) { r.set_nickname(""); });
    refused(Code::invalid, [](auto& r) { r.set_nickname("a\x01"); });
    refused(Code::too_large, [](auto& r) { r.set_nickname(std::string(129, 'n')); });
    refused(Code::invalid, [](auto& r) { r.set_avatar_color(0x1000000); });
    refused(Code::invalid, [](auto& r) { r.set_type(6); });
    refused(Code::unsupported, [](auto& r) { r.set_name_space("phone"); });
    refused(Code::invalid, [](auto& r) { r.set_name_space("external"); r.set_name("a\nb"); });
    refused(Code::too_large, [](auto& r) { r.set_name_space("external"); r.set_name(std::string(129, 'e')); });
    EXPECT_EQ(w.check("ada", "secret of ada").code(), code(ErrorCode::wrong_password)) << "none of them exists";
  });
}

TEST(Account, external_account_needs_no_password_and_keeps_its_name_private) {
  in_world([](World& w) {
    auto request = World::registration("Crm-4711@Example");
    request.set_name_space("external");
    request.clear_password();
    Call call = w.service("integrator");
    const auto created = w.client->create(call, request);
    ASSERT_TRUE(created.ok());
    EXPECT_EQ(created->account().profile().user_name(), "");
    EXPECT_TRUE(w.client->create(call, request)->existed());
    EXPECT_EQ(w.client->create(call, request)->uin(), created->uin());
    internal::SetPasswordRequest set;
    set.set_uin(created->uin());
    set.set_old_password("anything at all");
    set.set_new_password("anything at all");
    Call mine = w.user(created->uin());
    EXPECT_EQ(w.client->set_password(mine, set).code(), code(ErrorCode::wrong_password));
    internal::FindRequest find;
    find.set_name_space("external");
    find.set_name("Crm-4711@Example");
    EXPECT_EQ(w.client->find(mine, find)->profile().uin(), created->uin());
    request.set_password("now with one");
    EXPECT_EQ(w.client->create(call, request).code(), code(ErrorCode::name_taken));
  });
}

TEST(Account, unknown_name_costs_and_answers_as_a_wrong_password) {
  in_world([](World& w) {
    w.create("ada");
    const int before = w.env.pool().runs;
    EXPECT_EQ(w.check("ada", "wrong password").code(), code(ErrorCode::wrong_password));
    EXPECT_EQ(w.env.pool().runs, before + 1);
    EXPECT_EQ(w.check("eve", "wrong password").code(), code(ErrorCode::wrong_password));
    EXPECT_EQ(w.env.pool().runs, before + 2);
    EXPECT_EQ(w.check("no name!", "wrong password").code(), code(ErrorCode::wrong_password));
    EXPECT_EQ(w.check("ada", "short").code(), code(ErrorCode::wrong_password));
    EXPECT_EQ(w.check("ada", "secret of ada", std::string(65, '1')).code(), Code::invalid);
  });
}

TEST(Account, ten_wrong_passwords_close_a_name_for_ten_minutes) {
  in_world([](World& w) {
    w.create("ada");
    w.create("bob");
    for (int i = 0; i < k_failures_max - 1; ++i) (void)w.check("ada", "wrong password");
    EXPECT_TRUE(w.check("ada", "secret of ada").ok()) << "nine are forgiven, ...";
    for (int i = 0; i < k_failures_max; ++i) {
      EXPECT_EQ(w.check("ada", "wrong password").code(), code(ErrorCode::wrong_password)) << "... and forgotten";
    }
    EXPECT_EQ(w.check("ada", "secret of ada").code(), Code::rate_limited);
    EXPECT_TRUE(w.check("bob", "secret of bob").ok());
    Call call = runtime::background_call(w.env, 1h);
    ASSERT_TRUE(runtime::sleep(call, k_failure_window).ok());
    EXPECT_TRUE(w.check("ada", "secret of ada").ok());
  });
}

TEST(Account, fifty_wrong_passwords_close_an_address_for_every_name) {
  in_world([](World& w) {
    w.create("ada");
    for (int i = 0; i < k_address_failures_max; ++i) {
      EXPECT_EQ(w.check("name" + std::to_string(i), "wrong password", "192.0.2.1").code(),
                code(ErrorCode::wrong_password));
      EXPECT_TRUE(w.check("ada", "secret of ada", "192.0.2.1").ok() || i == k_address_failures_max - 1);
    }
    EXPECT_EQ(w.check("ada", "secret of ada", "192.0.2.1").code(), Code::rate_limited)
        << "an own account does not clear the address";
    EXPECT_TRUE(w.check("ada", "secret of ada", "192.0.2.2").ok());
  });
}

TEST(Account, many_guesses_at_once_are_not_more_than_ten) {
  in_world([](World& w) {
    w.create("ada");
    w.env.pool().slow = true;
    int limited = 0;
    runtime::Nursery all(w.env.scheduler());
    for (int i = 0; i < 25; ++i) {
      all.spawn("guess", [&] { limited += w.check("ada", "wrong password").code() == Code::rate_limited ? 1 : 0; });
    }
    Call call = w.env.call();
    ASSERT_TRUE(all.join(call).ok());
    EXPECT_EQ(limited, 15);
  });
}

TEST(Account, full_queue_of_hashes_refuses_the_next_at_once) {
  in_world([](World& w) {
    w.env.pool().slow = true;
    constexpr int k_fit = k_hashes_running_max + static_cast<int>(k_hashes_waiting_max);
    int overloaded = 0;
    int wrong = 0;
    runtime::Nursery all(w.env.scheduler());
    for (int i = 0; i < k_fit + 3; ++i) {
      all.spawn("guess", [&, i] {
        const Code answer = w.check("name" + std::to_string(i), "wrong password").code();
        overloaded += answer == Code::overloaded ? 1 : 0;
        wrong += answer == code(ErrorCode::wrong_password) ? 1 : 0;
      });
    }
    Call call = w.env.call();
    ASSERT_TRUE(all.join(call).ok());
    EXPECT_EQ(overloaded, 3);
    EXPECT_EQ(wrong, k_fit);
  });
}

TEST(Account, set_profile_changes_the_named_fields_and_rings) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    Call call = w.user(uin);
    internal::SetProfileRequest set;
    set.set_uin(uin);
    set.set_nickname("Ada");
    set.set_signature("hello\xe9\xb8\xbf");
    set.set_avatar_color(0x123456);
    set.add_fields("nickname");
    set.add_fields("signature");
    const auto answer = w.client->set_profile(call, set);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->account().profile().nickname(), "Ada");
    EXPECT_EQ(answer->account().profile().signature(), "hello\xe9\xb8\xbf");
    EXPECT_NE(answer->account().profile().avatar_color(), 0x123456u);
    EXPECT_EQ(answer->account().SerializeAsString(), w.get(uin)->account().SerializeAsString());
    ASSERT_EQ(w.rings.size(), 1u);
    EXPECT_EQ(w.rings[0].uin(), uin);
    EXPECT_EQ(w.rings[0].ring().key(), model::k_ring_account);
    EXPECT_EQ(w.rings[0].ring().version(), w.get(uin)->version());

    const auto refused = [&](Code expected, const std::string& field, const std::string& text) {
      internal::SetProfileRequest bad;
      bad.set_uin(uin);
      bad.set_nickname(text);
      bad.set_signature(text);
      bad.set_avatar_color(0x1000000);
      bad.add_fields(field);
      EXPECT_EQ(w.client->set_profile(call, bad).code(), expected) << field << " " << text;
    };
    refused(Code::invalid, "nickname", "");
    refused(Code::too_large, "nickname", std::string(129, 'n'));
    refused(Code::invalid, "signature", "\xe2\x80\xae");
    refused(Code::too_large, "signature", std::string(257, 's'));
    refused(Code::invalid, "avatar_color", "");
    refused(Code::invalid, "uin", "1");
    EXPECT_EQ(w.rings.size(), 1u);
    EXPECT_EQ(w.get(uin)->account().profile().nickname(), "Ada");
  });
}

TEST(Account, lost_ring_is_no_error) {
  in_world([](World& w) {
    w.presence_fake.on_ring = nullptr;
    const uint64_t uin = w.create("ada");
    internal::SetProfileRequest set;
    set.set_uin(uin);
    set.set_avatar_color(0x123456);
    set.add_fields("avatar_color");
    Call call = w.user(uin);
    EXPECT_EQ(w.client->set_profile(call, set)->account().profile().avatar_color(), 0x123456u);
    EXPECT_EQ(w.env.counters().counter("hongyan_account_rings_failed", "").value(), 1);
  });
}

TEST(Account, profile_that_changes_under_every_try_is_a_conflict) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    int tries = 0;
    w.store.before = [&](Call& call, const store::Commit& commit) -> Status {
      ++tries;
      store::Commit rival{.entity = commit.entity};
      rival.mutations = commit.mutations;
      TRY(w.store.below().commit(call, std::move(rival)));
      return {};
    };
    internal::SetProfileRequest set;
    set.set_uin(uin);
    set.set_nickname("Ada");
    set.add_fields("nickname");
    Call call = w.user(uin);
    EXPECT_EQ(w.client->set_profile(call, set).code(), Code::conflict);
    EXPECT_EQ(tries, k_commit_tries_max);
  });
}

TEST(Account, set_password_wants_the_old_one) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    Call call = w.user(uin);
    internal::SetPasswordRequest set;
    set.set_uin(uin);
    set.set_old_password("wrong password");
    set.set_new_password("a new password");
    EXPECT_EQ(w.client->set_password(call, set).code(), code(ErrorCode::wrong_password));
    set.set_old_password("secret of ada");
    set.set_new_password("short");
    EXPECT_EQ(w.client->set_password(call, set).code(), code(ErrorCode::bad_password));
    set.set_new_password("a new password");
    ASSERT_TRUE(w.client->set_password(call, set).ok());
    EXPECT_EQ(w.check("ada", "secret of ada").code(), code(ErrorCode::wrong_password));
    EXPECT_TRUE(w.check("ada", "a new password").ok());

    w.store.before = [&](Call& inner, const store::Commit& commit) -> Status {
      store::Commit rival{.entity = commit.entity};
      PasswordRow row;
      EXPECT_TRUE(row.ParseFromString(commit.mutations.at(0).value));
      row.set_changed_by_epoch(9);
      rival.mutations = {store::put(commit.mutations.at(0).key, row)};
      TRY(w.store.below().commit(inner, std::move(rival)));
      return {};
    };
    set.set_old_password("a new password");
    set.set_new_password("a third password");
    EXPECT_EQ(w.client->set_password(call, set).code(), Code::conflict);
    w.store.before = nullptr;
    set.set_old_password("wrong password");
    for (int i = 0; i < k_failures_max; ++i) (void)w.client->set_password(call, set);
    EXPECT_EQ(w.client->set_password(call, set).code(), Code::rate_limited);
  });
}

TEST(Account, password_change_asked_for_again_after_a_lost_answer_is_done) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    Call call = w.user(uin);
    internal::SetPasswordRequest set;
    set.set_uin(uin);
    set.set_old_password("secret of ada");
    set.set_new_password("a new password");
    ASSERT_TRUE(w.client->set_password(call, set).ok());
    for (int i = 0; i < 3 * k_failures_max; ++i) EXPECT_TRUE(w.client->set_password(call, set).ok()) << i;
    EXPECT_TRUE(w.check("ada", "a new password").ok());
    EXPECT_EQ(w.check("ada", "secret of ada").code(), code(ErrorCode::wrong_password));

    // Nobody else gets that answer: not with another new password, not in another session, not later.
    set.set_new_password("another new one");
    EXPECT_EQ(w.client->set_password(call, set).code(), code(ErrorCode::wrong_password));
    set.set_new_password("a new password");
    Call later = w.env.call();
    later.ticket = std::make_shared<std::string>(rpc::make_call_ticket(
        w.audiences, {.uin = uin, .device = std::string(16, 'd'), .epoch = 2, .expires_ms = w.env.utc_ms() + 60'000}));
    EXPECT_EQ(w.client->set_password(later, set).code(), code(ErrorCode::wrong_password));
    Call waiting = runtime::background_call(w.env, 1h);
    ASSERT_TRUE(runtime::sleep(waiting, 11min).ok());
    Call much_later = w.user(uin);
    EXPECT_EQ(w.client->set_password(much_later, set).code(), code(ErrorCode::wrong_password));
  });
}

TEST(Account, retries_of_a_password_change_are_guesses_like_others) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    Call call = w.user(uin);
    internal::SetPasswordRequest set;
    set.set_uin(uin);
    set.set_old_password("secret of ada");
    set.set_new_password("a new password");
    ASSERT_TRUE(w.client->set_password(call, set).ok());
    set.set_new_password("a guess of it");
    int asked = 0;
    while (w.client->set_password(call, set).code() == code(ErrorCode::wrong_password)) ++asked;
    EXPECT_EQ(asked, k_failures_max / 2) << "each tries two passwords";
    set.set_new_password("a new password");
    EXPECT_EQ(w.client->set_password(call, set).code(), Code::rate_limited);
  });
}

TEST(Account, two_answers_to_one_password_change_agree) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    w.env.pool().slow = true;
    int done = 0;
    runtime::Nursery all(w.env.scheduler());
    for (int i = 0; i < 2; ++i) {
      all.spawn("change", [&] {
        Call call = w.user(uin);
        internal::SetPasswordRequest set;
        set.set_uin(uin);
        set.set_old_password("secret of ada");
        set.set_new_password("a new password");
        done += w.client->set_password(call, set).ok() ? 1 : 0;
      });
    }
    Call call = w.env.call();
    ASSERT_TRUE(all.join(call).ok());
    EXPECT_EQ(done, 2);
    EXPECT_TRUE(w.check("ada", "a new password").ok());
  });
}

TEST(Account, the_servers_own_profile_is_known_without_an_account) {
  in_world([](World& w) {
    const uint64_t uin = w.create("somebody");
    internal::ProfilesRequest request;
    request.add_uins(model::k_system_uin);
    Call call = w.user(uin);
    const auto answer = w.client->profiles(call, request);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->profiles_size(), 1);
    EXPECT_EQ(answer->profiles(0).nickname(), "Hongyan");
    EXPECT_EQ(answer->profiles(0).type(), 4u);
  });
}

TEST(Account, profiles_are_those_of_known_users_only) {
  in_world([](World& w) {
    internal::ProfilesRequest request;
    std::vector<uint64_t> uins;
    for (int i = 0; i < 150; ++i) uins.push_back(w.create("user" + std::to_string(i)));
    for (const uint64_t uin : uins) request.add_uins(uin);
    request.add_uins(uins.back() + 1'000'000);
    Call call = w.user(uins[0]);
    const auto answer = w.client->profiles(call, request);
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->profiles_size(), 150);
    for (int i = 0; i < 150; ++i) EXPECT_EQ(answer->profiles(i).uin(), uins[static_cast<size_t>(i)]);
    EXPECT_EQ(answer->profiles(7).SerializeAsString(), w.get(uins[7])->account().profile().SerializeAsString());
    while (request.uins_size() <= 500) request.add_uins(1);
    EXPECT_EQ(w.client->profiles(call, request).code(), Code::too_large);
  });
}

TEST(Account, what_is_not_there_is_not_found) {
  in_world([](World& w) {
    EXPECT_EQ(w.get(77'777).code(), Code::not_found);
    internal::FindRequest find;
    find.set_name_space("login");
    find.set_name("nobody");
    Call call = w.user(1);
    EXPECT_EQ(w.client->find(call, find).code(), Code::not_found);
    find.set_name("x");
    EXPECT_EQ(w.client->find(call, find).code(), code(ErrorCode::bad_name));
  });
}

TEST(Account, leased_group_ids_are_groups_and_never_overlap) {
  in_world([](World& w) {
    internal::LeaseIdsRequest lease;
    lease.set_kind("group");
    lease.set_count(100);
    Call call = w.service("group");
    const uint64_t first = w.client->lease_ids(call, lease)->first();
    EXPECT_TRUE(model::is_group(first));
    EXPECT_LT(first, model::k_id_end);
    EXPECT_EQ(model::region_of(first), 3u);
    w.restart();
    EXPECT_EQ(w.client->lease_ids(call, lease)->first(), first + 100);
    lease.set_count(0);
    EXPECT_EQ(w.client->lease_ids(call, lease).code(), Code::invalid);
    lease.set_count(10'001);
    EXPECT_EQ(w.client->lease_ids(call, lease).code(), Code::too_large);
    lease.set_kind("uin");
    EXPECT_EQ(w.client->lease_ids(call, lease).code(), Code::unsupported);
  });
}

TEST(Account, damaged_row_is_corrupt_and_not_served) {
  in_world([](World& w) {
    const uint64_t uin = w.create("ada");
    Call call = w.user(uin);
    store::Commit damage{.entity = account_entity(uin)};
    damage.mutations = {{.kind = store::Mutation::Kind::put, .key = std::string(k_row_profile), .value = "\xff\xff"}};
    ASSERT_TRUE(w.store.below().commit(call, damage).ok());
    EXPECT_EQ(w.get(uin).code(), Code::corrupt);
    damage.entity = name_entity("login", "bob");
    damage.mutations[0].key = std::string(k_row_name);
    ASSERT_TRUE(w.store.below().commit(call, damage).ok());
    EXPECT_EQ(w.check("bob", "any password").code(), Code::corrupt);
  });
}

TEST(Account, every_method_refuses_who_has_no_right_before_the_handler_runs) {
  in_world([](World& w) {
    int touched = 0;
    w.store.before = [&touched](Call&, const store::Commit&) { ++touched; return Status(); };
    for (const rpc::MethodInfo& method : internal::account_methods()) {
      const std::unique_ptr<rpc::Message> request(method.request()->New());
      const std::unique_ptr<rpc::Message> response(method.response()->New());
      const auto code_with = [&](Call call) { return w.channel->call(call, method, *request, *response).code(); };
      EXPECT_EQ(code_with(w.env.call()), Code::unauthenticated) << method.full_name;
      Call flipped = w.user(10'001);
      std::string bytes = *flipped.ticket;
      bytes[5] = static_cast<char>(bytes[5] ^ 1);
      flipped.ticket = std::make_shared<std::string>(bytes);
      EXPECT_EQ(code_with(flipped), Code::unauthenticated) << method.full_name;
      Call expired = w.user(10'001);
      w.env.jump_utc_ms(61'000);
      EXPECT_EQ(code_with(expired), Code::unauthenticated) << method.full_name;
      if (method.policy.is_public) continue;
      EXPECT_EQ(code_with(w.user(10'001)), Code::forbidden) << method.full_name << ": uin 0 is not theirs";
      EXPECT_EQ(code_with(w.service("chat")), Code::forbidden) << method.full_name;
    }
    EXPECT_EQ(touched, 0);
  });
}

}  // namespace
}  // namespace hongyan::account
