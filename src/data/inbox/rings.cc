#include "data/inbox/rings.h"

#include "data/inbox/limits.h"
#include "model/kinds.h"

namespace hongyan::inbox {

namespace {
using namespace std::chrono_literals;
constexpr runtime::Duration k_ring_limit = 2s;       // Later it is worth nothing: the device polls or rings again.
}  // namespace

Rings::Rings(internal::PresenceClient presence, rpc::ServiceIdentity self, InboxCounters& counters)
    : presence_(std::move(presence)), self_(std::move(self)), counters_(counters) {}

void Rings::ring(uint64_t uin, uint64_t version, const client::Conversation& conversation, uint64_t actor,
                 std::string except_device) {
  const auto found = waiting_.find(uin);
  if (found == waiting_.end() && waiting_.size() >= k_rings_waiting_max) {
    counters_.rings_failed.add(1);
    return;
  }
  const bool merged = found != waiting_.end();
  internal::RingRequest& request = merged ? found->second : waiting_[uin];
  if (merged && request.except_device() != except_device) except_device.clear();
  request.set_uin(uin);
  request.set_except_device(std::move(except_device));
  client::Ring& ring = *request.mutable_ring();
  ring.set_key(model::k_ring_messages);
  if (version > ring.version()) ring.set_version(version);
  *ring.mutable_conversation() = conversation;
  ring.set_actor(actor);
  news_.notify_one();
}

void Rings::send(internal::RingRequest request) {
  Call call = self_.background(k_ring_limit);
  counters_.rings.add(1);
  if (!presence_.ring(call, request).ok()) counters_.rings_failed.add(1);
}

void Rings::flush() {
  while (!waiting_.empty()) {
    auto first = waiting_.extract(waiting_.begin());
    send(std::move(first.mapped()));
  }
}

void Rings::run() {
  while (!stopping_) {
    flush();
    if (stopping_ || !waiting_.empty()) continue;
    Call call;
    if (!news_.wait(call).ok()) return;
  }
}

void Rings::stop() {
  stopping_ = true;
  news_.notify_all();
}

}  // namespace hongyan::inbox
