// Presence: which device of whom is connected to which gate, and the ring that reaches it.
//
// A lease is (uin, device, epoch) -> (gate, connection). Leases live in memory only: gates renew them, so a restart
// forgets them for a minute and nothing else is lost. A lower epoch never replaces a higher one; Offline erases only
// the very lease it names, so a late logout can't erase a newer login. Who is replaced on another gate is told to
// close; on the same gate the answer names the connection.
//
// Rings return as soon as they are queued: `reached` counts devices, not eyes. One pusher works per gate at a time
// for each of `pushers` slots; a ring to a device that still has an undelivered one of the same key only raises its
// version. A lost ring is not an error. Limits: leases in all, devices per user. Owning thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "api/internal/presence.rpc.pb.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"

namespace hongyan::access {

struct PresenceDeps {
  std::map<std::string, internal::GateClient, std::less<>> gates;  // By the name that gates give themselves.
  rpc::AudienceKeys audiences;                                     // Of "gate" at least: presence calls as itself.
};

struct PresenceConfig {
  runtime::Duration lease = std::chrono::seconds(180);  // Gates renew every 60 s.
  size_t leases_max = 1'000'000;                        // About 250 bytes each.
  size_t devices_per_user_max = 32;                     // data/device keeps 20.
  int pushers = 4;                                      // Pushes under way per gate.
  runtime::Duration push_limit = std::chrono::seconds(2);
};

class Presence : public internal::PresenceService {
 public:
  // Gates and presence name each other: the bundle adds the gates once they exist, before any of them starts.
  virtual void add_gate(const std::string& name, internal::GateClient gate) = 0;
  virtual void stop(Call& call) = 0;  // Undelivered rings are dropped.
  virtual size_t leases() const = 0;
};

std::unique_ptr<Presence> make_presence(Env& env, PresenceDeps deps, PresenceConfig config);

}  // namespace hongyan::access
