// hongyan-chat: logic/chat as a process of its own.
#include "logic/chat/chat_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "chat", [](process::Process& process) {
    return process.serve(logic::make_chat(process.env(), process::chat_deps(process)));
  });
}
