// hongyan-presence: access/presence as a process of its own. It rings the gates that the settings name.
#include "access/presence/presence.h"

#include "process/gates.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "presence", [](process::Process& process) {
    auto presence = access::make_presence(process.env(), process::presence_deps(process), {});
    process::add_gates(process, *presence);
    return process.serve(std::move(presence));
  });
}
