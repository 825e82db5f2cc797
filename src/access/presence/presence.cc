#include "access/presence/presence.h"

#include <deque>
#include <utility>
#include <vector>

#include "base/check.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "rpc/service_identity.h"
#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"

namespace hongyan::access {

using internal::GateClient;
using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_device_bytes = 16;
constexpr size_t k_gate_bytes_max = 64;
constexpr size_t k_queued_rings_max = 16;  // Per device: 3 keys, log-out and some who type.

struct Lease {
  uint64_t uin = 0;
  std::string device;
  uint32_t epoch = 0;
  std::string gate;
  uint64_t connection = 0;
  Time until{};
};

// What waits for one connection.
struct Outbox {
  std::vector<client::Ring> rings;
  bool replaced = false;
};

struct Gate {
  explicit Gate(GateClient gate) : client(gate) {}
  GateClient client;
  std::map<uint64_t, Outbox> outboxes;   // By connection.
  std::deque<uint64_t> order;            // Connections with something to push, each once.
  int pushers = 0;
};

bool same_subject(const client::Ring& a, const client::Ring& b) {
  if (a.kind() != b.kind() || a.key() != b.key()) return false;
  if (a.kind() == model::k_ring_kind_new) return true;
  return a.actor() == b.actor() && a.conversation().type() == b.conversation().type() &&
         a.conversation().id() == b.conversation().id();
}

class PresenceImpl : public Presence {
 public:
  PresenceImpl(Env& env, PresenceDeps deps, PresenceConfig config)
      : env_(env),
        self_(env, std::move(deps.audiences), "presence"),
        config_(config),
        nursery_(env.scheduler()),
        online_(env.counters().counter("hongyan_presence_leases", "Devices online", runtime::CounterKind::gauge)),
        rings_(env.counters().counter("hongyan_presence_rings", "Rings queued to a device")),
        coalesced_(env.counters().counter("hongyan_presence_rings_coalesced", "Rings that joined an undelivered one")),
        lost_(env.counters().counter("hongyan_presence_rings_lost", "Rings no gate took")) {
    for (auto& [name, gate] : deps.gates) gates_.emplace(name, gate);
  }

  void add_gate(const std::string& name, GateClient gate) override {
    CHECK(gates_.emplace(name, gate).second);
  }

  void stop(Call&) override {
    stopped_ = true;
    nursery_.cancel_and_join();
  }

  size_t leases() const override { return count_; }

  Result<internal::OnlineResponse> online(Call&, const internal::OnlineRequest& request) override {
    if (!model::is_user(request.uin()) || request.device_id().size() != k_device_bytes || request.connection() == 0) {
      return Status(Code::invalid, "not a lease");
    }
    if (request.gate().size() > k_gate_bytes_max || !gates_.contains(request.gate())) {
      return Status(Code::invalid, "no such gate");
    }
    internal::OnlineResponse response;
    Lease* present = find(request.uin(), request.device_id());
    if (present != nullptr) {
      if (present->epoch > request.epoch()) {
        return model::error(model::ErrorCode::old_epoch, "a newer session of this device is online");
      }
      if (present->connection != request.connection() || present->gate != request.gate()) {
        response.set_replaced_connection(present->connection);
        response.set_replaced_gate(present->gate);
        if (present->gate != request.gate()) tell_replaced(*present);
      }
    } else {
      present = TRY(add(request.uin(), request.device_id()));
    }
    present->epoch = request.epoch();
    present->gate = request.gate();
    present->connection = request.connection();
    present->until = runtime::after(env_.now(), config_.lease);
    return response;
  }

  Result<internal::OfflineResponse> offline(Call&, const internal::OfflineRequest& request) override {
    internal::OfflineResponse response;
    const Lease* present = find(request.uin(), request.device_id());
    if (present != nullptr && present->epoch == request.epoch() && present->gate == request.gate() &&
        present->connection == request.connection()) {
      erase(*present);
      response.set_erased(true);
    }
    return response;
  }

  Result<internal::RingResponse> ring(Call&, const internal::RingRequest& request) override {
    const std::string_view only = request.only_device();
    const std::string_view except = request.except_device();
    return ring_devices(request.uin(), request.ring(), [&](std::string_view device) {
      return only.empty() ? except.empty() || device != except : device == only;
    });
  }

  // From another user, by a grant: it may say that somebody types and nothing else, in that user's own name.
  Result<internal::RingResponse> signal(Call& call, const internal::SignalRequest& request) override {
    if (request.ring().kind() != model::k_ring_kind_typing) return Status(Code::invalid, "only typing is a signal");
    client::Ring ring = request.ring();
    ring.set_actor(TRY(rpc::caller_of(call)).identity.uin);
    return ring_devices(request.uin(), ring, [](std::string_view) { return true; });
  }

  Result<internal::WhoResponse> who(Call&, const internal::WhoRequest& request) override {
    internal::WhoResponse response;
    const auto user = users_.find(request.uin());
    if (user == users_.end()) return response;
    for (const auto& [device, lease] : user->second) {
      if (lease.until > env_.now()) response.add_device_ids(device);
    }
    return response;
  }

 private:
  using Devices = std::map<std::string, Lease, std::less<>>;

  template <typename Wanted>
  internal::RingResponse ring_devices(uint64_t uin, const client::Ring& ring, const Wanted& wanted) {
    internal::RingResponse response;
    const auto user = users_.find(uin);
    if (user == users_.end()) return response;
    std::vector<Lease> expired;
    uint32_t reached = 0;
    for (const auto& [device, lease] : user->second) {
      if (lease.until <= env_.now()) {
        expired.push_back(lease);
        continue;
      }
      if (!wanted(device)) continue;
      queue_ring(lease, ring);
      ++reached;
    }
    for (const Lease& lease : expired) erase(lease);
    response.set_reached(reached);
    return response;
  }

  Lease* find(uint64_t uin, const std::string& device) {
    const auto user = users_.find(uin);
    if (user == users_.end()) return nullptr;
    const auto found = user->second.find(device);
    if (found == user->second.end()) return nullptr;
    if (found->second.until > env_.now()) return &found->second;
    erase(Lease(found->second));
    return nullptr;
  }

  Result<Lease*> add(uint64_t uin, const std::string& device) {
    if (count_ >= config_.leases_max) sweep();
    if (count_ >= config_.leases_max) return Status(Code::overloaded, "no room for more devices online");
    Devices& devices = users_[uin];
    if (devices.size() >= config_.devices_per_user_max) {
      std::erase_if(devices, [&](const auto& entry) {
        const bool expired = entry.second.until <= env_.now();
        if (expired) --count_;
        return expired;
      });
      if (devices.size() >= config_.devices_per_user_max) return Status(Code::overloaded, "too many devices of this user");
    }
    Lease& lease = devices[device];
    lease.uin = uin;
    lease.device = device;
    ++count_;
    online_.set(static_cast<int64_t>(count_));
    return &lease;
  }

  void erase(const Lease& lease) {
    const uint64_t uin = lease.uin;
    const auto user = users_.find(uin);
    CHECK(user != users_.end());
    count_ -= user->second.erase(std::string(lease.device));
    if (user->second.empty()) users_.erase(user);
    online_.set(static_cast<int64_t>(count_));
  }

  // Only when full, and then at most once per quarter of a lease: a million leases take some 50 ms.
  void sweep() {
    if (env_.now() < next_sweep_) return;
    next_sweep_ = runtime::after(env_.now(), config_.lease / 4);
    for (auto user = users_.begin(); user != users_.end();) {
      count_ -= std::erase_if(user->second, [&](const auto& entry) { return entry.second.until <= env_.now(); });
      user = user->second.empty() ? users_.erase(user) : std::next(user);
    }
    online_.set(static_cast<int64_t>(count_));
  }

  Outbox* outbox_of(const Lease& lease, Gate*& gate) {
    const auto found = gates_.find(lease.gate);
    if (found == gates_.end() || stopped_) return nullptr;
    gate = &found->second;
    const auto [outbox, fresh] = gate->outboxes.try_emplace(lease.connection);
    if (fresh) gate->order.push_back(lease.connection);
    return &outbox->second;
  }

  void queue_ring(const Lease& lease, const client::Ring& ring) {
    Gate* gate = nullptr;
    Outbox* outbox = outbox_of(lease, gate);
    if (outbox == nullptr) return;
    rings_.add(1);
    for (client::Ring& waiting : outbox->rings) {
      if (!same_subject(waiting, ring)) continue;
      waiting.set_version(std::max(waiting.version(), ring.version()));
      coalesced_.add(1);
      return;
    }
    if (outbox->rings.size() >= k_queued_rings_max) {
      outbox->rings.erase(outbox->rings.begin());
      lost_.add(1);
    }
    outbox->rings.push_back(ring);
    wake_pusher(*gate);
  }

  void tell_replaced(const Lease& lease) {
    Gate* gate = nullptr;
    Outbox* outbox = outbox_of(lease, gate);
    if (outbox == nullptr) return;
    outbox->replaced = true;
    wake_pusher(*gate);
  }

  void wake_pusher(Gate& gate) {
    if (gate.pushers >= config_.pushers) return;
    ++gate.pushers;
    nursery_.spawn("push rings", [this, &gate] {  // Gates are never removed.
      while (!gate.order.empty() && !stopped_) {
        const uint64_t connection = gate.order.front();
        gate.order.pop_front();
        auto outbox = gate.outboxes.extract(connection);
        CHECK(!outbox.empty());
        push_all(gate, connection, outbox.mapped());
      }
      --gate.pushers;
    });
  }

  void push_all(Gate& gate, uint64_t connection, const Outbox& outbox) {
    internal::PushRequest request;
    request.set_connection(connection);
    for (const client::Ring& ring : outbox.rings) {
      *request.mutable_ring() = ring;
      Call call = self_.background(config_.push_limit);
      if (gate.client.push(call, request).ok()) continue;
      lost_.add(1);  // The gate lost the link; it tells us, or the lease runs out.
      return;
    }
    if (!outbox.replaced) return;
    request.clear_ring();
    request.set_replaced(true);
    Call call = self_.background(config_.push_limit);
    (void)gate.client.push(call, request).ok();
  }

  Env& env_;
  rpc::ServiceIdentity self_;
  PresenceConfig config_;
  std::map<std::string, Gate, std::less<>> gates_;
  std::map<uint64_t, Devices> users_;
  size_t count_ = 0;
  Time next_sweep_{};
  bool stopped_ = false;
  runtime::Nursery nursery_;
  runtime::Counter& online_;
  runtime::Counter& rings_;
  runtime::Counter& coalesced_;
  runtime::Counter& lost_;
};

}  // namespace

std::unique_ptr<Presence> make_presence(Env& env, PresenceDeps deps, PresenceConfig config) {
  return std::make_unique<PresenceImpl>(env, std::move(deps), config);
}

}  // namespace hongyan::access
