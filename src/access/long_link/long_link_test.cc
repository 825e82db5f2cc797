// Goal: what docs/protocol.md promises of the long link, and what a mars client needs, sentence by sentence. Method: real
// bytes over the test network, services faked behind a real Entry; virtual time for everything slow.
#include "access/long_link/long_link.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "access/long_link/testing/long_link_client.h"
#include "api/testing/fake_backend.h"
#include "base/bytes.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "runtime/coro/sanitizers.h"

namespace hongyan::access {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read as in the protocol.
using api::testing::FakeBackend;
using api::testing::k_alice;
using api::testing::k_phone;
using client::IdentifyRequest;
using client::IdentifyResponse;
using client::SendRequest;
using client::SendResponse;
using client::SyncRequest;
using client::SyncResponse;
using testing::LongLinkClient;

const SealKeys k_seal_keys = {{.id = 3, .secret = std::string(32, 'k')}};
const std::string k_seal_public = noise_public_key(k_seal_keys[0].secret);
constexpr uint32_t k_send = 301, k_sync = 401, k_poll = 402, k_login = 102;

#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)
constexpr bool k_parks = false;
#else
constexpr bool k_parks = true;
#endif

class LongLinkTest : public ::testing::Test {
 protected:
  LongLinkTest() {
    backend_.log_in(k_alice, k_phone);
    env_.scheduler().set_parking({});  // Whatever may be parked is, whenever it waits.
  }

  // A long link for as long as `body` runs, inside a coroutine.
  void with_link(const std::function<void()>& body) {
    api::EntryConfig entry_config;
    entry_config.per_device = {};
    entry_config.per_address = {};
    entry_ = std::make_unique<api::Entry>(env_, backend_.entry_deps(), entry_config);
    link_ = make_long_link(env_, {.entry = *entry_, .presence = internal::PresenceClient(backend_.presence_channel), .tls = tls_, .seal_keys = k_seal_keys}, config_);
    runtime::run_in_coroutine(env_, [&] {
      ASSERT_TRUE(link_->start().ok());
      body();
      Call call = env_.call();
      link_->stop(call);
      EXPECT_EQ(link_->connections(), 0u);
    });
    link_.reset();
  }
  LongLinkClient client() { return LongLinkClient(env_, link_->address(), fingerprint_); }
  std::string ticket() const { return backend_.ticket(k_alice, k_phone); }
  template <typename Request>
  Request with_ticket() const {
    Request request;
    request.mutable_base()->set_ticket(ticket());
    return request;
  }
  LongLinkClient identified() {
    LongLinkClient one = client();
    EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, with_ticket<IdentifyRequest>()).base().code(), 0u);
    return one;
  }
  Status push(uint32_t kind, uint64_t version = 1) {
    internal::PushRequest request;
    request.set_connection(backend_.online.back().connection());
    request.mutable_ring()->set_key(3);
    request.mutable_ring()->set_version(version);
    request.mutable_ring()->set_kind(kind);
    Call call = env_.call();
    return link_->gate_service().push(call, request).status();
  }
  void wait(runtime::Duration duration) {
    Call call;
    ASSERT_TRUE(runtime::sleep(call, duration).ok());
  }
  int64_t counter(std::string_view name) { return env_.counters().counter(name, "").value(); }
  void hold_syncs() { backend_.sync_held = true; }
  void release_syncs() {
    backend_.sync_held = false;
    backend_.sync_released.notify_all();
  }

  runtime::TestEnv env_;
  FakeBackend backend_{env_};
  LongLinkConfig config_{.address = "127.0.0.1:0"};
  std::shared_ptr<runtime::TlsServer> tls_;
  std::string fingerprint_;
  std::unique_ptr<api::Entry> entry_;
  std::unique_ptr<LongLink> link_;
};

// --- frames and answers ---

TEST_F(LongLinkTest, noop_comes_back_empty) {
  with_link([&] {
    LongLinkClient one = client();
    one.write(LongLinkClient::frame(k_cmdid_noop, k_seq_noop, ""));
    const auto noop = one.receive();
    ASSERT_TRUE(noop);
    EXPECT_EQ(noop->cmdid, k_cmdid_noop);
    EXPECT_EQ(noop->seq, k_seq_noop);
    EXPECT_EQ(noop->client_version, LongLinkClient::k_version);
    EXPECT_EQ(noop->body, "");
  });
}

TEST_F(LongLinkTest, command_is_answered_before_identify_by_the_ticket_in_its_body) {
  with_link([&] {
    LongLinkClient one = client();
    SendRequest send = with_ticket<SendRequest>();
    send.add_messages()->set_client_msg_id("m1");
    const auto answer = one.ask<SendResponse>(k_send, 7, send);
    EXPECT_EQ(answer.base().code(), 0u);
    EXPECT_EQ(answer.sent(0).client_msg_id(), "m1");
    EXPECT_EQ(one.ask<SendResponse>(k_send, 8, SendRequest()).base().code(), 6u);  // Not closed.
    EXPECT_EQ(one.ask<client::LoginResponse>(k_login, 9, client::LoginRequest()).uin(), k_alice);
  });
  EXPECT_EQ(backend_.sends.size(), 1u);
}

TEST_F(LongLinkTest, identify_lends_its_ticket_to_later_commands_also_those_in_the_same_write) {
  with_link([&] {
    LongLinkClient one = identified();
    EXPECT_EQ(one.ask<SendResponse>(k_send, 1, SendRequest()).base().code(), 0u);
    LongLinkClient two = client();
    two.write(LongLinkClient::request(k_send, 5, with_ticket<SendRequest>()) +
              LongLinkClient::request(k_cmdid_identify, k_seq_identify, with_ticket<IdentifyRequest>()));
    EXPECT_EQ(two.receive_response<SendResponse>(5).base().code(), 0u);
    const auto identify = two.receive_response<IdentifyResponse>(k_seq_identify);
    EXPECT_EQ(identify.base().code(), 0u);
    EXPECT_LT(identify.heartbeat_ms(), 10u * 60 * 1000);
    EXPECT_EQ(two.ask<SendResponse>(k_send, 6, SendRequest()).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, identify_with_a_bad_ticket_is_answered_and_may_be_repeated) {
  with_link([&] {
    LongLinkClient one = client();
    IdentifyRequest bad;
    bad.mutable_base()->set_ticket("forged");
    EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, bad).base().code(), 6u);
    EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, with_ticket<IdentifyRequest>()).base().code(), 0u);
    EXPECT_EQ(one.ask<IdentifyResponse>(110, 4, with_ticket<IdentifyRequest>()).base().code(), 0u);
    EXPECT_EQ(one.ask<IdentifyResponse>(0xFF000000 | 237, k_seq_identify, with_ticket<IdentifyRequest>()).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, requests_may_be_cut_at_every_byte) {
  with_link([&] {
    const std::string bytes = LongLinkClient::request(k_send, 3, with_ticket<SendRequest>());
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      LongLinkClient one = client();
      one.write(bytes.substr(0, cut));
      env_.scheduler().yield();
      one.write(bytes.substr(cut));
      EXPECT_EQ(one.receive_response<SendResponse>(3).base().code(), 0u) << cut;
    }
    EXPECT_EQ(backend_.sends.size(), bytes.size() - 1);
  });
}

TEST_F(LongLinkTest, unknown_commands_and_bodies_that_are_none_are_answered) {
  with_link([&] {
    LongLinkClient one = identified();
    const auto code = [&](uint32_t cmdid, uint32_t seq, std::string_view body) {
      one.write(LongLinkClient::frame(cmdid, seq, body));
      return one.receive_response<SendResponse>(seq).base().code();
    };
    EXPECT_EQ(code(9999, 1, "\x01\x00"), 14u);
    EXPECT_EQ(code(0, 2, ""), 14u);
    EXPECT_EQ(code(243, 3, ""), 14u);
    EXPECT_EQ(code(k_send, 4, ""), 115u);
    EXPECT_EQ(code(k_send, 5, std::string_view("\x02\x00", 2)), 115u);
    EXPECT_EQ(code(k_send, 6, std::string_view("\x01\x01xyz", 5)), 115u);
    EXPECT_EQ(code(k_send, 7, std::string_view("\x01\x00\xff\xff\xff", 5)), 115u);
    EXPECT_EQ(code(k_cmdid_identify, k_seq_identify, ""), 115u);
  });
}

TEST_F(LongLinkTest, answers_come_as_they_finish) {
  with_link([&] {
    LongLinkClient one = identified();
    hold_syncs();
    one.write(LongLinkClient::request(k_sync, 1, SyncRequest()));
    one.write(LongLinkClient::request(k_send, 2, SendRequest()));
    one.write(LongLinkClient::frame(k_cmdid_noop, k_seq_noop, ""));
    std::set<uint32_t> first = {one.receive()->seq, one.receive()->seq};
    EXPECT_EQ(first, (std::set<uint32_t>{2, k_seq_noop}));
    release_syncs();
    EXPECT_EQ(one.receive_response<SyncResponse>(1).snapshot(), "snapshot");
  });
}

TEST_F(LongLinkTest, a_retry_may_reuse_its_task_id) {
  with_link([&] {
    LongLinkClient one = identified();
    const std::string bytes = LongLinkClient::request(k_send, 5, SendRequest());
    one.write(bytes + bytes);
    EXPECT_EQ(one.receive_response<SendResponse>(5).base().code(), 0u);
    EXPECT_EQ(one.receive_response<SendResponse>(5).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, poll_answers_at_once_since_the_link_rings) {
  with_link([&] {
    LongLinkClient one = identified();
    client::PollRequest poll;
    poll.set_wait_ms(20'000);
    const auto before = env_.now();
    EXPECT_EQ(one.ask<client::PollResponse>(k_poll, 1, poll).base().code(), 0u);
    EXPECT_EQ(env_.now(), before);
  });
}

// --- broken and hostile ---

TEST_F(LongLinkTest, broken_frames_close_the_link_and_answers_still_leave) {
  const auto head = [](uint32_t head_length, uint32_t seq, uint32_t body_length) {
    std::string out;
    for (uint32_t value : {head_length, 200u, k_send, seq, body_length}) put_u32(out, value);
    return out;
  };
  with_link([&] {
    for (const std::string& bad : {head(20, 1, 0xFFFFFFFF), head(0xFFFFFFFF, 1, 0), head(19, 1, 0), head(20, 1, 1024 * 1024),
                                   head(20, 0, 0), std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(5000, '\xff')}) {
      LongLinkClient one = client();
      one.write(LongLinkClient::request(k_send, 3, with_ticket<SendRequest>()) + bad);
      EXPECT_EQ(one.receive_response<SendResponse>(3).base().code(), 0u);
      EXPECT_FALSE(one.receive());
    }
    EXPECT_EQ(counter("hongyan_long_link_broken"), 7);
  });
}

TEST_F(LongLinkTest, options_of_any_size_are_skipped) {
  with_link([&] {
    LongLinkClient one = client();
    const std::string body = api::make_envelope(with_ticket<SendRequest>().SerializeAsString());
    std::string bytes;
    for (uint32_t value : {20u + 500'000u, 200u, k_send, 9u, static_cast<uint32_t>(body.size())}) put_u32(bytes, value);
    one.write(bytes + std::string(500'000, 'o') + body);
    EXPECT_EQ(one.receive_response<SendResponse>(9).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, half_frames_share_a_bound_and_have_a_deadline) {
  config_.unfinished_bytes_max = 100'000;
  with_link([&] {
    std::string half;
    for (uint32_t value : {20u, 200u, k_send, 9u, 500'000u}) put_u32(half, value);
    std::vector<LongLinkClient> many;
    for (int i = 0; i < 3; ++i) {
      many.push_back(client());
      many.back().write(half + std::string(60'000, 'h'));
    }
    env_.scheduler().yield();
    LongLinkClient patient = client();
    patient.write(LongLinkClient::request(k_send, 1, with_ticket<SendRequest>()));
    EXPECT_EQ(patient.receive_response<SendResponse>(1).base().code(), 0u);
    EXPECT_FALSE(many[1].receive());
    EXPECT_FALSE(many[2].receive());
    const auto start = env_.now();
    EXPECT_FALSE(many[0].receive());
    EXPECT_EQ(env_.now() - start, config_.frame_limit);
  });
}

TEST_F(LongLinkTest, silence_of_fifteen_minutes_ends_a_link_and_ten_do_not) {
  with_link([&] {
    LongLinkClient one = identified();
    for (int i = 0; i < 3; ++i) {
      wait(10min);
      one.write(LongLinkClient::frame(k_cmdid_noop, k_seq_noop, ""));
      EXPECT_EQ(one.receive()->seq, k_seq_noop);
    }
    const auto start = env_.now();
    EXPECT_FALSE(one.receive());
    EXPECT_EQ(env_.now() - start, 15min);
  });
  EXPECT_EQ(backend_.offline.size(), 1u);
}

TEST_F(LongLinkTest, connecting_and_leaving_without_a_byte_is_no_error) {
  with_link([&] {
    for (int i = 0; i < 100; ++i) client().close();
    for (int i = 0; i < 100 && link_->connections() > 0; ++i) env_.scheduler().yield();
    EXPECT_EQ(link_->connections(), 0u);
    EXPECT_EQ(counter("hongyan_long_link_broken"), 0);
    EXPECT_FALSE(env_.log().contains("long link"));
  });
}

TEST_F(LongLinkTest, who_does_not_read_is_cut_and_others_go_on) {
  config_.output_bytes_max = 200'000;
  with_link([&] {
    LongLinkClient slow = client(), other = client();
    std::string noops;
    for (int i = 0; i < 100; ++i) noops += LongLinkClient::frame(k_cmdid_noop, k_seq_noop, "");
    bool open = true;
    for (int i = 0; i < 1000 && open; ++i) open = slow.write(noops);
    EXPECT_FALSE(open);
    EXPECT_EQ(counter("hongyan_long_link_cut"), 1);
    EXPECT_EQ(other.ask<SendResponse>(k_send, 1, with_ticket<SendRequest>()).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, beyond_64_requests_in_flight_a_link_is_read_no_further_until_one_is_done) {
  with_link([&] {
    LongLinkClient one = identified();
    hold_syncs();
    std::string bytes;
    for (uint32_t seq = 1; seq <= 100; ++seq) bytes += LongLinkClient::request(k_sync, seq, SyncRequest());
    bytes += LongLinkClient::frame(k_cmdid_noop, k_seq_noop, "");
    one.write(bytes);
    wait(1s);
    EXPECT_EQ(counter("hongyan_long_link_commands"), 65);  // And the identify.
    EXPECT_EQ(counter("hongyan_long_link_noops"), 0);
    release_syncs();
    std::set<uint32_t> seen;
    for (int i = 0; i < 101; ++i) seen.insert(one.receive()->seq);
    EXPECT_EQ(seen.size(), 101u);
  });
}

TEST_F(LongLinkTest, a_thousand_links_live_side_by_side) {
  with_link([&] {
    std::vector<LongLinkClient> links;
    for (int i = 0; i < 1000; ++i) links.push_back(client());
    for (LongLinkClient& one : links) one.write(LongLinkClient::request(k_send, 1, with_ticket<SendRequest>()));
    for (LongLinkClient& one : links) EXPECT_EQ(one.receive_response<SendResponse>(1).base().code(), 0u);
    EXPECT_EQ(link_->connections(), 1000u);
    wait(1s);
    EXPECT_EQ(env_.scheduler().stats().parked_now, k_parks ? 1000u : 0u);
  });
  EXPECT_EQ(counter("hongyan_long_link_connections"), 0);
}

TEST_F(LongLinkTest, connections_are_limited) {
  config_.connections_max = 2;
  with_link([&] {
    LongLinkClient one = client(), two = client(), three = client();
    EXPECT_FALSE(three.receive());
    EXPECT_EQ(one.ask<SendResponse>(k_send, 1, with_ticket<SendRequest>()).base().code(), 0u);
  });
  EXPECT_EQ(counter("hongyan_long_link_refused"), 1);
}

// --- rings and ends ---

TEST_F(LongLinkTest, rings_are_frames_of_seq_zero_with_the_clients_version) {
  with_link([&] {
    LongLinkClient one = identified();
    EXPECT_EQ(backend_.online.back().gate(), "long");
    for (uint32_t kind : {model::k_ring_kind_new, model::k_ring_kind_typing}) {
      ASSERT_TRUE(push(kind, 42).ok());
      const auto frame = one.receive();
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->cmdid, k_cmdid_push);
      EXPECT_EQ(frame->seq, k_seq_push);
      EXPECT_EQ(frame->client_version, LongLinkClient::k_version);
      client::Ring ring;
      ASSERT_TRUE(ring.ParseFromString(frame->body.substr(2)));
      EXPECT_EQ(ring.version(), 42u);
      EXPECT_EQ(ring.kind(), kind);
    }
  });
  EXPECT_EQ(backend_.offline.size(), 1u);
}

TEST_F(LongLinkTest, logged_out_link_gets_its_ring_and_is_closed) {
  with_link([&] {
    LongLinkClient one = identified();
    backend_.sessions[{k_alice, k_phone}].second = false;
    ASSERT_TRUE(push(model::k_ring_kind_logged_out).ok());
    const auto frame = one.receive();
    ASSERT_TRUE(frame);
    client::Ring ring;
    ASSERT_TRUE(ring.ParseFromString(frame->body.substr(2)));
    EXPECT_EQ(ring.kind(), model::k_ring_kind_logged_out);
    EXPECT_FALSE(one.receive());
  });
}

TEST_F(LongLinkTest, answer_to_what_ended_the_session_still_arrives) {
  with_link([&] {
    LongLinkClient one = identified();
    hold_syncs();
    one.write(LongLinkClient::request(k_sync, 1, SyncRequest()));
    wait(1ms);
    backend_.sessions[{k_alice, k_phone}].second = false;
    ASSERT_TRUE(push(model::k_ring_kind_logged_out).ok());
    EXPECT_EQ(one.receive()->seq, k_seq_push);
    release_syncs();
    EXPECT_EQ(one.receive_response<SyncResponse>(1).base().code(), 0u);
    EXPECT_FALSE(one.receive());
  });
}

TEST_F(LongLinkTest, newer_session_of_the_device_closes_the_older_link) {
  with_link([&] {
    LongLinkClient older = identified();
    backend_.log_in(k_alice, k_phone, 2);
    LongLinkClient newer = client();
    IdentifyRequest identify;
    identify.mutable_base()->set_ticket(backend_.ticket(k_alice, k_phone, 2));
    EXPECT_EQ(newer.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, identify).base().code(), 0u);
    EXPECT_FALSE(older.receive());
    EXPECT_EQ(newer.ask<SendResponse>(k_send, 1, SendRequest()).base().code(), 0u);
  });
}

TEST_F(LongLinkTest, what_was_asked_is_done_even_if_the_link_ends_meanwhile) {
  with_link([&] {
    LongLinkClient one = identified();
    hold_syncs();
    one.write(LongLinkClient::request(k_sync, 1, SyncRequest()) + LongLinkClient::request(k_send, 2, SendRequest()));
    one.close();
    wait(1s);
    EXPECT_EQ(backend_.sends.size(), 1u);
    release_syncs();
  });
}

TEST_F(LongLinkTest, stopping_server_closes_idle_links_and_finishes_requests) {
  with_link([&] {
    LongLinkClient idle = identified(), busy = identified();
    hold_syncs();
    busy.write(LongLinkClient::request(k_sync, 1, SyncRequest()));
    wait(1ms);
    runtime::Nursery nursery(env_.scheduler());
    nursery.spawn("stop", [&] {
      Call call = env_.call();
      link_->stop(call);
    });
    EXPECT_FALSE(idle.receive());
    release_syncs();
    EXPECT_EQ(busy.receive_response<SyncResponse>(1).base().code(), 0u);
    EXPECT_FALSE(busy.receive());
    Call call = env_.call();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

// --- sealed links ---

TEST_F(LongLinkTest, sealed_link_serves_commands_identify_rings_and_empty_heartbeats) {
  with_link([&] {
    LongLinkClient one = client();
    ASSERT_TRUE(one.agree(3, k_seal_public));
    EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, with_ticket<IdentifyRequest>()).base().code(), 0u);
    EXPECT_EQ(one.ask<SendResponse>(k_send, 1, SendRequest()).base().code(), 0u);
    one.write(LongLinkClient::frame(k_cmdid_noop, k_seq_noop, ""));
    EXPECT_EQ(one.receive()->body, "");
    ASSERT_TRUE(push(model::k_ring_kind_new, 42).ok());
    const auto ring = one.receive();
    ASSERT_TRUE(ring);
    EXPECT_EQ(ring->cmdid, k_cmdid_push);
    EXPECT_EQ(ring->body.substr(0, 2), std::string_view("\x01\x00", 2));  // It opened.
  });
  EXPECT_EQ(counter("hongyan_long_link_sealed"), 1);
  EXPECT_EQ(counter("hongyan_long_link_seal_broken"), 0);
}

TEST_F(LongLinkTest, sealed_link_takes_nothing_unsealed_and_nothing_twice) {
  with_link([&] {
    const auto ended_by = [&](const std::function<std::string(LongLinkClient&, const std::string&)>& make) {
      LongLinkClient one = client();
      ASSERT_TRUE(one.agree(3, k_seal_public));
      const std::string good = one.sealed(k_send, 1, with_ticket<SendRequest>());
      one.write(good);
      EXPECT_EQ(one.receive_response<SendResponse>(1).base().code(), 0u);
      one.write(make(one, good));
      EXPECT_FALSE(one.receive());
    };
    ended_by([&](auto&, const std::string&) { return LongLinkClient::request(k_send, 2, with_ticket<SendRequest>()); });
    ended_by([&](auto&, const std::string& good) { return good; });
    ended_by([&](auto& one, const std::string&) {
      std::string other = one.sealed(k_send, 2, with_ticket<SendRequest>());
      other[15] = 9;  // Another seq.
      return other;
    });
    ended_by([&](auto& one, const std::string&) {
      std::string other = one.sealed(k_send, 2, with_ticket<SendRequest>());
      other.back() = static_cast<char>(other.back() ^ 1);
      return other;
    });
    ended_by([&](auto&, const std::string&) {
      return LongLinkClient::frame(k_cmdid_seal, 3, SealHello(3, k_seal_public, std::string(32, 'c')).body());
    });
    ended_by([&](auto&, const std::string&) { return LongLinkClient::frame(k_send, 3, ""); });
  });
  EXPECT_EQ(backend_.sends.size(), 6u);
  EXPECT_EQ(counter("hongyan_long_link_seal_broken"), 6);
}

TEST_F(LongLinkTest, handshake_with_another_key_or_after_a_command_is_told_so_and_ends) {
  with_link([&] {
    const auto refused = [&](std::string_view body, bool after_command) {
      LongLinkClient one = client();
      if (after_command) one.ask<SendResponse>(k_send, 1, with_ticket<SendRequest>());
      one.write(LongLinkClient::frame(k_cmdid_seal, 5, body));
      EXPECT_EQ(one.receive_response<IdentifyResponse>(5).base().code(), 115u);
      EXPECT_FALSE(one.receive());
    };
    const std::string good = SealHello(3, k_seal_public, std::string(32, 'c')).body();
    refused(SealHello(3, noise_public_key(std::string(32, 'x')), std::string(32, 'c')).body(), false);
    refused(SealHello(4, k_seal_public, std::string(32, 'c')).body(), false);
    refused("", false);
    refused(good + "x", false);
    refused(good, true);
  });
}

TEST_F(LongLinkTest, where_bodies_must_be_sealed_plain_ones_are_refused) {
  config_.address = "0.0.0.0:0";
  config_.sealed_only = true;
  with_link([&] {
    LongLinkClient one = client();
    EXPECT_EQ(one.ask<SendResponse>(k_send, 1, with_ticket<SendRequest>()).base().code(), 115u);
    EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, with_ticket<IdentifyRequest>()).base().code(), 115u);
    EXPECT_EQ(backend_.sends.size(), 0u);
    ASSERT_TRUE(one.agree(3, k_seal_public));
    EXPECT_EQ(one.ask<SendResponse>(k_send, 2, with_ticket<SendRequest>()).base().code(), 0u);
    LongLinkClient idle = client();  // mars may be silent for minutes after connecting.
    wait(10min);
    idle.write(LongLinkClient::frame(k_cmdid_noop, k_seq_noop, ""));
    EXPECT_EQ(idle.receive()->body, "");
    ASSERT_TRUE(idle.agree(3, k_seal_public));
    EXPECT_EQ(one.ask<SendResponse>(k_send, 3, with_ticket<SendRequest>()).base().code(), 0u);
  });
}

// --- where it may listen ---

TEST_F(LongLinkTest, other_machines_are_served_over_tls_or_sealed_only) {
  config_.address = "0.0.0.0:0";
  api::Entry entry(env_, backend_.entry_deps(), {});
  const auto plain = make_long_link(env_, {.entry = entry, .presence = internal::PresenceClient(backend_.presence_channel)}, config_);
  EXPECT_EQ(plain->start().code(), Code::invalid);

  const auto identity = runtime::make_self_signed("127.0.0.1", env_.utc_ms());
  ASSERT_TRUE(identity.ok());
  tls_ = *runtime::make_tls_server(*identity);
  fingerprint_ = *runtime::certificate_fingerprint(identity->certificate_pem);
  with_link([&] {
    LongLinkClient one = identified();
    EXPECT_EQ(one.ask<SendResponse>(k_send, 1, SendRequest()).base().code(), 0u);
    LongLinkClient silent(env_, link_->address());
    const auto start = env_.now();
    EXPECT_FALSE(silent.receive());
    EXPECT_EQ(env_.now() - start, config_.handshake_limit);
  });
}

// --- overload ---

// What everything costs the loop: 500 requests a second are all it can do. Sixty devices ask for thousands of the least
// important; five send, three at a time in one write.
TEST_F(LongLinkTest, under_overload_sends_get_through_the_rest_is_refused_at_once_and_each_link_has_its_answers_in_order) {
  constexpr uint32_t k_typing = 306;
  backend_.chat.on_send = [this](Call&, const SendRequest&) -> Result<SendResponse> {
    env_.advance(2ms);
    return SendResponse();
  };
  backend_.chat.on_typing = [this](Call&, const client::TypingRequest&) -> Result<client::TypingResponse> {
    env_.advance(2ms);
    return client::TypingResponse();
  };
  int asked = 0, refused = 0, late_refusals = 0, sent = 0, failed = 0;
  with_link([&] {
    const runtime::Time start = env_.now(), settled = start + 10s, end = start + 20s;
    runtime::Nursery devices(env_.scheduler());
    const auto identify_as = [&](uint64_t uin) {
      LongLinkClient one = client();
      backend_.log_in(uin, k_phone);
      IdentifyRequest request;
      request.mutable_base()->set_ticket(backend_.ticket(uin, k_phone));
      EXPECT_EQ(one.ask<IdentifyResponse>(k_cmdid_identify, k_seq_identify, request).base().code(), 0u);
      return one;
    };
    for (uint64_t i = 0; i < 60; ++i) {
      devices.spawn("typing", [&, i] {
        LongLinkClient one = identify_as(20'000 + i);
        for (uint32_t seq = 1; env_.now() < end; ++seq) {
          const runtime::Time asked_at = env_.scheduler().read_clock();
          const auto base = one.ask<client::TypingResponse>(k_typing, seq, client::TypingRequest()).base();
          if (env_.now() >= settled) ++asked;
          if (base.code() == 0) continue;
          EXPECT_EQ(base.code(), 3u);
          EXPECT_GE(base.retry_after_ms(), 1000u);
          if (env_.now() >= settled) ++refused;
          if (env_.now() >= settled && env_.scheduler().read_clock() - asked_at > 100ms) ++late_refusals;
          wait(10ms);  // Not a second, as it was told: it insists.
        }
      });
    }
    for (uint64_t i = 0; i < 5; ++i) {
      devices.spawn("sending", [&, i] {
        LongLinkClient one = identify_as(30'000 + i);
        for (uint32_t seq = 1; env_.now() < end; seq += 3) {
          one.write(LongLinkClient::request(k_send, seq, SendRequest()) + LongLinkClient::request(k_send, seq + 1, SendRequest()) +
                    LongLinkClient::request(k_send, seq + 2, SendRequest()));
          for (uint32_t of_three = 0; of_three < 3; ++of_three) {
            const uint32_t code = one.receive_response<SendResponse>(seq + of_three).base().code();  // In this order, or it stops.
            if (env_.now() < settled) continue;
            ++(code == 0 ? sent : failed);
          }
          wait(100ms);
        }
      });
    }
    Call call;
    ASSERT_TRUE(devices.join(call).ok());
  });
  EXPECT_GT(sent, 700);
  EXPECT_LE(failed * 100, sent) << "of " << sent;
  EXPECT_GT(refused, asked / 4) << "of " << asked;
  EXPECT_GT(asked - refused, 1500) << "what is left over is for them: 350 a second";
  EXPECT_LE(late_refusals * 50, refused);
}

}  // namespace
}  // namespace hongyan::access
