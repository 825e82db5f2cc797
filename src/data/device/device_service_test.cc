// data/device behind its guard on a real engine: sessions as login, access and the devices themselves use them.
#include "data/device/device_service.h"

#include <gtest/gtest.h>

#include <functional>

#include "data/device/device_table.h"
#include "data/device/limits.h"
#include "data/device/session_rules.h"
#include "data/device/tokens.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::device {
namespace {

using model::ErrorCode;
using runtime::TestEnv;
using runtime::run_in_coroutine;

constexpr uint64_t k_ada = 10'001;
constexpr uint64_t k_bob = 10'002;
constexpr Code code(ErrorCode c) { return model::as_code(c); }

rpc::KeyRing ring_of(char fill) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, fill)}}); }
std::string id_of(int n) {
  std::string id(16, 'd');
  id[0] = static_cast<char>('A' + n);
  return id;
}

struct World {
  World() { restart(); }

  // A new process on the same data: what was only in memory is gone.
  void restart() {
    revocations = std::make_unique<rpc::Revocations>();
    device.reset();
    store.reopen();
    guard = std::make_unique<rpc::Guard>(env, "device", ring_of('d'), rpc::AudienceKeys{}, *revocations);
    device = make_device(env,
                         {.store = store,
                          .presence = presence,
                          .audiences = {{"presence", ring_of('p')}},
                          .client_tickets = ring_of('c'),
                          .revocations = *revocations},
                         {});
    channel = std::make_unique<rpc::LocalChannel>(*device, guard.get());
    client = std::make_unique<internal::DeviceClient>(*channel);
  }

  Call service(const std::string& name) {
    Call call = env.call();
    call.ticket = std::make_shared<std::string>(rpc::make_service_ticket(audiences, name, env.utc_ms() + 60'000));
    return call;
  }
  // As access does: the client ticket becomes a call ticket.
  Call holder(const std::string& client_ticket) {
    Call call = env.call();
    rpc::Identity identity = rpc::check_client_ticket(ring_of('c'), client_ticket, env.utc_ms()).value();
    identity.expires_ms = env.utc_ms() + 60'000;
    call.ticket = std::make_shared<std::string>(rpc::make_call_ticket(audiences, identity));
    return call;
  }

  internal::OpenSessionResponse open(int n, bool end_others = false, uint64_t uin = k_ada) {
    internal::OpenSessionRequest request;
    request.set_uin(uin);
    request.mutable_device()->set_id(id_of(n));
    request.mutable_device()->set_model("phone " + std::to_string(n));
    request.mutable_device()->add_push()->set_token("secret token");
    request.set_feature_level(2);
    request.set_end_others(end_others);
    Call call = service("login");
    return client->open_session(call, request).value();
  }
  Result<internal::RefreshSessionResponse> refresh(const std::string& token, int n) {
    internal::RefreshSessionRequest request;
    request.set_refresh(token);
    request.mutable_device()->set_id(id_of(n));
    request.set_feature_level(2);
    Call call = service("login");
    return client->refresh_session(call, request);
  }
  Result<internal::CloseSessionResponse> close(const std::string& ticket, int n) {
    internal::CloseSessionRequest request;
    request.set_uin(k_ada);
    request.set_device_id(id_of(n));
    Call call = holder(ticket);
    return client->close_session(call, request);
  }
  Result<internal::ListDevicesResponse> list(const std::string& ticket) {
    internal::ListDevicesRequest request;
    request.set_uin(k_ada);
    Call call = holder(ticket);
    return client->list_devices(call, request);
  }
  internal::EpochResponse epoch(int n) {
    internal::EpochRequest request;
    request.set_uin(k_ada);
    request.set_device_id(id_of(n));
    Call call = service("access");
    return client->epoch(call, request).value();
  }
  Result<internal::SaveCursorResponse> save(const std::string& ticket, int n, uint64_t version) {
    internal::SaveCursorRequest request;
    request.set_uin(k_ada);
    request.set_device_id(id_of(n));
    request.mutable_cursor()->set_messages_incarnation(7);
    request.mutable_cursor()->set_messages_version(version);
    Call call = holder(ticket);
    return client->save_cursor(call, request);
  }
  internal::CursorsResponse cursors() {
    internal::CursorsRequest request;
    request.set_uin(k_ada);
    Call call = service("inbox");
    return client->cursors(call, request).value();
  }
  void wait(runtime::Duration duration) {
    Call call = runtime::background_call(env, 48h);
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }

  TestEnv env;
  store::TestStore store{env};
  rpc::AudienceKeys audiences{{"device", ring_of('d')}, {"other", ring_of('o')}};
  std::unique_ptr<rpc::Revocations> revocations;
  std::vector<internal::RingRequest> rings;
  internal::PresenceFake presence_fake = [this] {
    internal::PresenceFake fake;
    fake.on_ring = [this](Call&, const internal::RingRequest& request) -> Result<internal::RingResponse> {
      rings.push_back(request);
      return internal::RingResponse();
    };
    return fake;
  }();
  rpc::Revocations none;
  rpc::Guard presence_guard{env, "presence", ring_of('p'), {}, none};
  rpc::LocalChannel presence_channel{presence_fake, &presence_guard};
  internal::PresenceClient presence{presence_channel};
  std::unique_ptr<rpc::Guard> guard;
  std::unique_ptr<internal::DeviceService> device;
  std::unique_ptr<rpc::LocalChannel> channel;
  std::unique_ptr<internal::DeviceClient> client;
};

void in_world(const std::function<void(World&)>& body) {
  World world;
  run_in_coroutine(world.env, [&] { body(world); });
}

TEST(Device, session_has_a_ticket_of_its_device_and_epoch) {
  in_world([](World& w) {
    const auto session = w.open(1);
    const auto identity = rpc::check_client_ticket(ring_of('c'), session.ticket(), w.env.utc_ms());
    ASSERT_TRUE(identity.ok());
    EXPECT_EQ(identity->uin, k_ada);
    EXPECT_EQ(identity->device, id_of(1));
    EXPECT_EQ(identity->epoch, session.epoch());
    EXPECT_EQ(identity->feature_level, 2u);
    EXPECT_EQ(identity->expires_ms, w.env.utc_ms() + rpc::k_client_ticket_ms_max);
    EXPECT_EQ(w.epoch(1).epoch(), session.epoch());
    EXPECT_TRUE(w.epoch(1).open());
    EXPECT_FALSE(w.epoch(2).open());
    EXPECT_EQ(w.epoch(2).epoch(), 0u);
  });
}

TEST(Device, newer_login_of_a_device_revokes_the_older) {
  in_world([](World& w) {
    const auto first = w.open(1);
    const auto second = w.open(1);
    EXPECT_GT(second.epoch(), first.epoch());
    EXPECT_EQ(w.list(first.ticket()).code(), Code::unauthenticated) << "at once, by the guard";
    EXPECT_TRUE(w.list(second.ticket()).ok());
    EXPECT_EQ(w.refresh(first.refresh(), 1).code(), code(ErrorCode::old_epoch));
    EXPECT_TRUE(w.rings.empty()) << "the device itself logged in; nobody is logged out";
    w.restart();
    EXPECT_EQ(w.list(first.ticket()).code(), code(ErrorCode::old_epoch)) << "by the row, when memory is gone";
  });
}

TEST(Device, late_logout_does_not_close_a_newer_login) {
  in_world([](World& w) {
    const auto first = w.open(1);
    const auto second = w.open(1);
    EXPECT_EQ(w.close(first.ticket(), 1).code(), Code::unauthenticated);
    w.restart();
    EXPECT_EQ(w.close(first.ticket(), 1).code(), code(ErrorCode::old_epoch));
    EXPECT_TRUE(w.epoch(1).open());
    EXPECT_EQ(w.epoch(1).epoch(), second.epoch());
  });
}

TEST(Device, logout_burns_the_epoch_and_the_refresh_token) {
  in_world([](World& w) {
    const auto session = w.open(1);
    ASSERT_TRUE(w.close(session.ticket(), 1).ok());
    EXPECT_FALSE(w.epoch(1).open());
    EXPECT_EQ(w.list(session.ticket()).code(), Code::unauthenticated);
    EXPECT_EQ(w.refresh(session.refresh(), 1).code(), code(ErrorCode::old_epoch));
    ASSERT_EQ(w.rings.size(), 1u);
    EXPECT_EQ(w.rings[0].ring().kind(), model::k_ring_kind_logged_out);
    EXPECT_EQ(w.rings[0].uin(), k_ada);
    EXPECT_EQ(w.rings[0].only_device(), id_of(1));
    const auto again = w.open(1);
    EXPECT_GT(again.epoch(), session.epoch() + 1) << "the closed epoch is not used either";
  });
}

TEST(Device, kick_closes_another_device_and_nothing_else) {
  in_world([](World& w) {
    const auto mine = w.open(1);
    const auto other = w.open(2);
    ASSERT_TRUE(w.close(mine.ticket(), 2).ok());
    EXPECT_EQ(w.list(other.ticket()).code(), Code::unauthenticated);
    EXPECT_EQ(w.rings.at(0).only_device(), id_of(2));
    EXPECT_TRUE(w.close(mine.ticket(), 2).ok()) << "closed already";
    EXPECT_EQ(w.rings.size(), 1u);
    EXPECT_EQ(w.close(mine.ticket(), 3).code(), Code::not_found);
    EXPECT_EQ(w.list(mine.ticket())->devices_size(), 1);
    internal::CloseSessionRequest bad;
    bad.set_uin(k_ada);
    bad.set_device_id("short");
    Call call = w.holder(mine.ticket());
    EXPECT_EQ(w.client->close_session(call, bad).code(), Code::invalid);
  });
}

TEST(Device, end_others_leaves_one_session) {
  in_world([](World& w) {
    const auto first = w.open(1);
    const auto second = w.open(2);
    const auto third = w.open(3, true);
    EXPECT_EQ(w.list(first.ticket()).code(), Code::unauthenticated);
    EXPECT_EQ(w.list(second.ticket()).code(), Code::unauthenticated);
    ASSERT_EQ(w.list(third.ticket())->devices_size(), 1);
    EXPECT_EQ(w.rings.size(), 2u);
    EXPECT_TRUE(w.epoch(3).open());
  });
}

TEST(Device, refresh_replaces_the_secret_and_keeps_the_epoch) {
  in_world([](World& w) {
    const auto session = w.open(1);
    const auto first = w.refresh(session.refresh(), 1);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(first->uin(), k_ada);
    EXPECT_EQ(first->epoch(), session.epoch());
    EXPECT_NE(first->refresh(), session.refresh());
    EXPECT_TRUE(w.list(first->ticket()).ok());
    const auto second = w.refresh(first->refresh(), 1);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(w.refresh(session.refresh(), 1).code(), Code::unauthenticated) << "two steps old";
  });
}

TEST(Device, lost_refresh_answers_log_nobody_out) {
  in_world([](World& w) {
    const auto session = w.open(1);
    // The client asks three times with what it has; two answers never arrive.
    ASSERT_TRUE(w.refresh(session.refresh(), 1).ok());
    ASSERT_TRUE(w.refresh(session.refresh(), 1).ok());
    const auto third = w.refresh(session.refresh(), 1);
    ASSERT_TRUE(third.ok());
    EXPECT_TRUE(w.refresh(third->refresh(), 1).ok());
    EXPECT_EQ(w.refresh(session.refresh(), 1).code(), Code::unauthenticated);
  });
}

TEST(Device, forged_refresh_tokens_are_refused) {
  in_world([](World& w) {
    const auto session = w.open(1);
    EXPECT_EQ(w.refresh("", 1).code(), Code::unauthenticated);
    EXPECT_EQ(w.refresh(session.refresh() + "x", 1).code(), Code::unauthenticated);
    EXPECT_EQ(w.refresh(session.refresh(), 2).code(), Code::unauthenticated) << "another device presents it";
    for (size_t i = 0; i < session.refresh().size(); ++i) {
      std::string flipped = session.refresh();
      flipped[i] = static_cast<char>(flipped[i] ^ 1);
      const Code answer = w.refresh(flipped, 1).code();
      EXPECT_TRUE(answer == Code::unauthenticated || answer == code(ErrorCode::old_epoch)) << "byte " << i;
    }
    EXPECT_TRUE(w.refresh(session.refresh(), 1).ok());
  });
}

TEST(Device, stored_rows_hold_no_secret) {
  in_world([](World& w) {
    const auto session = w.open(1);
    const std::string secret = decode_refresh_token(session.refresh())->secret;
    Call call = w.env.call();
    const Result<store::ReadReply> stored = w.store.below().read(call, {.entity = device_entity(k_ada)});
    ASSERT_FALSE(stored->rows.empty());
    for (const store::Row& row : stored->rows) {
      EXPECT_EQ(row.value.find(secret), std::string::npos);
    }
  });
}

TEST(Device, renewed_ticket_is_of_the_same_session) {
  in_world([](World& w) {
    const auto session = w.open(1);
    internal::RenewTicketRequest request;
    request.set_uin(k_ada);
    request.set_device_id(id_of(1));
    request.set_epoch(session.epoch());
    request.set_feature_level(1);
    Call call = w.holder(session.ticket());
    const auto renewed = w.client->renew_ticket(call, request);
    ASSERT_TRUE(renewed.ok());
    const auto identity = rpc::check_client_ticket(ring_of('c'), renewed->ticket(), w.env.utc_ms());
    EXPECT_EQ(identity->epoch, session.epoch());
    EXPECT_EQ(identity->feature_level, 1u);
    request.set_epoch(session.epoch() + 1);
    EXPECT_EQ(w.client->renew_ticket(call, request).code(), code(ErrorCode::old_epoch));
    request.set_epoch(session.epoch());
    request.set_device_id(id_of(2));
    EXPECT_EQ(w.client->renew_ticket(call, request).code(), Code::forbidden) << "another device's";
  });
}

TEST(Device, list_shows_open_devices_without_their_push_tokens) {
  in_world([](World& w) {
    w.open(1);
    const auto second = w.open(2);
    const auto list = w.list(second.ticket());
    ASSERT_EQ(list->devices_size(), 2);
    EXPECT_EQ(list->devices(0).id(), id_of(1));
    EXPECT_FALSE(list->devices(0).this_device());
    EXPECT_TRUE(list->devices(1).this_device());
    EXPECT_EQ(list->devices(1).info().model(), "phone 2");
    EXPECT_EQ(list->devices(1).info().push_size(), 0);
    EXPECT_EQ(list->devices(1).epoch(), second.epoch());
  });
}

TEST(Device, closed_devices_are_forgotten_first_then_the_least_recently_seen) {
  in_world([](World& w) {
    const int devices_max = static_cast<int>(model::k_devices_max);
    std::vector<internal::OpenSessionResponse> sessions;
    for (int i = 0; i < devices_max; ++i) {
      sessions.push_back(w.open(i));
      w.wait(1s);
    }
    ASSERT_TRUE(w.close(sessions[1].ticket(), 7).ok());
    w.rings.clear();
    w.open(devices_max);
    EXPECT_EQ(w.epoch(7).epoch(), 0u) << "closed: forgotten";
    EXPECT_TRUE(w.epoch(0).open());
    EXPECT_TRUE(w.rings.empty());

    w.wait(31s);
    ASSERT_TRUE(w.save(sessions[0].ticket(), 0, 5).ok()) << "seen again, so 1 is now the oldest";
    const auto last = w.open(devices_max + 1);
    EXPECT_EQ(w.epoch(1).epoch(), 0u);
    EXPECT_EQ(w.list(sessions[1].ticket()).code(), Code::unauthenticated);
    ASSERT_EQ(w.rings.size(), 1u);
    EXPECT_EQ(w.rings[0].only_device(), id_of(1));
    EXPECT_EQ(w.list(last.ticket())->devices_size(), devices_max);

    const auto back = w.open(1);
    EXPECT_GT(back.epoch(), sessions[1].epoch()) << "a forgotten device never gets an old epoch again";
  });
}

TEST(Device, cursor_is_written_once_in_thirty_seconds) {
  in_world([](World& w) {
    const auto session = w.open(1);
    w.open(2);
    ASSERT_TRUE(w.save(session.ticket(), 1, 10).ok());
    const int commits = w.store.commits;
    ASSERT_TRUE(w.save(session.ticket(), 1, 20).ok());
    EXPECT_EQ(w.store.commits, commits);
    EXPECT_EQ(w.cursors().cursors(0).cursor().messages_version(), 10u);
    w.wait(k_cursor_interval);
    ASSERT_TRUE(w.save(session.ticket(), 1, 30).ok());
    const auto cursors = w.cursors();
    ASSERT_EQ(cursors.cursors_size(), 2);
    EXPECT_EQ(cursors.cursors(0).device_id(), id_of(1));
    EXPECT_EQ(cursors.cursors(0).cursor().messages_version(), 30u);
    EXPECT_EQ(cursors.cursors(0).cursor().messages_incarnation(), 7u);
    EXPECT_EQ(cursors.cursors(0).seen_ms(), w.env.utc_ms());
    EXPECT_EQ(cursors.cursors(1).cursor().messages_version(), 0u) << "a device that never synced holds purges back";
  });
}

TEST(Device, cursor_of_an_ended_session_is_refused) {
  in_world([](World& w) {
    const auto first = w.open(1);
    w.open(1);
    w.restart();
    EXPECT_EQ(w.save(first.ticket(), 1, 10).code(), code(ErrorCode::old_epoch));
  });
}

TEST(Device, integrators_ticket_opens_sessions_of_one_device_until_it_expires) {
  in_world([](World& w) {
    internal::MintTicketRequest mint;
    mint.set_uin(k_ada);
    mint.set_valid_ms(60'000);
    Call integrator = w.service("integrator");
    const auto minted = w.client->mint_ticket(integrator, mint);
    ASSERT_TRUE(minted.ok());
    EXPECT_EQ(minted->expires_ms(), w.env.utc_ms() + 60'000);
    const auto redeem = [&](const std::string& ticket, int n) {
      internal::RedeemTicketRequest request;
      request.set_ticket(ticket);
      request.mutable_device()->set_id(id_of(n));
      Call call = w.service("login");
      return w.client->redeem_ticket(call, request);
    };
    std::string flipped = minted->ticket();
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    EXPECT_EQ(redeem(flipped, 1).code(), Code::unauthenticated);
    EXPECT_EQ(redeem("", 1).code(), Code::unauthenticated);
    const auto session = redeem(minted->ticket(), 1);
    ASSERT_TRUE(session.ok());
    EXPECT_EQ(session->uin(), k_ada);
    EXPECT_TRUE(w.list(session->ticket()).ok());
    EXPECT_TRUE(w.refresh(session->refresh(), 1).ok());
    EXPECT_EQ(redeem(minted->ticket(), 2).code(), Code::unauthenticated) << "used by another device";
    EXPECT_TRUE(redeem(minted->ticket(), 1).ok()) << "its answer may have been lost";
    w.wait(60s);
    EXPECT_EQ(redeem(minted->ticket(), 1).code(), Code::unauthenticated);

    mint.set_valid_ms(k_ticket_valid_ms_max + 1);
    Call later = w.service("integrator");
    EXPECT_EQ(w.client->mint_ticket(later, mint).code(), Code::too_large);
    mint.set_valid_ms(0);
    mint.set_uin(0);
    EXPECT_EQ(w.client->mint_ticket(later, mint).code(), Code::invalid);
  });
}

TEST(Device, unused_integrators_tickets_are_bounded) {
  in_world([](World& w) {
    internal::MintTicketRequest mint;
    mint.set_uin(k_ada);
    Call call = w.service("integrator");
    for (size_t i = 0; i < 2 * k_tickets_max; ++i) ASSERT_TRUE(w.client->mint_ticket(call, mint).ok());
    EXPECT_EQ(read_devices(call, w.store.below(), k_ada)->tickets.size(), k_tickets_max);
    w.wait(10min);
    Call later = w.service("integrator");
    ASSERT_TRUE(w.client->mint_ticket(later, mint).ok());
    EXPECT_EQ(read_devices(later, w.store.below(), k_ada)->tickets.size(), 1u) << "expired ones go";
  });
}

TEST(Device, bad_device_descriptions_are_refused_by_their_code) {
  in_world([](World& w) {
    const auto answer = [&w](const std::function<void(internal::OpenSessionRequest&)>& spoil) {
      internal::OpenSessionRequest request;
      request.set_uin(k_ada);
      request.mutable_device()->set_id(id_of(1));
      spoil(request);
      Call call = w.service("login");
      return w.client->open_session(call, request).code();
    };
    EXPECT_EQ(answer([](auto& r) { r.mutable_device()->set_id("x"); }), Code::invalid);
    EXPECT_EQ(answer([](auto& r) { r.set_uin(0); }), Code::invalid);
    EXPECT_EQ(answer([](auto& r) { r.mutable_device()->set_model(std::string(129, 'm')); }), Code::too_large);
    EXPECT_EQ(answer([](auto& r) { r.mutable_device()->set_os("\xff"); }), Code::invalid);
    EXPECT_EQ(answer([](auto& r) { for (int i = 0; i < 65; ++i) r.mutable_device()->add_kinds(1); }), Code::too_large);
    EXPECT_EQ(answer([](auto& r) { for (int i = 0; i < 5; ++i) r.mutable_device()->add_push(); }), Code::too_large);
    EXPECT_EQ(answer([](auto& r) { r.mutable_device()->add_push()->set_token(std::string(2049, 't')); }),
              Code::too_large);
    EXPECT_EQ(answer([](auto& r) { r.mutable_device()->add_push()->set_token("\xc0"); }), Code::invalid);
    EXPECT_EQ(w.store.commits, 0);
  });
}

TEST(Device, devices_that_change_under_every_try_are_a_conflict) {
  in_world([](World& w) {
    const auto session = w.open(1);
    w.open(2);
    w.store.before = [&w](Call& call, const store::Commit& commit) -> Status {
      store::Commit rival{.entity = commit.entity};
      rival.mutations = commit.mutations;
      TRY(w.store.below().commit(call, std::move(rival)));
      return {};
    };
    internal::OpenSessionRequest open;
    open.set_uin(k_ada);
    open.mutable_device()->set_id(id_of(1));
    Call call = w.service("login");
    EXPECT_EQ(w.client->open_session(call, open).code(), Code::conflict);
    internal::MintTicketRequest mint;
    mint.set_uin(k_ada);
    Call integrator = w.service("integrator");
    EXPECT_EQ(w.client->mint_ticket(integrator, mint).code(), Code::conflict);
  });
}

TEST(Device, lost_ring_is_no_error) {
  in_world([](World& w) {
    w.presence_fake.on_ring = nullptr;
    const auto session = w.open(1);
    EXPECT_TRUE(w.close(session.ticket(), 1).ok());
    EXPECT_EQ(w.env.counters().counter("hongyan_device_rings_failed", "").value(), 1);
  });
}

TEST(Device, damaged_row_is_corrupt_and_not_served) {
  in_world([](World& w) {
    const auto session = w.open(1);
    Call call = w.env.call();
    store::Commit damage{.entity = device_entity(k_ada)};
    damage.mutations = {{.kind = store::Mutation::Kind::put, .key = device_key(id_of(1)), .value = "\xff\xff"}};
    ASSERT_TRUE(w.store.below().commit(call, damage).ok());
    EXPECT_EQ(w.refresh(session.refresh(), 1).code(), Code::corrupt);
    EXPECT_EQ(w.list(session.ticket()).code(), Code::corrupt);
  });
}

TEST(Device, revocations_do_not_pile_up) {
  in_world([](World& w) {
    for (uint64_t uin = 20'000; uin < 21'500; ++uin) w.open(1, false, uin);
    EXPECT_EQ(w.revocations->size(), 1500u) << "none has expired yet";
    w.wait(25h);
    for (uint64_t uin = 30'000; uin < 31'500; ++uin) w.open(1, false, uin);
    EXPECT_LE(w.revocations->size(), 1500u);
  });
}

TEST(Device, every_method_refuses_who_has_no_right_before_the_handler_runs) {
  in_world([](World& w) {
    const auto session = w.open(1);
    const auto other = w.open(1, false, k_bob);
    const int commits = w.store.commits;
    for (const rpc::MethodInfo& method : internal::device_methods()) {
      const std::unique_ptr<rpc::Message> request(method.request()->New());
      const std::unique_ptr<rpc::Message> response(method.response()->New());
      // Where the request names a user, it is Ada.
      const auto* uin = request->GetDescriptor()->FindFieldByName("uin");
      if (uin != nullptr) request->GetReflection()->SetUInt64(request.get(), uin, k_ada);
      const auto code_with = [&](Call call) { return w.channel->call(call, method, *request, *response).code(); };
      EXPECT_EQ(code_with(w.env.call()), Code::unauthenticated) << method.full_name;
      Call flipped = w.holder(session.ticket());
      std::string bytes = *flipped.ticket;
      bytes[bytes.size() - 1] = static_cast<char>(bytes[bytes.size() - 1] ^ 1);
      bytes[5] = static_cast<char>(bytes[5] ^ 1);
      flipped.ticket = std::make_shared<std::string>(bytes);
      EXPECT_EQ(code_with(flipped), Code::unauthenticated) << method.full_name;
      EXPECT_EQ(code_with(w.holder(other.ticket())), Code::forbidden) << method.full_name << ": Bob's ticket";
      EXPECT_EQ(code_with(w.service("chat")), Code::forbidden) << method.full_name;
    }
    EXPECT_EQ(w.store.commits, commits);
  });
}

}  // namespace
}  // namespace hongyan::device
