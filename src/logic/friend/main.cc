// hongyan-friend: logic/friend as a process of its own.
#include "logic/friend/friend_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "friend", [](process::Process& process) {
    return process.serve(logic::make_friend(process.env(), process::friend_deps(process)));
  });
}
