#include "sim/workload/server.h"

#include <fmt/format.h>

#include "api/client/login.pb.h"
#include "api/gate/link_table.h"
#include "base/check.h"
#include "bundle/bundle.h"
#include "logic/message_sync/snapshot.h"
#include "model/limits.h"
#include "rpc/service_identity.h"
#include "runtime/coro/sync.h"
#include "runtime/log/log.h"
#include "sim/faults/mutant_store.h"
#include "store/engine/open.h"

namespace hongyan::sim {

namespace {

constexpr const char* k_data = "/data";
constexpr const char* k_store = "/data/store";
constexpr const char* k_gate = "sim";
constexpr Duration k_request_limit = 10s;
// Small, so that checkpoints happen within a run.
constexpr size_t k_log_bytes_max = 64 * 1024;

std::string address_of(size_t device) { return fmt::format("10.0.0.{}:4711", device); }

// The server's end of a device's link.
class LinkEnd : public api::LinkMember {
 public:
  LinkEnd(Net& net, size_t device, Server::Link link) : net_(net), device_(device), link_(std::move(link)) {}
  void ring(const client::Ring& ring) override {
    net_.carry(device_, [heard = link_.ring, ring] { heard(ring); });
  }
  void close_link(api::CloseReason) override { net_.carry(device_, link_.closed); }
  // The peer is gone: what a socket says when its process dies.
  void lose() { net_.carry(device_, link_.closed); }
  api::Link identity;

 private:
  Net& net_;
  size_t device_;
  Server::Link link_;
};

}  // namespace

struct Server::Running {
  std::optional<bundle::Secrets> secrets;
  std::unique_ptr<store::OpenStore> store;
  std::unique_ptr<MutantStore> mutant;
  std::unique_ptr<bundle::Bundle> bundle;
  std::unique_ptr<api::LinkTable> links;
  std::map<uint64_t, std::unique_ptr<LinkEnd>> ends;  // By connection.
};

Server::Server(World& world, Ledger& ledger, Net& net, Mutant mutant)
    : world_(world), ledger_(ledger), net_(net), mutant_(mutant), disk_(world.random_for("disk")),
      row_members_max_(world.random_for("large groups").one_in(3) ? 2 : model::k_group_row_members_max) {
  disk_.set_late_sync(mutant == Mutant::ack_before_sync);
}

Server::~Server() = default;

void Server::boot() {
  CHECK(process_ == nullptr || !process_->alive());
  disk_.revive();
  process_ = std::make_unique<Process>(world_, disk_, "server", ++incarnation_, utc_offset_ms_);
  under_way_ = 0;
  world_.note(fmt::format("server boots, incarnation {}", incarnation_));
  Process* process = process_.get();
  process->spawn("server", [this, process] { start(*process); });
}

void Server::start(Process& process) {
  auto* running = new Running;  // Nothing of a process that dies is destroyed.
  SimEnv& env = process.env();
  Status opened;
  env.pool().run([&] { opened = open(env, *running); });
  if (!opened.ok()) {
    if (opened.code() == Code::corrupt || opened.code() == Code::unsupported) {
      ledger_.violated("a crash leaves a store that opens", opened.detail());
    }
    world_.plan(0s, [this, why = opened.detail()] { go_down("does not start: " + why, 1s); });
    return;
  }
  running->mutant = std::make_unique<MutantStore>(running->store->shard(), mutant_, incarnation_ > 1);
  bundle::BundleConfig config;
  config.password_cost = account::k_password_cost_least;
  config.serve_web = false;
  config.group.row_members_max = row_members_max_;
  running->bundle = bundle::make_bundle(env, *running->mutant, *running->secrets, std::move(config));
  running->links = std::make_unique<api::LinkTable>(env, running->bundle->entry(), running->bundle->presence(),
                                                    api::LinkTableConfig{.gate = k_gate});
  running->bundle->add_gate(k_gate, *running->links);
  if (Status started = running->bundle->start(); !started.ok()) {
    world_.plan(0s, [this, why = started.detail()] { go_down("does not start: " + why, 1s); });
    return;
  }
  running->links->start();
  running_ = running;
  world_.note("server is up");
}

Status Server::open(SimEnv& env, Running& running) {
  running.secrets = TRY(bundle::Secrets::load_or_create(env, k_data));
  if (restored_) {
    TRY(store::mark_restored(env, k_store));
    restored_ = false;
  }
  running.store = TRY(store::open_store(env, {.directory = k_store,
                                              .tables = bundle::tables(),
                                              .engine = store::EngineKind::log,
                                              .rocks = {},
                                              .log = {.log_bytes_max = k_log_bytes_max}}));
  return {};
}

// --- requests ---

void Server::request(size_t device, const std::string& path, const std::string& bytes, const Answer& answer) {
  if (running_ == nullptr) return;
  Running* running = running_;
  process_->spawn("request", [this, running, device, path, bytes, answer] {
    ++under_way_;
    std::string sent = bytes;
    if (mutant_ == Mutant::late_logout && path == "logout") late_logout(*running, device, bytes);
    if (mutant_ == Mutant::foreign_snapshot && path == "sync") sent = with_foreign_snapshot(*running, bytes);
    std::string answered = handle(*running, device, path, sent);
    if (mutant_ == Mutant::frame_swapped && path == "sync") answered = with_swapped_rows(device, answered);
    const Said said{.timeline = ledger_.timeline(), .at = world_.now()};
    net_.carry(device, [answer, answered, said] { answer(answered, said); });
    --under_way_;
  });
}

std::string Server::handle(Running& running, size_t device, const std::string& path, const std::string& bytes) {
  api::Entry& entry = running.bundle->entry();
  const rpc::ServedCommand* command = entry.commands().by_path(path);
  CHECK(command != nullptr);
  const std::unique_ptr<rpc::Message> request(command->method->request()->New());
  const std::unique_ptr<rpc::Message> response(command->method->response()->New());
  CHECK(request->ParseFromString(bytes));
  const std::string address = address_of(device);
  Call call;
  call.deadline = after(world_.scheduler().now(), k_request_limit);
  entry.handle(call, *command, *request, {.address = address, .link = nullptr}, *response);
  world_.note(fmt::format("server did {} for d{}: {}", path, device, api::base_of_response(*response).code()));
  return response->SerializeAsString();
}

void Server::connect(size_t device, uint64_t connection, const std::string& bytes, const Link& link, const Answer& answer) {
  if (running_ == nullptr) return;
  Running* running = running_;
  process_->spawn("connect", [this, running, device, connection, bytes, link, answer] {
    ++under_way_;
    const std::string answered = attach(*running, device, connection, bytes, link);
    --under_way_;
    const Said said{.timeline = ledger_.timeline(), .at = world_.now()};
    net_.carry(device, [answer, answered, said] { answer(answered, said); });
  });
}

std::string Server::attach(Running& running, size_t device, uint64_t connection, const std::string& bytes, const Link& link) {
  api::Entry& entry = running.bundle->entry();
  const rpc::ServedCommand* command = entry.commands().by_path("poll");
  client::PollRequest request;
  client::PollResponse response;
  CHECK(request.ParseFromString(bytes));
  std::unique_ptr<LinkEnd>& end = running.ends[connection];
  if (end == nullptr) end = std::make_unique<LinkEnd>(net_, device, link);
  LinkEnd& here = *end;
  const std::string address = address_of(device);
  Call call;
  call.deadline = after(world_.scheduler().now(), k_request_limit);
  const auto work = [&](Call& inner, const rpc::Identity* identity, const rpc::Message&, rpc::Message&) -> Status {
    TRY(running.links->attach(inner, *identity, here));
    here.identity.identity = *identity;
    seen_.insert({identity->uin, identity->device});
    return {};
  };
  entry.handle(call, *command->method, request, {.address = address, .link = &here.identity}, response, k_request_limit, work);
  return response.SerializeAsString();
}

void Server::disconnect(uint64_t connection) {
  if (running_ == nullptr) return;
  Running* running = running_;
  process_->spawn("disconnect", [this, running, connection] {
    const auto found = running->ends.find(connection);
    if (found == running->ends.end() || running != running_) return;
    running->links->detach(*found->second);
  });
}

// --- mutants of access ---

void Server::late_logout(Running& running, size_t device, const std::string& bytes) {
  client::LogoutRequest request;
  CHECK(request.ParseFromString(bytes));
  const auto identity = rpc::check_client_ticket(running.secrets->ring("client_ticket"), request.base().ticket(),
                                                 process_->env().utc_ms());
  if (!identity.ok()) return;
  rpc::ServiceIdentity access(process_->env(), running.secrets->audiences({"device"}), "access");
  Call call;
  call.deadline = after(world_.scheduler().now(), k_request_limit);
  call = access.as_self(call);
  internal::EpochRequest ask;
  ask.set_uin(identity->uin);
  ask.set_device_id(identity->device);
  const Result<internal::EpochResponse> now = running.bundle->integrator().device.epoch(call, ask);
  if (!now.ok() || !now->open() || now->epoch() == identity->epoch) return;
  rpc::Identity newer = *identity;
  newer.epoch = now->epoch();
  request.mutable_base()->set_ticket(rpc::make_client_ticket(running.secrets->ring("client_ticket"), newer));
  request.mutable_base()->clear_device_epoch();
  (void)handle(running, device, "logout", request.SerializeAsString());
}

std::string Server::with_foreign_snapshot(Running& running, const std::string& bytes) {
  client::SyncRequest request;
  CHECK(request.ParseFromString(bytes));
  const rpc::KeyRing& keys = running.secrets->ring("snapshot");
  const auto identity = rpc::check_client_ticket(running.secrets->ring("client_ticket"), request.base().ticket(),
                                                 process_->env().utc_ms());
  if (!identity.ok() || request.snapshot().empty()) return bytes;
  for (const auto& [uin, device] : seen_) {
    auto snapshot = logic::decode_snapshot(keys, request.snapshot(), uin, device);
    if (!snapshot.ok()) continue;
    snapshot->uin = identity->uin;
    snapshot->device = identity->device;
    request.set_snapshot(logic::encode_snapshot(keys, *snapshot));
  }
  return request.SerializeAsString();
}

// The last message before a cut comes behind what follows it.
std::string Server::with_swapped_rows(size_t device, const std::string& bytes) {
  client::SyncResponse response;
  CHECK(response.ParseFromString(bytes));
  const auto held = held_.find(device);
  if (held != held_.end() && response.entries_size() > 0) {
    *response.add_entries() = held->second;
    held_.erase(held);
  }
  const int last = response.entries_size() - 1;
  if (response.more() && last > 0 && response.entries(last).has_message()) {
    held_[device] = response.entries(last);
    response.mutable_entries()->RemoveLast();
  }
  return response.SerializeAsString();
}

// --- faults ---

void Server::go_down(const std::string& why, Duration down_for) {
  if (process_ == nullptr || !process_->alive()) return;
  world_.note("server goes down: " + why);
  process_->kill();
  if (running_ != nullptr) {
    for (const auto& [connection, end] : running_->ends) end->lose();
  }
  running_ = nullptr;
  world_.plan(down_for, [this] { boot(); });
}

void Server::crash(Duration down_for) {
  if (running_ == nullptr) return;
  ++ledger_.tally.crashes;
  ++ledger_.tally.faults;
  go_down("killed", down_for);
}

void Server::restart() {
  if (running_ == nullptr) return;
  ++ledger_.tally.faults;
  world_.note("server is told to stop");
  Running* running = running_;
  running_ = nullptr;
  for (const auto& [connection, end] : running->ends) end->lose();
  process_->spawn("stop", [this, running] {
    stop(*running);
    world_.plan(0s, [this] { go_down("stopped", 200ms); });
  });
}

void Server::stop(Running& running) {
  Call call;
  while (under_way_ > 0) CHECK(runtime::sleep(call, 50ms).ok());
  for (const auto& [connection, end] : running.ends) running.links->detach(*end);
  running.links->stop(call);
  running.bundle->stop(call);
  running.links.reset();
  running.bundle.reset();
  running.store.reset();
}

void Server::crash_at_operation(uint64_t from_now, SimDisk::CrashMoment moment, Duration down_for) {
  disk_.crash_at(disk_.operations() + from_now, moment, [this, down_for] {
    world_.plan(0s, [this, down_for] {
      ++ledger_.tally.crashes;
      ++ledger_.tally.faults;
      go_down(fmt::format("crash at disk operation {}", disk_.operations()), down_for);
    });
  });
}

void Server::jump_clock(int64_t by_ms) {
  ++ledger_.tally.faults;
  world_.note(fmt::format("server's clock jumps by {} ms", by_ms));
  utc_offset_ms_ += by_ms;
  if (process_ != nullptr && process_->alive()) process_->env().set_utc_offset_ms(utc_offset_ms_);
}

void Server::take_backup() {
  backup_ = Backup{.image = disk_.durable_image(), .at = world_.now()};
  world_.note("backup taken");
}

void Server::restore_backup(Duration down_for) {
  CHECK(backup_.has_value());
  if (running_ == nullptr) return;
  ++ledger_.tally.faults;
  go_down("an old backup is restored", down_for);
  disk_.restore(backup_->image);
  restored_ = true;
  ledger_.restored(backup_->at);
}

}  // namespace hongyan::sim
