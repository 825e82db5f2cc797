// hongyan-message-sync: logic/message_sync as a process of its own.
#include "logic/message_sync/message_sync_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "message_sync", [](process::Process& process) {
    return process.serve(logic::make_message_sync(process.env(), process::message_sync_deps(process)));
  });
}
