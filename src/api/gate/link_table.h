// The devices connected to one gate process (WebSocket, long link, long polling), and the gate's end of the ring:
// it makes them online with presence, renews their leases and hands rings to their sockets.
//
// A device has one lease however many sockets it holds here (tabs of one browser), so they never throw each other
// out. A later epoch of the device does: the older sockets are closed as superseded. A ring of kind 2 (logged out) is
// believed only after data/device has confirmed it. Rings that find a polling device between two polls wait for it,
// one per key. A lost ring is not an error; presence being away is none either (the lease follows later).
//
// Limits: members per device and devices in all, over which Code::overloaded; a poll over the pollers of a device ends
// the oldest. Owning thread only. Presence reaches push() through internal::GateClient under the name given here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/gate/entry.h"
#include "api/internal/presence.rpc.pb.h"
#include "runtime/coro/sync.h"

namespace hongyan::api {

enum class CloseReason {
  logged_out,  // The session has ended; a ring of kind 2 went before.
  superseded,  // The device has a newer session or is connected elsewhere: come back with the newest ticket.
};

// One socket. Both calls only queue and may come at any time between attach and detach.
class LinkMember {
 public:
  virtual ~LinkMember() = default;
  virtual void ring(const client::Ring& ring) = 0;
  virtual void close_link(CloseReason reason) = 0;
};

struct LinkTableConfig {
  std::string gate = "web";
  runtime::Duration renew = std::chrono::seconds(60);    // A third of presence's lease.
  runtime::Duration linger = std::chrono::seconds(60);   // How long a polling device counts as online between polls.
  size_t devices_max = 20'000;
  size_t members_max = 16;                               // Per device: tabs.
  size_t pollers_max = 4;                                // Per device.
};

class LinkTable : public internal::GateService {
 public:
  using Check = std::function<Result<std::vector<client::Ring>>(Call&)>;

  LinkTable(Env& env, Entry& entry, internal::PresenceClient presence, LinkTableConfig config);
  ~LinkTable() override;

  void start();           // The renewal of leases.
  void stop(Call& call);  // Every device goes offline. No member is attached any more.

  // ErrorCode::old_epoch when a newer session of the device is online.
  Status attach(Call& call, const rpc::Identity& identity, LinkMember& member);
  void detach(LinkMember& member);  // Never waits; no effect when it is not attached.

  // Waits up to `wait` for a ring. The device counts as listening before `check` asks whether something is new
  // already, so nothing falls between. No ring is an empty answer, not an error.
  Result<std::vector<client::Ring>> poll(Call& call, const rpc::Identity& identity, runtime::Duration wait,
                                         const Check& check);

  Result<internal::PushResponse> push(Call& call, const internal::PushRequest& request) override;

  size_t devices() const { return by_device_.size(); }

 private:
  struct Poller {
    std::vector<client::Ring> rings;
    bool closed = false;
    runtime::WaitList waiting;
  };
  struct Device {
    rpc::Identity identity;
    uint64_t connection = 0;
    std::vector<LinkMember*> members;
    std::vector<Poller*> pollers;
    std::vector<client::Ring> pending;   // For a polling device that is between two polls.
    runtime::Time linger_until{};        // Zero: it has never polled.
  };
  using DevicePtr = std::shared_ptr<Device>;
  using Key = std::pair<uint64_t, std::string>;

  Result<DevicePtr> open(const rpc::Identity& identity, bool& fresh);
  Status go_online(Call& call, const DevicePtr& device);
  void close_if_idle(const DevicePtr& device);
  void remove(const DevicePtr& device);
  void close_device(const DevicePtr& device, CloseReason reason);
  void deliver(Device& device, const client::Ring& ring);
  bool present(const DevicePtr& device) const;
  internal::OfflineRequest offline_request(const Device& device) const;
  void renew_all();

  Env& env_;
  Entry& entry_;
  internal::PresenceClient presence_;
  LinkTableConfig config_;
  uint64_t next_connection_;  // Random start: a lease left by a process that died never names a link of this one.
  std::map<Key, DevicePtr> by_device_;
  std::map<uint64_t, DevicePtr> by_connection_;
  std::map<LinkMember*, DevicePtr> by_member_;
  runtime::Nursery nursery_;
  runtime::Counter& online_;
  runtime::Counter& rings_;
  runtime::Counter& closed_;
};

// Adds `ring` to rings that have not been read: one of the same key only grows its version. Never more than 16.
void coalesce(std::vector<client::Ring>& rings, const client::Ring& ring);

}  // namespace hongyan::api
