// hongyan-login: logic/login as a process of its own.
#include "logic/login/login_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "login", [](process::Process& process) {
    const process::RoomSettings& settings = process.settings();
    return process.serve(logic::make_login(process.env(), process::login_deps(process),
                                           {.region = "r" + std::to_string(settings.region), .auth = settings.auth}));
  });
}
