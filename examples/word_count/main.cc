// word-count [ADDRESS]: serves until SIGTERM or SIGINT, on 127.0.0.1:7300 when none is said. Says its address when it
// is ready.
#include <cstdio>

#include "rpc/server.h"
#include "runtime/coro/run.h"
#include "runtime/os/os_env.h"
#include "word_count_service.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  const auto env = runtime::make_os_env({});
  runtime::stop_on_signals(*env);
  example::WordCounter counter;
  rpc::Server server(*env, argc > 1 ? argv[1] : "127.0.0.1:7300", {{.service = &counter}});
  Status status;
  runtime::run_to_end(env->scheduler(), "start", [&] { status = server.start(); });
  if (!status.ok()) {
    std::fprintf(stderr, "word-count: %s\n", status.detail().c_str());
    return 1;
  }
  std::printf("ready %s\n", server.address().c_str());
  std::fflush(stdout);
  env->scheduler().run();
  runtime::run_to_end(env->scheduler(), "stop", [&] {
    Call call = runtime::background_call(*env, std::chrono::seconds(10));
    server.close(call);
  });
  return 0;
}
