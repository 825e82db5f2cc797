// hongyan-account: data/account as a process of its own.
#include "data/account/account_service.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "account", [](process::Process& process) {
    return process.serve(account::make_account(
        process.env(), process::account_deps(process),
        {.region = process.settings().region, .password_cost = process.settings().password_cost, .share = process.share()}));
  });
}
