// How two directed edges change: decisions without the store.
//
// Each user's entity decides about its own edge and leaves an action for the peer's. Actions are idempotent: an edge
// that has seen one does not change by seeing it again. A newer action to the same peer replaces an undelivered older
// one, which is right because each says what the actor wants now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/internal/contact.pb.h"
#include "base/result.h"
#include "data/contact/contact_rows.pb.h"

namespace hongyan::contact {

// On disk: never renumber.
enum class Action : uint32_t { ask = 1, accept = 2, withdraw = 3, befriend = 4 };

// What one's own entity writes.
struct Step {
  EdgeRow edge;
  std::optional<Action> action = {};  // For the peer, ...
  std::string greeting = {};          // ... with this.
};
// `mine` may be default: no edge. A friend who asks has been removed by the peer.
Step ask(const EdgeRow& mine, const std::string& greeting, int64_t now_ms);
Result<Step> accept(const EdgeRow& mine, int64_t now_ms);  // no_request
Step remove(const EdgeRow& mine, int64_t now_ms);
Step befriend(const EdgeRow& mine, int64_t now_ms);
Result<Step> set(const EdgeRow& mine, const internal::SetEdgeRequest& request);  // invalid, too_large

// What an action makes of the peer's edge.
struct Effect {
  EdgeRow edge;
  bool changed = false;
  bool mutual = false;  // Both want it: the actor's edge becomes "friend", too, unless it was taken back.
};
Effect apply(const PendingRow& pending, const EdgeRow& theirs, int64_t now_ms);
// The actor's edge after a mutual effect.
EdgeRow befriended(const EdgeRow& mine, int64_t now_ms);

// An edge that says nothing has no row.
bool is_bare(const EdgeRow& edge);
// Both want it and at least one of them knows: the other's entity is about to learn it.
bool are_friends(const EdgeRow& a, const EdgeRow& b);
Status check_greeting(const std::string& greeting);  // invalid, too_large

}  // namespace hongyan::contact
