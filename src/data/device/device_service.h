// data/device: the devices of each user and their sessions. The only writer of the device table; mints client tickets.
//
// A session is (device, epoch). Opening one raises the device's epoch, so that at most one session of a device is good;
// closing one burns its epoch. An epoch is never used twice, also by sessions that a restore of the data has undone: their
// tickets end and open nothing. Whatever ends a session puts its tickets among the
// revocations of this process, at once and until the last of them has expired, and rings the device "logged out".
// Refresh tokens: one secret at a time, replaced by each refresh; the one before stays good until the new one has been
// used, so that a lost answer logs nobody out. Only hashes are stored. An integrator's ticket opens sessions of one
// device until it expires.
// Durability: an answered change has been synced, but for cursors: at most one write per device and 30 s, the others
// are dropped, and losing one only delays a purge.
// Limits: limits.h, model/limits.h (k_devices_max; the closed device not seen for longest is forgotten first).
// Errors beside those of the store: invalid, too_large, not_found, conflict, unauthenticated (a token that is none),
// old_epoch (the caller's session is not the device's any more). Who may call: api/internal/device.proto.
#pragma once

#include <memory>

#include "api/internal/device.rpc.pb.h"
#include "api/internal/presence.rpc.pb.h"
#include "rpc/guard.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"
#include "store/table/table.h"

namespace hongyan::device {

struct DeviceDeps {
  store::Store& store;
  internal::PresenceClient presence;
  rpc::AudienceKeys audiences;     // Of presence: this service calls it as "device".
  rpc::KeyRing client_tickets;     // Shared with access, which checks them.
  rpc::Revocations& revocations;   // Shared with the guards of this process.
};

struct DeviceConfig {
  int64_t ticket_ms = rpc::k_client_ticket_ms_max;
};

// Everything in `deps` must outlive the service. It has no background work.
std::unique_ptr<internal::DeviceService> make_device(Env& env, DeviceDeps deps, DeviceConfig config);

}  // namespace hongyan::device
