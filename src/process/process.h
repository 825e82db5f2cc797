// What a service's own executable is: settings, keys, channels to the others, an rpc server, an orderly start and end.
// A main() names the service and says what it is made from; everything else is here.
//
//   hongyan-chat [--config FILE] [--keys FILE] [--listen ADDR]       serves until SIGTERM or SIGINT
//   hongyan-chat list                                                its methods, with their policies
//   hongyan-chat call METHOD [--FIELD VALUE ...] [JSON]              one call to a running one (caller.h)
//
// Settings are those of hongyan-server and `services.NAME`, where each service is found; the same file serves all
// processes. Without one, all are on this machine, on the ports of services.h. Others are called by name
// (rpc/routing): lists of instances that change, balancing, retries, shields, zones. Prints `ready {...}` on standard output
// when it serves. On a signal it says goodbye to its peers, finishes what it has taken, for 10 s at the most, stops its
// workers and ends with status 0. Exit status 1: it could not start; 2: wrong usage.
// Between processes nothing is encrypted unless internal_tls is set (internal_tls.h): tickets protect rows, a private
// network or TLS protects the rest.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/share.h"
#include "process/internal_tls.h"
#include "process/services.h"
#include "process/settings.h"
#include "process/wiring.h"
#include "rpc/pages/server_pages.h"
#include "rpc/routing/channels.h"
#include "rpc/server.h"

namespace hongyan::process {

struct ProcessOptions {
  ServiceSpec spec;
  std::string config_file;
  std::string keys_file;
  std::string listen;  // Empty: where the others reach it.
  std::string announce;  // File for a list of its addresses; empty: none.
  std::string data;    // Of the store alone.
  Share share = {};    // Of a worker: its part of the marked work.
};

class Process : public Surroundings {
 public:
  Process(Env& env, const runtime::Config& config, RoomSettings settings, Secrets secrets, InternalTls tls, ProcessOptions options);
  ~Process() override;

  Env& env() override { return env_; }
  const Secrets& secrets() override { return secrets_; }
  rpc::Revocations& revocations() override { return revocations_; }
  const rpc::PublicLimits& public_limits() override { return settings_.public_limits; }
  store::Store& store(std::string_view service) override;
  rpc::Channel& channel(std::string_view name) override;
  const runtime::Config& config() const { return config_; }
  const RoomSettings& settings() const { return settings_; }
  const ProcessOptions& options() const { return options_; }
  const Share& share() const { return options_.share; }

  // The service of that name, behind its guard if it wants tickets. Whatever has start() and stop() is started before
  // the server and stopped behind it.
  template <typename ServiceT>
  Status serve(std::unique_ptr<ServiceT> service) {
    return serve_at(options_.spec.name, keep(std::move(service)));
  }
  // Another endpoint of this process, or a service that is kept already.
  Status serve_at(std::string_view endpoint, rpc::Service& service, rpc::Interceptor* guard = nullptr);
  // Lives until all has stopped; later ones go first.
  template <typename T>
  T& keep(std::unique_ptr<T> thing) {
    T& kept = *thing;
    if constexpr (requires(Call& call) { kept.start(); kept.stop(call); }) {
      on_start([&kept]() -> Status {
        if constexpr (std::is_same_v<decltype(kept.start()), Status>) TRY(kept.start());
        else kept.start();
        return {};
      });
      on_stop([&kept](Call& call) {
        if constexpr (std::is_same_v<decltype(kept.stop(call)), Status>) (void)kept.stop(call).ok();
        else kept.stop(call);
      });
    } else if constexpr (requires(Call& call) { kept.stop(call); }) {
      on_stop([&kept](Call& call) { kept.stop(call); });
    }
    kept_.emplace_back(std::shared_ptr<T>(std::move(thing)));
    return kept;
  }
  void on_start(std::function<Status()> start) { starts_.push_back(std::move(start)); }
  void on_stop(std::function<void(Call&)> stop) { stops_.push_back(std::move(stop)); }
  // Before the rpc servers close: what would hold them up.
  void on_drain(std::function<void(Call&)> drain) { drains_.push_back(std::move(drain)); }
  // Beside its addresses, for the line `ready`.
  void say_ready(std::string key, std::function<std::string()> value) { ready_.emplace_back(std::move(key), std::move(value)); }
  bool ready() const { return is_ready_; }

  // Says what is wrong with the target of a service that channel() was asked for.
  Status start();
  void stop(Call& call);
  std::string ready_line() const;

 private:
  struct Door {
    std::string name;
    std::unique_ptr<rpc::ServerPages> pages;
    std::unique_ptr<rpc::Server> server;
  };

  Env& env_;
  const runtime::Config& config_;
  const RoomSettings settings_;
  const Secrets secrets_;
  const ProcessOptions options_;
  rpc::Revocations revocations_;
  bool is_ready_ = false;
  const InternalTls tls_;
  rpc::Channels channels_;
  Status unreachable_;  // Of the first channel that could not be made.
  std::map<std::string, std::unique_ptr<store::Store>, std::less<>> stores_;
  std::list<std::unique_ptr<rpc::Guard>> guards_;
  std::list<std::shared_ptr<void>> kept_;
  std::list<Door> doors_;
  std::vector<std::function<Status()>> starts_;
  std::vector<std::function<void(Call&)>> stops_, drains_;
  std::vector<std::pair<std::string, std::function<std::string()>>> ready_;
};

// `make` takes what it needs from the process and hands it services.
int run(int argc, char** argv, std::string_view service, const std::function<Status(Process&)>& make);

}  // namespace hongyan::process
