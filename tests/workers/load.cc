#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "rpc/tcp_channel.h"
#include "tests/workers/echo.rpc.pb.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/log/log.h"
#include "runtime/os/os_env.h"
#include "tests/workers/peer.h"

namespace hongyan::tests {
namespace {

using namespace std::chrono_literals;

// Calls that nobody waits for between are no load, and the machine is to run the workers too.
constexpr auto k_pause = 5ms;
constexpr int k_calls_on_a_fresh_channel = 5;

class Load {
 public:
  Load(Env& env, const LoadOptions& options) : env_(env), options_(options), callers_(env.scheduler()) {
    for (int i = 0; i < options.channels; ++i) channels_.push_back(std::make_unique<rpc::TcpChannel>(env, options.address));
  }

  void start() {
    for (auto& channel : channels_) {
      for (int i = 0; i < options_.callers; ++i) {
        callers_.spawn("caller", [this, &channel = *channel] {
          while (!stopping_) both(channel);
        });
      }
    }
    for (int i = 0; i < options_.fresh; ++i) {
      callers_.spawn("caller on fresh channels", [this] {
        while (!stopping_) {
          rpc::TcpChannel channel(env_, options_.address);
          for (int calls = 0; calls < k_calls_on_a_fresh_channel && !stopping_; ++calls) both(channel);
          channel.close();
        }
      });
    }
  }

  void stop() {
    stopping_ = true;
    Call call;
    (void)callers_.join(call).ok();
    for (auto& channel : channels_) channel->close();
  }

  void print() const {
    std::puts(fmt::format("{{\"open\":{},\"open_failed\":[{}],\"deleted\":[{}],\"unavailable\":[{}],\"unknown\":[{}],\"other\":[{}],"
                          "\"workers\":{}}}",
                          open_, fmt::join(open_failed_, ","), fmt::join(deleted_, ","), fmt::join(unavailable_, ","),
                          fmt::join(unknown_, ","), fmt::join(other_, ","), answers_.size()).c_str());
  }

 private:
  void both(rpc::TcpChannel& channel) {
    workers::EchoClient stub(channel);
    Call call = runtime::background_call(env_, 10s);
    const auto opened = stub.open(call, {});
    ++open_;
    if (opened.ok()) ++answers_[opened->pid()];
    else open_failed_.push_back("\"" + opened.status().detail() + "\"");
    workers::DeleteRequest request;
    request.set_number(++last_);
    const auto deleted = stub.delete_(call, request);
    auto& where = deleted.ok()                                 ? deleted_
                  : deleted.code() == Code::unavailable        ? unavailable_
                  : deleted.code() == Code::unknown_outcome    ? unknown_
                                                               : other_;
    where.push_back(request.number());
    Call pause;
    (void)runtime::sleep(pause, k_pause).ok();
  }

  Env& env_;
  const LoadOptions options_;
  std::vector<std::unique_ptr<rpc::TcpChannel>> channels_;
  runtime::Nursery callers_;
  bool stopping_ = false;
  uint64_t last_ = 0;
  size_t open_ = 0;
  std::vector<std::string> open_failed_;
  std::vector<uint64_t> deleted_, unavailable_, unknown_, other_;
  std::map<uint64_t, size_t> answers_;
};

}  // namespace

int call_echo(const LoadOptions& options) {
  const auto env = runtime::make_os_env({.pool_threads = 1, .log_path = {}});
  runtime::stop_on_signals(*env);
  env->log().set_level(runtime::LogLevel::error);
  Load load(*env, options);
  runtime::run_to_end(env->scheduler(), "start", [&] { load.start(); });
  std::puts("ready {}");
  std::fflush(stdout);
  env->scheduler().run();
  runtime::run_to_end(env->scheduler(), "stop", [&] { load.stop(); });
  load.print();
  return 0;
}

}  // namespace hongyan::tests
