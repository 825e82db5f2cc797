// hongyan-group-chat: logic/group_chat as a process of its own.
#include "logic/group_chat/group_chat_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "group_chat", [](process::Process& process) {
    return process.serve(logic::make_group_chat(process.env(), process::group_chat_deps(process)));
  });
}
