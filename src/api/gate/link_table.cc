#include "api/gate/link_table.h"

#include <algorithm>

#include "base/check.h"
#include "model/kinds.h"
#include "runtime/log/log.h"

namespace hongyan::api {

using model::ErrorCode;
using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_rings_max = 16;  // 3 keys, log-out, and some who type.
constexpr Duration k_presence_limit = std::chrono::seconds(5);

bool same_subject(const client::Ring& a, const client::Ring& b) {
  if (a.kind() != b.kind() || a.key() != b.key()) return false;
  if (a.kind() == model::k_ring_kind_new) return true;
  return a.actor() == b.actor() && a.conversation().type() == b.conversation().type() &&
         a.conversation().id() == b.conversation().id();
}

}  // namespace

void coalesce(std::vector<client::Ring>& rings, const client::Ring& ring) {
  for (client::Ring& waiting : rings) {
    if (!same_subject(waiting, ring)) continue;
    waiting.set_version(std::max(waiting.version(), ring.version()));
    return;
  }
  if (rings.size() >= k_rings_max) rings.erase(rings.begin());  // The newest news is the best; sync brings the rest.
  rings.push_back(ring);
}

LinkTable::LinkTable(Env& env, Entry& entry, internal::PresenceClient presence, LinkTableConfig config)
    : env_(env),
      entry_(entry),
      presence_(presence),
      config_(std::move(config)),
      next_connection_((env.random_u64() >> 2) + 1),
      nursery_(env.scheduler()),
      online_(env.counters().counter("hongyan_links_" + config_.gate + "_devices", "Devices connected to this gate",
                                     runtime::CounterKind::gauge)),
      rings_(env.counters().counter("hongyan_links_" + config_.gate + "_rings", "Rings that reached a device's link")),
      closed_(env.counters().counter("hongyan_links_" + config_.gate + "_closed", "Links closed by logout or a newer session")) {}

LinkTable::~LinkTable() { CHECK(by_member_.empty()); }

void LinkTable::start() {
  nursery_.spawn("renew leases", [this] {
    for (;;) {
      Call call;
      if (!runtime::sleep(call, config_.renew).ok()) return;
      renew_all();
    }
  });
}

void LinkTable::stop(Call& call) {
  CHECK(by_member_.empty());
  nursery_.cancel_and_join();
  while (!by_device_.empty()) {
    const DevicePtr device = by_device_.begin()->second;
    remove(device);
    for (Poller* poller : device->pollers) {
      poller->closed = true;
      poller->waiting.wake_all();
    }
    Call own = entry_.service().as_self(call);
    if (!presence_.offline(own, offline_request(*device)).ok()) continue;  // The lease runs out by itself.
  }
}

Result<LinkTable::DevicePtr> LinkTable::open(const rpc::Identity& identity, bool& fresh) {
  const Key key{identity.uin, identity.device};
  fresh = false;
  if (const auto found = by_device_.find(key); found != by_device_.end()) {
    const DevicePtr present = found->second;
    if (present->identity.epoch == identity.epoch) return present;
    if (present->identity.epoch > identity.epoch) {
      return model::error(ErrorCode::old_epoch, "a newer session of this device is connected");
    }
    close_device(present, CloseReason::superseded);
  }
  if (by_device_.size() >= config_.devices_max) return Status(Code::overloaded, "too many devices on this gate");
  auto device = std::make_shared<Device>();
  device->identity = identity;
  device->connection = next_connection_++;
  by_device_[key] = device;
  by_connection_[device->connection] = device;
  online_.set(static_cast<int64_t>(by_device_.size()));
  fresh = true;
  return device;
}

Status LinkTable::attach(Call& call, const rpc::Identity& identity, LinkMember& member) {
  detach(member);
  bool fresh = false;
  const DevicePtr device = TRY(open(identity, fresh));
  if (device->members.size() >= config_.members_max) return Status(Code::overloaded, "too many links of this device");
  device->members.push_back(&member);
  by_member_[&member] = device;
  if (!fresh) return {};
  Status status = go_online(call, device);
  if (!status.ok()) detach(member);
  return status;
}

void LinkTable::detach(LinkMember& member) {
  const auto found = by_member_.find(&member);
  if (found == by_member_.end()) return;
  const DevicePtr device = found->second;
  by_member_.erase(found);
  std::erase(device->members, &member);
  close_if_idle(device);
}

// Only a newer session elsewhere is an error; anything else is tried again when leases are renewed.
Status LinkTable::go_online(Call& call, const DevicePtr& device) {
  Call own = entry_.service().as_self(call).until(runtime::after(env_.now(), k_presence_limit));
  internal::OnlineRequest request;
  request.set_uin(device->identity.uin);
  request.set_device_id(device->identity.device);
  request.set_epoch(device->identity.epoch);
  request.set_gate(config_.gate);
  request.set_connection(device->connection);
  const Result<internal::OnlineResponse> answer = presence_.online(own, request);
  if (!answer.ok()) {
    if (answer.code() != model::as_code(ErrorCode::old_epoch)) return {};
    close_device(device, CloseReason::superseded);
    return answer.status();
  }
  if (answer->replaced_gate() == config_.gate) {
    const auto old = by_connection_.find(answer->replaced_connection());
    if (old != by_connection_.end() && old->second != device) close_device(DevicePtr(old->second), CloseReason::superseded);
  }
  // It may have gone while we waited; the lease we just took would outlive it.
  if (!present(device) && !presence_.offline(own, offline_request(*device)).ok()) return {};
  return {};
}

Result<std::vector<client::Ring>> LinkTable::poll(Call& call, const rpc::Identity& identity, Duration wait,
                                                  const Check& check) {
  bool fresh = false;
  const DevicePtr device = TRY(open(identity, fresh));
  if (device->pollers.size() >= config_.pollers_max) {
    // Mostly polls of connections that have gone unnoticed: the newest is the one somebody waits for.
    Poller* oldest = device->pollers.front();
    device->pollers.erase(device->pollers.begin());
    oldest->closed = true;
    oldest->waiting.wake_all();
  }
  // Not on this stack: others write into it while this coroutine is parked.
  const auto owned = std::make_unique<Poller>();
  Poller& poller = *owned;
  poller.rings = std::exchange(device->pending, {});
  device->pollers.push_back(&poller);
  device->linger_until = runtime::after(env_.now(), wait + config_.linger);
  Status status = fresh ? go_online(call, device) : Status();
  if (status.ok() && poller.rings.empty()) {
    Result<std::vector<client::Ring>> news = check(call);
    if (!news.ok()) {
      status = news.status();
    } else {
      for (const client::Ring& ring : *news) coalesce(poller.rings, ring);
    }
  }
  if (status.ok() && poller.rings.empty() && !poller.closed) {
    const runtime::MayPark may_park;
    const Status waited = poller.waiting.wait(std::min(call.deadline, runtime::after(env_.now(), wait)));
    if (waited.code() == Code::cancelled) status = waited;
  }
  std::erase(device->pollers, &poller);
  device->linger_until = runtime::after(env_.now(), config_.linger);
  if (!status.ok()) return status;
  return std::move(poller.rings);
}

Result<internal::PushResponse> LinkTable::push(Call& call, const internal::PushRequest& request) {
  const auto found = by_connection_.find(request.connection());
  if (found == by_connection_.end()) return Status(Code::not_found, "no such link");
  const DevicePtr device = found->second;
  if (request.replaced()) {
    close_device(device, CloseReason::superseded);
    return internal::PushResponse();
  }
  if (request.ring().kind() != model::k_ring_kind_logged_out) {
    deliver(*device, request.ring());
    return internal::PushResponse();
  }
  // Rings carry nothing that anybody trusts: whose session has ended is what data/device says.
  const Standing standing = TRY(entry_.standing(call, device->identity));
  if (!present(device)) return internal::PushResponse();
  if (standing == Standing::closed) deliver(*device, request.ring());
  if (standing != Standing::good) {
    close_device(device, standing == Standing::closed ? CloseReason::logged_out : CloseReason::superseded);
  }
  return internal::PushResponse();
}

void LinkTable::deliver(Device& device, const client::Ring& ring) {
  rings_.add(1);
  for (LinkMember* member : device.members) member->ring(ring);
  for (Poller* poller : device.pollers) {
    coalesce(poller->rings, ring);
    poller->waiting.wake_all();
  }
  if (device.pollers.empty() && device.linger_until > env_.now()) coalesce(device.pending, ring);
}

void LinkTable::close_device(const DevicePtr& device, CloseReason reason) {
  const DevicePtr held = device;
  closed_.add(1);
  remove(held);
  for (LinkMember* member : std::exchange(held->members, {})) {
    by_member_.erase(member);
    member->close_link(reason);
  }
  for (Poller* poller : held->pollers) {
    poller->closed = true;
    poller->waiting.wake_all();
  }
}

bool LinkTable::present(const DevicePtr& device) const {
  const auto found = by_connection_.find(device->connection);
  return found != by_connection_.end() && found->second == device;
}

void LinkTable::remove(const DevicePtr& device) {
  by_connection_.erase(device->connection);
  const auto found = by_device_.find({device->identity.uin, device->identity.device});
  if (found != by_device_.end() && found->second == device) by_device_.erase(found);
  online_.set(static_cast<int64_t>(by_device_.size()));
}

void LinkTable::close_if_idle(const DevicePtr& device) {
  if (!present(device) || !device->members.empty() || !device->pollers.empty()) return;
  if (device->linger_until > env_.now()) return;
  remove(device);
  nursery_.spawn("offline", [this, device] {
    Call call = entry_.service().background(k_presence_limit);
    (void)presence_.offline(call, offline_request(*device)).ok();  // Lost: the lease runs out.
  });
}

internal::OfflineRequest LinkTable::offline_request(const Device& device) const {
  internal::OfflineRequest request;
  request.set_uin(device.identity.uin);
  request.set_device_id(device.identity.device);
  request.set_epoch(device.identity.epoch);
  request.set_gate(config_.gate);
  request.set_connection(device.connection);
  return request;
}

void LinkTable::renew_all() {
  std::vector<DevicePtr> devices;
  devices.reserve(by_device_.size());
  for (const auto& [key, device] : by_device_) devices.push_back(device);
  for (const DevicePtr& device : devices) {
    close_if_idle(device);
    if (!present(device)) continue;
    if (entry_.revoked(device->identity)) {  // Its ring was lost.
      client::Ring ring;
      ring.set_kind(model::k_ring_kind_logged_out);
      deliver(*device, ring);
      close_device(device, CloseReason::logged_out);
      continue;
    }
    Call call = runtime::background_call(env_, k_presence_limit);
    if (go_online(call, device).code() == Code::cancelled) return;
  }
}

}  // namespace hongyan::api
