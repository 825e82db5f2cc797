// What the parts of the inbox share: the world, the store, settings, counters, rings. One instance a service.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/share.h"
#include "data/inbox/inbox_counters.h"
#include "data/inbox/rings.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"
#include "store/table/table.h"

namespace hongyan::inbox {

enum class Retention : uint8_t { forever = 1, days = 2, delivered = 3 };

struct InboxConfig {
  Retention retention = Retention::forever;
  uint32_t retention_days = 0;                         // Of Retention::days.
  runtime::Duration close_interval = std::chrono::seconds(2);   // The worker's rounds.
  int64_t open_send_grace_ms = 3'000;                  // Younger open sends are left to the request that made them.
  runtime::Duration purge_interval = std::chrono::hours(1);
  // Marked inboxes that this process looks after; others are other processes'.
  Share share = {};
  // False: other processes may put open sends into the same inboxes, so that none is remembered to have none.
  bool alone = true;
};

struct Core {
  Core(Env& world, store::Store& rows, rpc::KeyRing contact, const InboxConfig& settings,
       internal::PresenceClient presence, rpc::ServiceIdentity self)
      : env(world), store(rows), contact_ring(std::move(contact)), config(settings), counters(world.counters()),
        rings(std::move(presence), std::move(self), counters) {}

  Env& env;
  store::Store& store;
  rpc::KeyRing contact_ring;  // Verifies grants of the contact service.
  InboxConfig config;
  InboxCounters counters;
  Rings rings;
};

}  // namespace hongyan::inbox
