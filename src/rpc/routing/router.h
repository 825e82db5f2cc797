// Where a call goes, from what is known at this instant: a pure decision over an immutable set of
// instances. In order:
//
// 1. Narrowing. An instance that lists number segments serves the routing keys in them and nothing
//    else (a sandbox, a shard of presence); one that lists client versions serves those clients and
//    nothing else. The narrowest that fits wins: segment, then version, then those that list
//    neither. It looks at the list and not at health: a sandbox that is down fails, it does not
//    leak into production.
// 2. Masked zones get nothing, nor do instances that are draining or down.
// 3. Shielded instances are left out, unless more than half of what is left would be without calls:
//    then the fault is rather elsewhere, and shields are ignored (panic). An instance that cannot
//    be reached gets nothing in either case.
// 4. Own zone first. While it has 1/1.4 of its instances healthy and not full it takes all calls;
//    below, the rest spills over to the others in proportion.
// 5. The balancer chooses among what remains: among those that are full only when all are, or when
//    the key alone decides (Balance::owner).
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "rpc/routing/balancer.h"

namespace hongyan::rpc {

// What the caller's side knows of an instance beside the list.
struct Health {
  bool reachable = false;  // A connection was opened and not lost since.
  bool shielded = false;
  bool full = false;   // Over the channel's own limit, or it refused calls a moment ago.
  bool tried = false;  // By this call: a retry goes elsewhere.
  double share = 1;    // See Candidate.
  uint32_t in_flight = 0;
  double latency_us = 0;
};

struct Question {
  uint64_t key = 0;             // 0: none.
  uint64_t client_version = 0;  // 0: none.
};

struct Choice {
  size_t instance = k_no_instance;
  bool panic = false;
  bool spilled = false;  // Left the own zone though it has instances of this name.
};

class Router {
 public:
  // Envoy's over-provisioning factor: a zone that lost up to 28 % of its instances carries on.
  static constexpr double k_overprovision = 1.4;

  Router(std::vector<Instance> instances, Balance balance, std::string own_zone);
  const std::vector<Instance>& instances() const { return instances_; }

  // `health` in the order of instances(). k_no_instance when no instance may have the call.
  Choice pick(const Question& question, std::span<const Health> health,
              const std::set<std::string>& masked_zones, Random& random);
  // Those that the question is for and whose state and zone allow it, in the order of instances().
  const std::vector<bool>& eligible(const Question& question,
                                    const std::set<std::string>& masked_zones);

 private:
  struct Zone {
    size_t instances = 0;
    size_t good = 0;    // May have calls and is not full.
    size_t usable = 0;  // And this call has not tried it.
  };

  const std::vector<Instance> instances_;
  const std::string own_zone_;
  bool any_segments_ = false;
  bool any_versions_ = false;
  const bool passes_full_over_;  // Not where the key alone decides.
  std::unique_ptr<Balancer> balancer_;
  std::vector<bool> eligible_;  // Reused: a pick allocates nothing.
  std::vector<Candidate> candidates_;
};

}  // namespace hongyan::rpc
