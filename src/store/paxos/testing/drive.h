// Takes a world by the hand: this message now, that one never, or everything that is under way among some replicas.
#pragma once

#include <set>

#include "base/check.h"
#include "store/paxos/testing/world.h"

namespace hongyan::store::paxos {

inline constexpr uint8_t set_of() { return 0; }
template <typename... More>
constexpr uint8_t set_of(ReplicaId first, More... more) {
  return static_cast<uint8_t>(1u << first | set_of(more...));
}

class Drive {
 public:
  explicit Drive(World& world) : world_(world) {}

  // The newest message of this kind from one to the other; there must be one.
  void pass(ReplicaId from, ReplicaId to, Message::Kind kind) {
    const auto& network = world_.network();
    for (size_t i = network.size(); i-- > 0;) {
      const uint32_t number = network[i];
      const Packet& packet = world_.packets().at(number);
      if (packet.snapshot || packet.to != to || packet.message.from != from || packet.message.kind != kind) continue;
      delivered_.insert(number);
      world_.deliver(number);
      return;
    }
    CHECK(!"no such message");
  }

  // Every message between these replicas that was not delivered yet, oldest first, and every write, until nothing is left.
  void settle(uint8_t among) {
    for (bool more = true; more;) {
      more = false;
      for (ReplicaId at = 0; at < world_.options().replicas; ++at) {
        while ((among >> at & 1) != 0 && world_.can_flush(at)) world_.flush(at);
      }
      const std::vector<uint32_t> network = world_.network();
      for (const uint32_t number : network) {
        const Packet& packet = world_.packets().at(number);
        if ((among >> packet.to & 1) == 0 || (among >> packet.message.from & 1) == 0) continue;
        if (lost_.contains(number) || !delivered_.insert(number).second) continue;
        if (!packet.snapshot && !world_.matters(number)) continue;
        world_.deliver(number);
        more = true;
        break;
      }
    }
  }

  // What is under way now never arrives.
  void lose() { lost_.insert(world_.network().begin(), world_.network().end()); }
  // A resent message is the same message.
  void retry(ReplicaId at) {
    std::erase_if(delivered_, [&](const uint32_t number) { return world_.packets().at(number).message.from == at; });
    world_.retry(at);
  }

 private:
  World& world_;
  std::set<uint32_t> delivered_;
  std::set<uint32_t> lost_;
};

}  // namespace hongyan::store::paxos
