#include "process/process.h"

#include <fmt/format.h>

#include "api/json/json.h"
#include "runtime/env/profiler.h"
#include "runtime/os/host_lookup.h"
#include "runtime/os/os_env.h"
#include "runtime/os/worker_master.h"
#include "store/remote/remote_store.h"

namespace hongyan::process {

namespace {

// Workers and gates, after the doors have closed.
constexpr auto k_stop_limit = std::chrono::seconds(10);

// Instead of one whose target is no target: the process ends before it calls.
class NoChannel : public rpc::Channel {
 public:
  Status call(Call&, const rpc::MethodInfo&, const rpc::Message&, rpc::Message&) override {
    return Status(Code::unavailable, "no channel");
  }
};

}  // namespace

Process::Process(Env& env, const runtime::Config& config, RoomSettings settings, Secrets secrets, InternalTls tls,
                 ProcessOptions options)
    : env_(env),
      config_(config),
      settings_(std::move(settings)),
      secrets_(std::move(secrets)),
      options_(std::move(options)),
      tls_(std::move(tls)),
      channels_(env, {.lookup = runtime::look_up_host,
                      .target_key = [](const std::string& name) { return "services." + name; },
                      .tls = [this](const std::string& name) { return tls_.client(env_, name); }}) {}

Process::~Process() {
  // What was made later may use what was made before.
  doors_.clear();
  while (!kept_.empty()) kept_.pop_back();
}

rpc::Channel& Process::channel(std::string_view asked) {
  const std::string name(asked);
  if (channels_.has(name)) return channels_.channel(name);
  if (const Status added = channels_.add(config_, name); !added.ok()) {
    if (unreachable_.ok()) unreachable_ = added;
    return *static_cast<NoChannel*>(kept_.emplace_back(std::make_shared<NoChannel>()).get());
  }
  return channels_.channel(name);
}

store::Store& Process::store(std::string_view service) {
  const auto found = stores_.find(service);
  if (found != stores_.end()) return *found->second;
  const rpc::AudienceKeys keys = {{"store", secrets_.ring("store." + std::string(service))}};
  rpc::ServiceIdentity self(env_, keys, std::string(service));
  auto store = std::make_unique<store::RemoteStore>(env_, channel("store"), std::move(self));
  return *stores_.emplace(service, std::move(store)).first->second;
}

Status Process::serve_at(std::string_view name, rpc::Service& service, rpc::Interceptor* guard) {
  const auto endpoint = find_endpoint(name);
  CHECK(endpoint.has_value());
  if (guard == nullptr && !endpoint->audience.empty()) {
    guard = guards_.emplace_back(guard_of(*this, endpoint->audience, endpoint->methods)).get();
  }
  const bool own = name == options_.spec.name;
  const std::string address = own && !options_.listen.empty() ? options_.listen : TRY(listen_address(config_, name));
  auto pages = std::make_unique<rpc::ServerPages>(
      env_, rpc::Pages::About{.program = std::string(options_.spec.name), .version = HONGYAN_VERSION, .process = runtime::process_id()});
  auto server = std::make_unique<rpc::Server>(env_, address, std::vector<rpc::Served>{{.service = &service, .interceptor = guard}},
                                              rpc::ServerOptions{.observer = pages.get(), .pages = pages.get(), .tls = tls_.server()});
  pages->show(*server);
  doors_.push_back({.name = std::string(name), .pages = std::move(pages), .server = std::move(server)});
  return {};
}

Status Process::start() {
  TRY(unreachable_);
  TRY(channels_.start(config_));
  for (const auto& start : starts_) TRY(start());
  for (Door& door : doors_) {
    if (const Status started = door.server->start(); !started.ok()) {
      return Status(started.code(), "services." + door.name + ": " + started.detail());
    }
  }
  if (!options_.announce.empty()) {
    std::vector<std::string> addresses;
    for (const Door& door : doors_) {
      if (door.name == options_.spec.name) addresses.push_back(door.server->address());
    }
    TRY(runtime::write_addresses(options_.announce, addresses));
  }
  is_ready_ = true;
  return {};
}

void Process::stop(Call& call) {
  is_ready_ = false;
  if (runtime::Profiler* const profiler = env_.profiler()) profiler->end_early();
  for (const auto& drain : drains_) drain(call);
  for (Door& door : doors_) door.server->close(call);
  // What finishes work that was taken has time of its own.
  Call rest = runtime::background_call(env_, k_stop_limit);
  for (auto stop = stops_.rbegin(); stop != stops_.rend(); ++stop) (*stop)(rest);
  channels_.close();
}

std::string Process::ready_line() const {
  std::string fields = "\"service\":" + api::json_quoted(options_.spec.name);
  fields += fmt::format(",\"pid\":{}", runtime::process_id());
  for (const Door& door : doors_) {
    fields += fmt::format(",{}:{}", api::json_quoted(door.name), api::json_quoted(door.server->address()));
  }
  for (const auto& [key, value] : ready_) fields += fmt::format(",{}:{}", api::json_quoted(key), api::json_quoted(value()));
  return "ready {" + fields + "}";
}

}  // namespace hongyan::process
