// Goal: a ticket or grant verifies exactly as minted, where and when it should, and in no other case. Method: round
// trips, then every bit flip, every truncation, wrong keys, audiences, kinds and times.
#include "rpc/ticket.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/bytes.h"

namespace hongyan::rpc {
namespace {

constexpr int64_t k_now = 1'700'000'000'000;

MacKey key(uint8_t id) { return {.id = id, .bytes = std::string(32, static_cast<char>(id * 7 + 1))}; }
KeyRing ring(uint8_t id) { return KeyRing({key(id)}); }

Identity alice() {
  return {.uin = 0x0102030405060708, .device = "0123456789abcdef", .epoch = 3, .feature_level = 2,
          .expires_ms = k_now + 30'000};
}
Grant write_to_bob() {
  return {.issuer = "contact", .actor = 7, .object = 8, .right = "write", .expires_ms = k_now + 30'000};
}
Grant job_for_bob() { return {.issuer = "group", .object = 8, .right = "fan_out", .from_position = 55, .job = true}; }

void expect_equal(const Identity& a, const Identity& b) {
  EXPECT_EQ(a.uin, b.uin);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.feature_level, b.feature_level);
  EXPECT_EQ(a.expires_ms, b.expires_ms);
}

// Each kind of ticket for a check by ring 1 in the role of "inbox".
struct KindOfTicket {
  const char* name;
  std::function<std::string(const KeyRing&, int64_t expires_ms)> make;
  std::function<Code(const KeyRing&, std::string_view, int64_t now_ms)> check;
};

std::vector<KindOfTicket> kinds() {
  const auto check_call = [](const KeyRing& keys, std::string_view bytes, int64_t now) {
    return check_call_ticket(keys, "inbox", bytes, now).code();
  };
  const auto check_a_grant = [](const KeyRing& keys, std::string_view bytes, int64_t now) {
    return check_grant(keys, bytes, now).code();
  };
  return {
      {"client",
       [](const KeyRing& keys, int64_t expires) {
         Identity identity = alice();
         identity.expires_ms = expires;
         return make_client_ticket(keys, identity);
       },
       [](const KeyRing& keys, std::string_view bytes, int64_t now) {
         return check_client_ticket(keys, bytes, now).code();
       }},
      {"call",
       [](const KeyRing& keys, int64_t expires) {
         Identity identity = alice();
         identity.expires_ms = expires;
         return make_call_ticket({{"inbox", keys}}, identity);
       },
       check_call},
      {"prioritised call",
       [](const KeyRing& keys, int64_t expires) {
         Identity identity = alice();
         identity.expires_ms = expires;
         return make_call_ticket({{"inbox", keys}}, identity, runtime::Priority{.business = 20, .user = 77});
       },
       check_call},
      {"service",
       [](const KeyRing& keys, int64_t expires) { return make_service_ticket({{"inbox", keys}}, "notify", expires); },
       check_call},
      {"grant",
       [](const KeyRing& keys, int64_t expires) {
         Grant grant = write_to_bob();
         grant.expires_ms = expires;
         return make_grant(keys, grant);
       },
       check_a_grant},
      {"job grant", [](const KeyRing& keys, int64_t) { return make_grant(keys, job_for_bob()); }, check_a_grant},
  };
}

TEST(Ticket, each_kind_says_what_was_minted) {
  const auto client = check_client_ticket(ring(1), make_client_ticket(ring(1), alice()), k_now);
  ASSERT_TRUE(client.ok());
  expect_equal(*client, alice());

  const AudienceKeys audiences = {{"account", ring(2)}, {"inbox", ring(1)}, {"media", ring(3)}};
  const auto caller = check_call_ticket(ring(1), "inbox", make_call_ticket(audiences, alice()), k_now);
  ASSERT_TRUE(caller.ok());
  expect_equal(caller->identity, alice());
  EXPECT_EQ(caller->service, "");

  const auto service =
      check_call_ticket(ring(3), "media", make_service_ticket(audiences, "notify", k_now + 1), k_now);
  ASSERT_TRUE(service.ok());
  EXPECT_EQ(service->service, "notify");
  EXPECT_EQ(service->identity.uin, 0u);

  const auto grant = check_grant(ring(1), make_grant(ring(1), write_to_bob()), k_now);
  ASSERT_TRUE(grant.ok());
  EXPECT_EQ(grant->issuer, "contact");
  EXPECT_EQ(grant->actor, 7u);
  EXPECT_EQ(grant->object, 8u);
  EXPECT_EQ(grant->right, "write");
  EXPECT_EQ(grant->expires_ms, k_now + 30'000);
  EXPECT_FALSE(grant->job);

  const auto job = check_grant(ring(1), make_grant(ring(1), job_for_bob()), k_now);
  ASSERT_TRUE(job.ok());
  EXPECT_TRUE(job->job);
  EXPECT_EQ(job->from_position, 55u);
  EXPECT_EQ(job->actor, 0u);
  EXPECT_EQ(job->right, "fan_out");
}

TEST(Ticket, the_encoding_never_changes) {  // Tickets of one release are read by the next.
  EXPECT_EQ(to_hex(make_client_ticket(ring(1), alice())),
            "0101010203040506070810303132333435363738396162636465660000000300000002"
            "0000018bcfe5dd30"  // Then the key id, and the MAC as Python's hashlib.blake2b computes it.
            "01d28ad5749e13fc2f09b068ea8e23c3aa");
}

TEST(Ticket, a_flip_of_any_bit_is_refused) {
  for (const auto& kind : kinds()) {
    const std::string good = kind.make(ring(1), k_now + 30'000);
    ASSERT_EQ(kind.check(ring(1), good, k_now), Code::ok) << kind.name;
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      EXPECT_EQ(kind.check(ring(1), bad, k_now), Code::unauthenticated) << kind.name << " bit " << bit;
    }
  }
}

TEST(Ticket, a_flip_in_another_audiences_part_changes_nothing_for_this_one) {
  const AudienceKeys audiences = {{"account", ring(2)}, {"inbox", ring(1)}, {"media", ring(3)}};
  const std::string good = make_call_ticket(audiences, alice());
  size_t accepted = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    const auto caller = check_call_ticket(ring(1), "inbox", bad, k_now);
    if (!caller.ok()) continue;
    expect_equal(caller->identity, alice());
    ++accepted;
  }
  EXPECT_EQ(accepted, 2u * (4 + 17) * 8);  // The entries of the two others and nothing else.
}

TEST(Ticket, a_truncation_or_an_extra_byte_is_refused) {
  for (const auto& kind : kinds()) {
    const std::string good = kind.make(ring(1), k_now + 30'000);
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_EQ(kind.check(ring(1), good.substr(0, size), k_now), Code::unauthenticated) << kind.name << " " << size;
    }
    EXPECT_EQ(kind.check(ring(1), good + '\0', k_now), Code::unauthenticated) << kind.name;
    EXPECT_EQ(kind.check(ring(1), good + std::string(1'000'000, 'x'), k_now), Code::unauthenticated) << kind.name;
  }
}

TEST(Ticket, one_kind_does_not_pass_for_another) {
  const auto all = kinds();
  for (const auto& made : all) {
    const std::string bytes = made.make(ring(1), k_now + 30'000);
    for (const auto& checked : all) {
      const bool same_check = made.name == checked.name ||
                              std::string_view(made.name).ends_with("grant") == std::string_view(checked.name).ends_with("grant");
      if (std::string_view(made.name) == "client" || std::string_view(checked.name) == "client" || !same_check) {
        const bool same = std::string_view(made.name) == checked.name;
        EXPECT_EQ(checked.check(ring(1), bytes, k_now), same ? Code::ok : Code::unauthenticated)
            << made.name << " as " << checked.name;
      }
    }
  }
}

TEST(Ticket, expires_at_its_time_and_not_before) {
  for (const auto& kind : kinds()) {
    if (std::string_view(kind.name) == "job grant") continue;
    const std::string bytes = kind.make(ring(1), k_now);
    EXPECT_EQ(kind.check(ring(1), bytes, k_now - 1), Code::ok) << kind.name;
    EXPECT_EQ(kind.check(ring(1), bytes, k_now), Code::unauthenticated) << kind.name;
    EXPECT_EQ(kind.check(ring(1), bytes, k_now + 1'000'000'000), Code::unauthenticated) << kind.name;
  }
}

TEST(Ticket, a_life_beyond_what_its_kind_allows_is_refused) {
  for (const auto& kind : kinds()) {
    if (std::string_view(kind.name) == "job grant") continue;
    const std::string for_ever = kind.make(ring(1), INT64_MAX);
    EXPECT_EQ(kind.check(ring(1), for_ever, k_now), Code::unauthenticated) << kind.name;
    const std::string two_days = kind.make(ring(1), k_now + 2 * k_client_ticket_ms_max);
    EXPECT_EQ(kind.check(ring(1), two_days, k_now), Code::unauthenticated) << kind.name;
  }
}

TEST(Ticket, a_job_grant_lives_as_long_as_its_work) {
  const std::string job = make_grant(ring(1), job_for_bob());
  EXPECT_TRUE(check_grant(ring(1), job, k_now + 365 * k_client_ticket_ms_max).ok());
}

TEST(Ticket, the_current_and_the_previous_key_verify_and_no_older_one) {
  for (const auto& kind : kinds()) {
    const std::string by_one = kind.make(KeyRing({key(1)}), k_now + 30'000);
    const std::string by_two = kind.make(KeyRing({key(1), key(2)}), k_now + 30'000);
    EXPECT_EQ(kind.check(KeyRing({key(1), key(2)}), by_one, k_now), Code::ok) << kind.name;
    EXPECT_EQ(kind.check(KeyRing({key(2), key(3)}), by_two, k_now), Code::ok) << kind.name;
    EXPECT_EQ(kind.check(KeyRing({key(2), key(3)}), by_one, k_now), Code::unauthenticated) << kind.name;
    MacKey impostor = key(9);
    impostor.id = 1;  // The right id with other bytes.
    EXPECT_EQ(kind.check(KeyRing({impostor}), by_one, k_now), Code::unauthenticated) << kind.name;
    EXPECT_EQ(kind.check(KeyRing(), by_one, k_now), Code::unauthenticated) << kind.name;
  }
}

TEST(Ticket, another_audience_refuses_it_even_with_the_same_key) {
  const std::string for_inbox = make_call_ticket({{"inbox", ring(1)}}, alice());
  EXPECT_EQ(check_call_ticket(ring(1), "contact", for_inbox, k_now).code(), Code::unauthenticated);
  const std::string service_for_inbox = make_service_ticket({{"inbox", ring(1)}}, "notify", k_now + 1);
  EXPECT_EQ(check_call_ticket(ring(1), "contact", service_for_inbox, k_now).code(), Code::unauthenticated);
}

TEST(Ticket, with_the_most_audiences_it_stays_below_its_limit) {
  AudienceKeys audiences;
  for (uint8_t i = 0; i < 19; ++i) audiences["audience" + std::to_string(i)] = ring(i);
  Identity identity = alice();
  identity.device = std::string(32, 'd');
  const std::string ticket = make_call_ticket(audiences, identity);
  EXPECT_LE(ticket.size(), k_ticket_bytes_max);
  EXPECT_TRUE(check_call_ticket(ring(18), "audience18", ticket, k_now).ok());
}

TEST(Ticket, what_can_not_be_said_is_not_minted) {
  Identity nobody = alice();
  nobody.uin = 0;
  Identity long_device = alice();
  long_device.device = std::string(33, 'd');
  EXPECT_EQ(make_client_ticket(ring(1), nobody), "");
  EXPECT_EQ(make_call_ticket({{"inbox", ring(1)}}, long_device), "");
  EXPECT_EQ(make_service_ticket({{"inbox", ring(1)}}, "", k_now), "");
  Grant no_actor = write_to_bob();
  no_actor.actor = 0;
  EXPECT_EQ(make_grant(ring(1), no_actor), "");
  EXPECT_EQ(check_client_ticket(ring(1), "", k_now).code(), Code::unauthenticated);
}

TEST(Ticket, logic_reads_the_caller_without_a_key) {
  Call call;
  EXPECT_EQ(caller_of(call).code(), Code::unauthenticated);
  call.ticket = std::make_shared<const std::string>(make_call_ticket({{"inbox", ring(1)}}, alice()));
  ASSERT_TRUE(caller_of(call).ok());
  expect_equal(caller_of(call)->identity, alice());
  call.ticket = std::make_shared<const std::string>(make_client_ticket(ring(1), alice()));
  EXPECT_EQ(caller_of(call).code(), Code::unauthenticated);
  call.ticket = std::make_shared<const std::string>("garbage");
  EXPECT_EQ(caller_of(call).code(), Code::unauthenticated);
}

}  // namespace
}  // namespace hongyan::rpc
