#include <cstdio>
#include <memory>
#include <vector>

#include "rpc/server.h"
#include "tests/workers/echo.rpc.pb.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"
#include "runtime/os/os_env.h"
#include "tests/workers/peer.h"

namespace hongyan::tests {
namespace {

using namespace std::chrono_literals;
using namespace tests::workers;

// So that a drain and a kill find calls under way.
constexpr auto k_work = 2ms;

class Echo : public EchoService {
 public:
  Echo(Env& env, const std::string& journal) : env_(env), journal_(std::fopen(journal.c_str(), "ae")) { CHECK(journal_ != nullptr); }
  ~Echo() override { std::fclose(journal_); }

  Result<OpenReply> open(Call& call, const OpenRequest& request) override {
    if (request.take_mib() > 0) kept_.emplace_back(size_t{request.take_mib()} << 20, 'x');
    TRY(runtime::sleep(call, k_work));
    OpenReply reply;
    reply.set_pid(static_cast<uint64_t>(runtime::process_id()));
    reply.set_refused(static_cast<uint64_t>(env_.counters().counter("hongyan_net_accepts_refused", "").value()));
    return reply;
  }
  Result<DeleteReply> delete_(Call& call, const DeleteRequest& request) override {
    std::fprintf(journal_, "%llu\n", static_cast<unsigned long long>(request.number()));
    std::fflush(journal_);
    TRY(runtime::sleep(call, k_work));
    return DeleteReply();
  }

 private:
  Env& env_;
  FILE* const journal_;
  std::vector<std::string> kept_;
};

}  // namespace

int serve_echo(const std::string& address, const std::string& journal, runtime::Inherited inherited) {
  const auto env = runtime::make_os_env({.pool_threads = 1, .log_path = {}, .inherited = std::move(inherited)});
  runtime::stop_on_signals(*env);
  env->log().set_level(runtime::LogLevel::error);
  Echo echo(*env, journal);
  rpc::Server server(*env, address, {{.service = &echo}});
  Status status;
  runtime::run_to_end(env->scheduler(), "start", [&] { status = server.start(); });
  if (status.ok()) {
    std::puts("ready {}");
    std::fflush(stdout);
    env->scheduler().run();
  } else {
    std::fputs((status.detail() + "\n").c_str(), stderr);
  }
  runtime::run_to_end(env->scheduler(), "stop", [&] {
    Call call = runtime::background_call(*env, 5s);
    server.close(call);
  });
  return status.ok() ? 0 : 1;
}

}  // namespace hongyan::tests
